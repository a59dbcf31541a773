"""Tell a URL nothing more; what waits for it is forgotten.

One event may still reach it that is on its way. This is an operation of Kiln's own.
"""

from __future__ import annotations

from kiln.calls.call import Call
from kiln.declare.operation import Operation
from kiln.declare.shapes import shape
from kiln.operations.params import NothingMore
from kiln.operations.webhooks.parts.named import InvalidWebhookIdNotFound, NoRegionId, WebhookId
from kiln.store.webhooks import Webhook, parcels, webhooks


@shape
class Input:
    region_id: NoRegionId = None
    webhook_id: WebhookId


def check(call: Call, p: Input) -> Webhook:
    return call.the(webhooks, p.webhook_id, None, InvalidWebhookIdNotFound)


def commit(call: Call, webhook: Webhook) -> NothingMore:
    parcels.delete(call.tx, webhook=webhook.id)
    webhooks.delete(call.tx, id=webhook.id)
    call.tx.after_commit(call.ports.outbox.changed)
    return NothingMore()


delete_webhook = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    gives_back=True,
    errors=(InvalidWebhookIdNotFound,),
)
