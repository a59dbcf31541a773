"""``kiln wait``: until something is in a state, or gone."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

import typer

from kiln.cli.grammar import DEFAULT_TIMEOUT_S, Region, Timeout, example, group
from kiln.cli.naming import noun_by_id, to_id
from kiln.cli.session import open_client
from kiln.cli.several import end, try_each
from kiln.cli.waiting import Begun, wait
from kiln.client.waiters import NOUNS
from kiln.declare.states import MOVES, DiskStatus, ImageStatus, InstanceStatus, SnapshotStatus, TaskStatus

app = group()

#: What each is by itself when the work on it is done.
_USUAL = {
    "image": "Available",
    "snapshot": "accomplished",
    "disk": "Available",
    "instance": "Running",
    "task": "Finished",
}

_STATUSES: Mapping[str, type[StrEnum]] = {
    "image": ImageStatus,
    "snapshot": SnapshotStatus,
    "disk": DiskStatus,
    "instance": InstanceStatus,
    "task": TaskStatus,
}

_BY_STATE = {state: [f"{noun}s" for noun in _USUAL if _USUAL[noun] == state] for state in _USUAL.values()}
_SAID = ", ".join(f"{state} for {' and '.join(nouns)}" for state, nouns in _BY_STATE.items())

_EXAMPLE = example(
    "kiln wait m-bp146shijn7hujku8a5c",
    "kiln wait web --noun instance --until Stopped",
    "kiln wait d-bp131n0q38u3a4zi9p2k --gone",
)


@app.command("wait", epilog=_EXAMPLE)
def run(
    resources: Annotated[
        list[str], typer.Argument(metavar="ID...", help="IDs, or beginnings of IDs; with --noun also names.")
    ],
    *,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="STATE", help=f"The state; without it {_SAID}."),
    ] = None,
    gone: Annotated[bool, typer.Option("--gone", help="Instead of a state: until it is no more.")] = False,
    noun: Annotated[
        str | None,
        typer.Option("--noun", metavar="NOUN", help=f"What they are: one of {', '.join(NOUNS)}."),
    ] = None,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    region: Region = None,
) -> None:
    """Wait until something is in a state, or gone.

    It may be images, snapshots, disks, instances or tasks. One that comes to rest
    in another state ends the wait with exit code 7.
    """
    if gone and until is not None:
        raise typer.BadParameter("give either --until or --gone")
    if noun is not None and noun not in NOUNS:
        raise typer.BadParameter(f"{noun!r} is none of {', '.join(NOUNS)}")
    nouns = {text: noun or _noun_of(text) for text in resources}
    for kind in nouns.values() if until is not None else ():
        _require_state(kind, until)
    with open_client(region) as client:

        def one(text: str) -> None:
            kind = nouns[text]
            resource = to_id(client, kind, text, by_name=noun is not None)
            wait(client, Begun(kind, resource, None if gone else until or _USUAL[kind]), timeout)

        _, failed = try_each(nouns, one)
    end(failed)


def _require_state(noun: str, until: str | None) -> None:
    """Raise typer.BadParameter for what a *noun* never is: the wait for it would not end."""
    moves = MOVES[_STATUSES[noun]]
    reached = {*moves, *(after for some in moves.values() for after in some)}
    states = [state for state in _STATUSES[noun] if state in reached]
    if until not in states:
        raise typer.BadParameter(f"{until!r} is no state of any {noun}: give one of {', '.join(states)}")


def _noun_of(text: str) -> str:
    noun = noun_by_id(text)
    if noun not in NOUNS:
        message = f"{text!r} is no ID that says what it is of: give --noun with one of {', '.join(NOUNS)}"
        raise typer.BadParameter(message)
    return noun
