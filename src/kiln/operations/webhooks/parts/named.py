"""How a webhook is named, and what is said where there is none of that ID."""

from __future__ import annotations

from typing import Annotated

from kiln.declare.errors import ApiError
from kiln.declare.rules import Accepted, Doc, Example

NoRegionId = Annotated[
    str | None, Accepted("A webhook is told of all regions."), Example("cn-qingdao-env17-d01"), Doc("A region.")
]
WebhookId = Annotated[str, Example("wh-bp67acfmxazb4p8xk3ie"), Doc("The ID of the webhook.")]


class InvalidWebhookIdNotFound(ApiError):
    """The account has no webhook of that ID."""

    code = "InvalidWebhookId.NotFound"
    status = 404
    message = "The specified webhook {id} does not exist."
    hint = "`kiln webhook list` lists the webhooks of the account."


class OperationDeniedWebhooksOff(ApiError):
    """The operator lets webhooks reach nobody."""

    code = "OperationDenied.WebhooksOff"
    status = 403
    message = "Webhooks are switched off here."
    hint = "The setting `webhooks_to` (KILN_WEBHOOKS_TO) says whom webhooks may reach."
