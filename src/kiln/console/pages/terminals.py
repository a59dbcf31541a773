"""The serial console of an instance, to see and to type into."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from kiln.console.nouns import detail
from kiln.console.pages.instances import INSTANCES
from kiln.console.telling import told
from kiln.console.visit import Page, Shown, Visit

_AT = "/instances/{id}/terminal"


def show(visit: Visit) -> Shown:
    """The page, which starts a session by itself when it is there."""
    row = detail.find(INSTANCES, visit, visit.args["id"])
    return {"id": row["InstanceId"], "name": row["InstanceName"]}


@told
def start(visit: Visit) -> Mapping[str, object]:
    """A session: the path at which the browser joins it, at the server that the page came from.

    The path holds a token that does once. It is in no page, and nothing keeps the answer.
    """
    row = detail.find(INSTANCES, visit, visit.args["id"])
    url = urlsplit(visit.call("StartTerminalSession", InstanceId=[row["InstanceId"]])["WebSocketUrl"])
    return {"path": visit.place.reached(f"{url.path}?{url.query}")}


PAGES: tuple[Page, ...] = (
    Page(at=_AT, run=show, template="terminal.html", is_heavy=True),
    Page(at=_AT, run=start, method="POST"),
)
