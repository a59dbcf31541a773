"""DeleteWebhook, as a caller meets it."""

from __future__ import annotations

from kiln.store.webhooks import parcels, webhooks
from tests.clouds import OTHER
from tests.reading import every
from tests.stock import a_disk


def test_forgets_it_and_what_waits_for_it(cloud):
    made = cloud.call("CreateWebhook", Url="https://events.example.com/")["WebhookId"]
    a_disk(cloud)
    assert len(every(cloud, parcels)) == 1

    cloud.call("DeleteWebhook", WebhookId=made)
    a_disk(cloud)

    assert every(cloud, webhooks) == every(cloud, parcels) == []


def test_refuses_what_there_is_none_of_and_another_accounts(cloud):
    made = cloud.call("CreateWebhook", Url="https://events.example.com/")["WebhookId"]

    for action in ("DeleteWebhook", "TestWebhook"):
        cloud.refuses(action, "InvalidWebhookId.NotFound", 404, WebhookId="wh-none")
        cloud.refuses(action, "InvalidWebhookId.NotFound", 404, WebhookId=made, account=OTHER)
