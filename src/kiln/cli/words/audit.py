"""``kiln audit``: who changed what, a line each; of the caller's account, or of all in a data folder."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Annotated, Any

import typer

from kiln.cli import exits, output
from kiln.cli.beside import beside
from kiln.cli.completing import of_choices
from kiln.cli.exits import Refusal
from kiln.cli.flags import Data, DatabaseAddress, Shared
from kiln.cli.grammar import Region, example, group
from kiln.cli.naming import NAMED, noun_by_id, to_id, word_of
from kiln.cli.session import open_client
from kiln.client.client import Client
from kiln.declare.cloud_events import written
from kiln.ground.clock import from_text, system_clock, to_seconds_text
from kiln.service import trail
from kiln.service.durations import to_seconds

app = group()

_EVERY_S = 2.0  #: So often is asked for more.
#: So far back, since events come late: a call is told with its time when it was begun, one that was refused 10 s later.
_LATE_S = 30.0

_ID = "ResourceName"  #: What events call an ID by which something is called.
#: What has names, as --noun says it.
_NOUNS = {word_of(noun): noun for noun in NAMED if NAMED[noun].name}

#: Tells the events from a time on, the oldest first.
_Source = Callable[[float], Iterator[dict[str, Any]]]


@app.command("audit", epilog=example("kiln audit --since 7d --resource m-bp146shijn7hujku8a5c", "kiln audit --follow"))
def run(
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is changed from here on.")] = False,
    user: Annotated[
        str | None,
        typer.Option("--user", help="Only calls of root, of this person, or of this ROLE:SESSION.", metavar="USER"),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Only calls of this action.", metavar="ACTION")] = None,
    resource: Annotated[
        str | None,
        typer.Option("--resource", help="Only calls that name this ID; with --noun also a name.", metavar="ID"),
    ] = None,
    noun: Annotated[
        str | None,
        typer.Option(
            "--noun",
            help=f"What the resource is: one of {', '.join(_NOUNS)}.",
            metavar="NOUN",
            autocompletion=of_choices(_NOUNS),
        ),
    ] = None,
    region: Region = None,
    key: Annotated[str | None, typer.Option("--key", help="Only calls that this key signed.", metavar="KEY")] = None,
    since: Annotated[
        str, typer.Option("--since", help="From when on: 15m, 24h or 7d ago, or a time in UTC.", metavar="TIME")
    ] = "24h",
    data: Data = None,
    database: DatabaseAddress = None,
    shared: Shared = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print each event in JSON, one a line.")] = False,
) -> None:
    """Show who changed what, and follow it.

    These are calls that changed something or were refused, the oldest first.
    It tells of the caller's account; with --data, --database or --shared of all accounts of
    the Kiln whose those are. Secrets are not in it. Calls that were refused come within ten seconds, those
    that are alike as one that counts them.
    """
    start, is_beside = _start(since), (data, database, shared) != (None, None, None)
    if noun is not None:
        _require_noun(noun, resource, is_beside=is_beside)
    keys = (("User", user), ("EventName", name), (_ID, resource), ("EventAccessKeyId", key))
    wanted = [(one, value) for one, value in keys if value is not None]
    with ExitStack() as stack:
        if is_beside:
            records = stack.enter_context(beside(data, database, shared))
            source: _Source = lambda since: trail.told(records.database, since, wanted)  # noqa: E731 - see its type.
        else:
            client = stack.enter_context(open_client(region))
            if noun is not None and resource is not None:
                wanted = [*(one for one in wanted if one[0] != _ID), (_ID, to_id(client, _NOUNS[noun], resource))]
            source = lambda since: _told(client, since, wanted)  # noqa: E731 - see its type.
        try:
            is_any = _show(source, start, follow=follow, as_json=as_json)
        except KeyboardInterrupt:
            # Without a word: to be interrupted is how it ends.
            raise SystemExit(exits.INTERRUPTED.number) from None
    if not is_any and resource and noun is None and not noun_by_id(resource):
        output.note(f"{resource!r} is no ID, and nothing is called by it alone; a name counts together with --noun.")


def _require_noun(noun: str, resource: str | None, *, is_beside: bool) -> None:
    """Raise typer.BadParameter where a name can't be looked up."""
    if noun not in _NOUNS:
        raise typer.BadParameter(f"{noun!r} is none of {', '.join(_NOUNS)}")
    if resource is None:
        raise typer.BadParameter("--noun says what --resource is: give both")
    if is_beside:
        raise typer.BadParameter("a name is looked up by the service: give an ID where the data is read")


def _start(text: str) -> float:
    ago = to_seconds(text)
    start = from_text(text) if ago is None else system_clock() - ago
    if start is None:
        raise Refusal(f"--since must be 15m, 24h, 7d or a time such as 2026-11-23T06:07:05Z, not {text!r}", exits.USAGE)
    return start


def _told(client: Client, since: float, wanted: Sequence[tuple[str, str]]) -> Iterator[dict[str, Any]]:
    given: dict[str, Any] = {"Direction": "FORWARD", "StartTime": to_seconds_text(since), "MaxResults": 50}
    if wanted:
        given["LookupAttribute"] = [{"Key": key, "Value": value} for key, value in wanted]
    while True:
        answer = client.call("LookupEvents", given)
        yield from answer["Events"]
        if not answer["NextToken"]:
            return
        given["NextToken"] = answer["NextToken"]


def _show(source: _Source, start: float, *, follow: bool, as_json: bool) -> bool:
    """Show the events, and for *follow* those to come; tells whether there was any."""
    is_any = False
    shown: dict[str, float] = {}
    while True:
        for event in source(start):
            if event["eventId"] in shown:
                continue
            is_any = True
            if follow:
                shown[event["eventId"]] = from_text(event["eventTime"]) or start
            sys.stdout.write(written(event).decode() + "\n") if as_json else output.show_line(_line(event))
        sys.stdout.flush()
        if not follow:
            return is_any
        start = max(start, max(shown.values(), default=start) - _LATE_S)
        shown = {event: when for event, when in shown.items() if when >= start - 1}
        time.sleep(_EVERY_S)


def _line(event: dict[str, Any]) -> str:
    who = event["userIdentity"]
    about = ",".join(name for names in event["referencedResources"].values() for name in names)
    count = event["additionalEventData"].get("Count", 1)
    refused = f"  {event['errorCode']}" + (f" ({count} times)" if count > 1 else "") if event["errorCode"] else ""
    caller = who["accessKeyId"] if who["userName"] == "root" else who["userName"]
    return f"{event['eventTime']}  {who['accountId']}  {caller}  {event['eventName']}  {about or '-'}{refused}"
