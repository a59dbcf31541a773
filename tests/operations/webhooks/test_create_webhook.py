"""CreateWebhook, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.networks.callout import CallsOut
from kiln.store.webhooks import webhooks
from tests.clouds import ACCOUNT, OTHER
from tests.reading import the

URL = "https://events.example.com/kiln"


def test_tells_a_secret_that_lies_sealed(cloud):
    answer = cloud.call(
        "CreateWebhook", {"Type.1": "kiln:Disk:StateChange", "Type.2": "ecs:Instance:StateChange"}, Url=URL
    )

    row = the(cloud, webhooks, id=answer["WebhookId"])
    assert answer["Secret"].startswith("whsec_")
    assert (row.account, row.url, row.sealed_secret) == (ACCOUNT, URL, f"sealed:{answer['Secret']}")
    assert row.types == "ecs:Instance:StateChange,kiln:Disk:StateChange"
    assert answer["Secret"] != cloud.call("CreateWebhook", Url=URL)["Secret"]


@pytest.mark.parametrize(
    "url", ["http://events.example.com:x/", "https://127.0.0.1/", "http://8.8.8.8/", "file:///etc"]
)
def test_refuses_a_url_that_may_not_be_told(cloud, url):
    cloud.refuses("CreateWebhook", "InvalidParameter", 400, Url=url)


def test_refuses_more_than_there_may_be(cloud):
    for _ in range(cloud.ports.deployment.quotas.webhooks):
        cloud.call("CreateWebhook", Url=URL)

    cloud.refuses("CreateWebhook", "QuotaExceed.Webhook", 403, Url=URL)
    cloud.call("CreateWebhook", Url=URL, account=OTHER)


def test_refuses_all_where_the_operator_lets_webhooks_reach_nobody(cloud):
    made = cloud.call("CreateWebhook", Url=URL)["WebhookId"]
    cloud.refit(may_call=CallsOut("off"))

    cloud.refuses("CreateWebhook", "OperationDenied.WebhooksOff", 403, Url=URL)
    cloud.refuses("TestWebhook", "OperationDenied.WebhooksOff", 403, WebhookId=made)
