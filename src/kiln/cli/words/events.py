"""``kiln events``: what changes, a line each, for as long as somebody looks."""

from __future__ import annotations

import fnmatch
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from kiln.cli import exits, output
from kiln.cli.grammar import example, group
from kiln.cli.naming import noun_by_id
from kiln.cli.session import open_client
from kiln.client.feed import Heard
from kiln.declare.cloud_events import PROGRESS_TYPES, STATE_TYPES, written
from kiln.ground.values import dataclass

app = group()

_TYPES = (*STATE_TYPES, *PROGRESS_TYPES)
_MISSED = "changes were missed: look again at what is of interest"

_EXAMPLE = example(
    "kiln events",
    "kiln events --resource m-bp146shijn7hujku8a5c --json",
    "kiln events --type 'ecs:Snapshot:*' --type kiln:Image:StateChange",
)

Types = Annotated[
    list[str] | None,
    typer.Option("--type", help="Only events of this type; may be repeated, and have stars.", metavar="TYPE"),
]
Resources = Annotated[
    list[str] | None,
    typer.Option("--resource", help="Only what is about this ID or name; may be repeated.", metavar="RESOURCE"),
]


@dataclass(frozen=True)
class _Wanted:
    types: Sequence[str]
    resources: Sequence[str]
    region: str | None
    with_progress: bool

    def has(self, event: dict[str, Any]) -> bool:
        """Whether somebody asked for it."""
        kind, data = event["type"], event["data"]
        is_of_type = any(fnmatch.fnmatchcase(kind, pattern) for pattern in self.types)
        if not is_of_type and (self.types or (kind in PROGRESS_TYPES and not self.with_progress)):
            return False
        if self.resources and data["resourceId"] not in self.resources and data["resourceName"] not in self.resources:
            return False
        return self.region is None or event.get("aliyunregionid") == self.region


@app.command("events", epilog=_EXAMPLE)
def run(
    *,
    type: Types = None,  # noqa: A002 - what is given has the name of its option.
    resource: Resources = None,
    progress: Annotated[bool, typer.Option("--progress", help="Also changes in which the state stays.")] = False,
    region: Annotated[
        str | None, typer.Option("--region", help="Only what is in this region; else all.", metavar="REGION")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print each event as a CloudEvent, one a line.")] = False,
) -> None:
    """Follow what changes in the account, while it happens.

    It goes on until it is interrupted. Where the connection breaks it is made
    again, and standard error says that something may have been missed.
    """
    for pattern in type or ():
        if not fnmatch.filter(_TYPES, pattern):
            raise typer.BadParameter(f"no event is of the type {pattern!r}: give one of {', '.join(_TYPES)}")
    wanted = _Wanted(type or (), resource or (), region, progress)
    try:
        with open_client(region) as client:
            for heard in client.feed():
                _tell(heard, wanted, as_json=as_json)
    except KeyboardInterrupt:
        # Without a word: to be interrupted is how it ends.
        raise SystemExit(exits.INTERRUPTED.number) from None


def _tell(heard: Heard, wanted: _Wanted, *, as_json: bool) -> None:
    if heard.word == "missed":
        output.note(f"kiln: {_MISSED}")
    elif heard.word == "lost":
        output.note(f"kiln: the stream broke ({heard.reason}); it is opened again; {_MISSED}")
    elif heard.word == "listening":
        output.note("kiln: listening; what changes from here on is told")
    elif heard.event is not None and wanted.has(heard.event):
        if as_json:
            sys.stdout.write(written(heard.event).decode() + "\n")
        else:
            output.show_line(_line(heard.event))
        sys.stdout.flush()


def _line(event: dict[str, Any]) -> str:
    data = event["data"]
    before = f"{data['previousState']} -> " if data["previousState"] not in (None, data["state"]) else ""
    name = f"  {data['resourceName']}" if data["resourceName"] else ""
    noun = noun_by_id(data["resourceId"]) or event["type"].split(":")[1].lower()
    return f"{event['time']}  {noun:8}  {data['resourceId']}{name}  {before}{data['state']}"
