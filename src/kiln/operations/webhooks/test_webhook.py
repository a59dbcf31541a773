"""Tell a URL an event of its own, `kiln:Webhook:Test`, and try at once what waits for it.

What came of it DescribeWebhooks shows. Where the webhook was switched off, the
event is tried once, and is what switches it on again. This is an operation of Kiln's own.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.rules import Doc, Example
from kiln.declare.shapes import shape
from kiln.operations.webhooks.parts.named import (
    InvalidWebhookIdNotFound,
    NoRegionId,
    OperationDeniedWebhooksOff,
    WebhookId,
)
from kiln.store.webhooks import Webhook, webhooks


@shape
class Input:
    region_id: NoRegionId = None
    webhook_id: WebhookId


@shape
class Output:
    event_id: Annotated[
        str, Example("5fa7b0ad-3d0f-4e0e-9a55-0a7f5b1c8a3e"), Doc("The ID of the event, as `webhook-id` says it.")
    ]


def check(call: Call, p: Input) -> Webhook:
    webhook = call.the(webhooks, p.webhook_id, None, InvalidWebhookIdNotFound)
    if call.ports.may_call.is_off:
        raise OperationDeniedWebhooksOff
    return webhook


def commit(call: Call, webhook: Webhook) -> Output:
    webhooks.update(call.tx, {"pending_test": not webhook.is_on, "not_before": 0.0}, id=webhook.id)
    return Output(event_id=call.ports.outbox.add_test(call.tx, webhook.id, webhook.account))


test_webhook = Operation(
    input=Input,
    output=Output,
    check=check,
    commit=commit,
    errors=(InvalidWebhookIdNotFound, OperationDeniedWebhooksOff),
)
