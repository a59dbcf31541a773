"""TestWebhook, as a caller meets it; what becomes of the event tests/upkeep/test_postman.py says."""

from __future__ import annotations

from kiln.store.webhooks import parcels, webhooks
from tests.reading import the


def test_puts_an_event_of_its_own_behind_what_waits_and_has_all_be_tried_at_once(cloud):
    made = cloud.call("CreateWebhook", Url="https://events.example.com/")["WebhookId"]
    cloud.ports.database.write(lambda tx: webhooks.update(tx, {"not_before": 9e9}, id=made))
    event = cloud.call("TestWebhook", WebhookId=made)["EventId"]

    row = the(cloud, parcels)
    assert (row.webhook, row.event, row.noun, row.new) == (made, event, "webhook", "Test")
    assert the(cloud, webhooks).not_before == 0
    assert cloud.call("TestWebhook", WebhookId=made)["EventId"] == event
    the(cloud, parcels)
