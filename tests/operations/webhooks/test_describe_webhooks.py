"""DescribeWebhooks, as a caller meets it."""

from __future__ import annotations

from tests.clouds import OTHER


def test_lists_an_accounts_own_the_newest_first(cloud):
    made = [
        cloud.call("CreateWebhook", {"Type.1": "kiln:Disk:StateChange"}, Url=f"https://events.example.com/{n}")
        for n in range(2)
    ]
    cloud.call("CreateWebhook", Url="https://events.example.com/", account=OTHER)
    answer = cloud.call("DescribeWebhooks")

    found = answer["Webhooks"]["Webhook"]
    assert [one["WebhookId"] for one in found] == [one["WebhookId"] for one in reversed(made)]
    assert answer["TotalCount"] == 2
    assert found[0]["Types"] == {"Type": ["kiln:Disk:StateChange"]}
    assert (found[0]["Status"], found[0]["LastTryTime"], found[0]["WaitingCount"]) == ("On", "", 0)
    assert made[0]["Secret"] not in str(answer)
    (one,) = cloud.call("DescribeWebhooks", WebhookId=made[0]["WebhookId"])["Webhooks"]["Webhook"]
    assert one["Url"] == "https://events.example.com/0"
