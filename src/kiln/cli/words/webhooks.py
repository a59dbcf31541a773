"""``kiln webhook``: have URLs be told of what changes, list them, test them and delete them."""

from __future__ import annotations

import time
from typing import Any

from kiln.cli import exits, output
from kiln.cli.calling import call_each
from kiln.cli.declared import Given, Takes, declared
from kiln.cli.exits import Refusal
from kiln.cli.grammar import Json, Region, Timeout, example, group
from kiln.cli.listings import listing
from kiln.cli.output import Column
from kiln.cli.session import open_client
from kiln.client.client import Client

app = group()

_LOOK_S = 0.2

COLUMNS = (
    Column("WEBHOOK", "WebhookId"),
    Column("URL", "Url"),
    Column("STATUS", "Status"),
    Column("WAITING", "WaitingCount"),
    Column("DELIVERED", "DeliveredCount"),
    Column("MISSED", "MissedCount"),
    Column("LAST TRY", "LastTryTime"),
    Column("LAST ERROR", lambda row: row["Reason"] or row["LastError"], is_prose=True),
    Column("TYPES", "Types"),
)

CREATE = Takes("CreateWebhook", arguments=("Url",), names={"Type": "type"})
TEST = Takes("TestWebhook", arguments=("WebhookId",))
DELETE = Takes("DeleteWebhook", arguments=("WebhookId",), is_of_several=True)


@declared(app, "create", CREATE, example("kiln webhook create https://events.example.com/kiln"))
def create_webhook(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Have a URL be told of what changes in the account.

    The secret that its signatures are made with is printed below the ID, now and
    never again: keep it.
    """
    with open_client(region) as client:
        answer = client.call("CreateWebhook", given.resolved(client))
    output.show_made(answer, answer["WebhookId"], answer["Secret"], as_json=as_json)


listing(
    app,
    Takes("DescribeWebhooks"),
    COLUMNS,
    "List the webhooks of the account, and how each of them fares.",
    "kiln webhook list",
)


@declared(app, "test", TEST, example("kiln webhook test wh-bp67acfmxazb4p8xk3ie"))
def try_webhook(given: Given, *, timeout: Timeout = 60.0, region: Region = None, as_json: Json = False) -> None:
    """Tell a webhook an event of its own, and wait for its answer.

    One that was switched off is switched on again by it.
    """
    with open_client(region) as client:
        before = _shown(client, given)
        answer = client.call("TestWebhook", given.resolved(client))
        until = time.monotonic() + timeout
        while _waits(now := _shown(client, given)) and not _has_failed(before, now):
            if time.monotonic() > until:
                raise Refusal(f"it is not told after {timeout:g} s; the service goes on with it", exits.TOO_LONG)
            time.sleep(_LOOK_S)
    if now["LastError"]:
        raise Refusal(f"{now['Url']}: {now['LastError']}", exits.FAILED_LATER)
    output.show_made(answer, f"{now['Url']} answered {now['LastStatus']}", as_json=as_json)


def _shown(client: Client, given: Given) -> dict[str, Any]:
    """How the webhook fares. Raises Refusal where there is none."""
    id_ = str(given.params["WebhookId"])
    found = next(client.rows("DescribeWebhooks", WebhookId=id_), None)
    if found is None:
        raise Refusal(f"there is no webhook {id_}", exits.REFUSED, "`kiln webhook list` lists those that there are.")
    return found


def _waits(now: dict[str, Any]) -> bool:
    """Whether it is to be told something at once: what failed before may go on failing for hours."""
    return bool(now["WaitingCount"] > now.get("HeldCount", 0))


def _has_failed(before: dict[str, Any], now: dict[str, Any]) -> bool:
    """Whether it was tried since, in vain."""
    return bool(now["LastError"]) and now["LastTryTime"] != before["LastTryTime"]


@declared(app, "delete", DELETE, example("kiln webhook delete wh-bp67acfmxazb4p8xk3ie"))
def delete_webhooks(given: Given, *, region: Region = None, as_json: Json = False) -> None:
    """Tell URLs nothing more; what waits for them is forgotten."""
    call_each(given, region, as_json=as_json)
