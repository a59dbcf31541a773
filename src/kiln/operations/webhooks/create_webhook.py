"""Have a URL be told of what changes in the account, and tell the secret that it proves this by, once.

Each change of state is sent as a CloudEvent by POST, signed as Standard Webhooks
has it, until it was answered with a status of 2xx or is given up: see [follow
what changes](../../howto/events.md#webhooks). This is an operation of Kiln's own.
"""

from __future__ import annotations

import base64
import secrets
from typing import Annotated

from kiln.calls.call import Call
from kiln.calls.posting import LONGEST_URL, UrlRefused, read_url
from kiln.declare.cloud_events import STATE_TYPES
from kiln.declare.errors import ApiError, InvalidParameter
from kiln.declare.ids import new_id
from kiln.declare.operation import Operation
from kiln.declare.rules import Ascii, Count, Doc, Example, OneOf, Secret, Unordered
from kiln.declare.shapes import shape
from kiln.operations.webhooks.parts.named import NoRegionId, OperationDeniedWebhooksOff
from kiln.store.webhooks import SECRET_PREFIX, Webhook, webhooks

_SECRET_BYTES = 32


class QuotaExceedWebhook(ApiError):
    """The account has as many webhooks as it may."""

    code = "QuotaExceed.Webhook"
    status = 403
    message = "The webhook quota exceeds."


@shape
class Input:
    region_id: NoRegionId = None
    url: Annotated[
        str,
        Ascii(LONGEST_URL),
        Example("https://events.example.com/kiln"),
        Doc(
            "Where it is told: `https://`, or `http://` in a network that the operator names, without a user and a "
            "fragment."
        ),
    ]
    type: Annotated[
        tuple[Annotated[str, OneOf(STATE_TYPES)], ...],
        Unordered(),
        Count(len(STATE_TYPES)),
        Doc("Only events of these types; absent: all."),
    ] = ()


@shape
class Output:
    webhook_id: Annotated[str, Example("wh-bp67acfmxazb4p8xk3ie"), Doc("The ID of the webhook.")]
    secret: Annotated[
        str,
        Secret(),
        Example("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwqLGwpUZnEhQ="),
        Doc("What signatures are made with: `whsec_` and the key in Base64. It is told here and nowhere else."),
    ]


def prepare(p: Input) -> str:
    """A new secret."""
    del p
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def check(call: Call, p: Input) -> Input:
    if call.ports.may_call.is_off:
        raise OperationDeniedWebhooksOff
    try:
        read_url(p.url, call.ports.may_call)
    except UrlRefused as error:
        raise InvalidParameter(parameter="Url", rule=f"it must be {error}") from None
    if webhooks.count(call.tx, account=call.account) >= call.deployment.quotas.webhooks:
        raise QuotaExceedWebhook
    return p


def commit(call: Call, p: Input) -> Output:
    secret: str = call.prepared
    row = Webhook(
        id=new_id("webhook"),
        account=call.account,
        url=p.url,
        types=",".join(one for one in STATE_TYPES if one in p.type),
        sealed_secret=call.ports.seal(secret),
        created_at=call.now,
    )
    webhooks.insert(call.tx, row)
    call.tx.after_commit(call.ports.outbox.changed)
    return Output(webhook_id=row.id, secret=secret)


create_webhook = Operation(
    input=Input,
    output=Output,
    prepare=prepare,
    check=check,
    commit=commit,
    errors=(OperationDeniedWebhooksOff, QuotaExceedWebhook),
)
