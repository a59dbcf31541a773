"""``kiln trash``: what was deleted and can still be had back, on the machine where the service's data lies.

It works beside a running service, which then does what is written down for it,
and without one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from kiln.cli import exits
from kiln.cli.beside import settings_there
from kiln.cli.exits import Refusal
from kiln.cli.flags import Data, DatabaseAddress, Shared
from kiln.cli.grammar import Columns, Json, Quiet, Timeout, example, group
from kiln.cli.naming import ambiguous, is_id
from kiln.cli.output import Column, View, say, show_line, show_rows
from kiln.declare.ids import PREFIXES
from kiln.declare.letters import compose
from kiln.ground.clock import to_seconds_text
from kiln.ground.units import counted
from kiln.service import trash
from kiln.service.assemble import Assembly, assemble
from kiln.service.durations import to_seconds
from kiln.service.errors import SettingRefused
from kiln.service.settings import Settings
from kiln.upkeep.restore import NotRestorable
from kiln.upkeep.waiting import Entry

app = group()

_FORMS = "IDs, beginnings of IDs, or names"
_BEGINNING = re.compile("[a-z]+-[0-9a-z]*")

_COLUMNS = (
    Column("ID", "Id"),
    Column("NAME", "Name", is_prose=True),
    Column("STATE", "State"),
    Column("UNTIL", "Until"),
    Column("BYTES", "Bytes"),
    Column("WHAT", "Noun"),
    Column("DELETED", "Deleted"),
    Column("ACCOUNT", "Account"),
)


@app.command("list", epilog=example("kiln trash list"))
def show(
    *,
    data: Data = None,
    database: DatabaseAddress = None,
    shared: Shared = None,
    quiet: Quiet = False,
    wanted: Columns = None,
    as_json: Json = False,
) -> None:
    """List what was deleted and still waits, the newest first.

    UNTIL is when it goes at the soonest, if Kiln serves all the while; a pool
    that is short of room takes it sooner. Volumes are what nothing that was
    deleted names, such as layers that were merged.
    """
    with _assembly(settings_there(data, database, shared), is_quick=True) as assembly:
        found = trash.waiting(assembly)
    rows: list[dict[str, Any]] = [
        {
            "Id": one.id,
            "Noun": one.noun,
            "Name": one.name,
            "Account": one.account,
            "Deleted": to_seconds_text(one.deleted_at),
            "Bytes": one.allocated_bytes,
            "Until": to_seconds_text(one.until),
            "State": "restorable" if one.is_restorable else one.state,
        }
        for one in found.entries
    ]
    show_rows(rows, _COLUMNS, View(as_json=as_json, ids_only=quiet, columns=wanted))
    if not (as_json or quiet or wanted):
        entries = counted(len(rows), "entry", "entries")
        taken = f"{counted(found.volumes, 'volume')}, {counted(found.allocated_bytes, 'byte')}"
        say(f"{entries}; in the trash {'is' if found.volumes == 1 else 'are'} {taken}")
        if any(one.is_restorable and not one.allocated_bytes for one in found.entries):
            say("What takes no bytes was deleted just now, or its bytes are still those of something else.")


@app.command("restore", epilog=example("kiln trash restore m-bp1hvgwromzv32iq5v8d", "kiln trash restore web-1"))
def restore(
    given: Annotated[
        list[str],
        typer.Argument(help=f"Images, snapshots or disks that were deleted: {_FORMS}.", metavar="RESOURCE"),
    ],
    *,
    data: Data = None,
    database: DatabaseAddress = None,
    shared: Shared = None,
    timeout: Timeout = 60.0,
) -> None:
    """Put back what was deleted, under its own ID and name.

    An image comes back with the snapshots that it was made of. A disk comes back
    attached to nothing; one that was a system disk is a data disk then.
    """
    with _assembly(settings_there(data, database, shared), timeout) as assembly:
        entries = trash.waiting(assembly).entries
        for one in [_to_id(entries, text) for text in given]:
            trash.restore(assembly, one, timeout)
            show_line(f"{one} is back")


@app.command("empty", epilog=example("kiln trash empty --older-than 1h", "kiln trash empty m-bp1hvgwromzv32iq5v8d"))
def empty(
    given: Annotated[
        list[str] | None, typer.Argument(help=f"Only these; without any, all: {_FORMS}.", metavar="[RESOURCE]")
    ] = None,
    *,
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", help="Only what was deleted so long ago: 90s, 15m, 1h.", metavar="TIME"),
    ] = None,
    data: Data = None,
    database: DatabaseAddress = None,
    shared: Shared = None,
    timeout: Timeout = 60.0,
) -> None:
    """Give the space of what was deleted back now. It cannot be had back afterwards.

    A layer stays while something that is not given back stands on it.
    """
    seconds = None if older_than is None else to_seconds(older_than)
    if older_than is not None and seconds is None:
        raise SettingRefused(f"--older-than must be a duration such as 90s, 15m or 1h, not {older_than!r}")
    with _assembly(settings_there(data, database, shared), timeout) as assembly:
        entries = trash.waiting(assembly).entries if given else ()
        ids = [_to_id(entries, text) for text in given or ()]
        gained, left = trash.empty(assembly, ids, seconds, timeout)
    remains = f"{counted(left, 'byte')} {'is' if left == 1 else 'are'} left in the trash"
    show_line(f"gave back {counted(gained, 'byte')}; {remains}")


def _to_id(entries: Sequence[Entry], text: str) -> str:
    """The ID of what *text* names in the trash: an ID, a name, or a beginning of an ID that nothing else there has.

    A whole ID is given back as it is: whoever looks for it knows what else it may be of. Raises Refusal.
    """
    if any(is_id(noun, text) for noun in PREFIXES):
        return text
    name, begins = compose(text), _BEGINNING.fullmatch(text) is not None
    found = [one for one in entries if one.name == name != "" or (begins and one.id.startswith(text))]
    if not found:
        message = f"nothing in the trash has the name, or the beginning of an ID, {text!r}"
        raise Refusal(message, exits.REFUSED, "`kiln trash list` shows what there is.")
    if len(found) > 1:
        told = [(one.id, f"{one.noun} {one.name}, deleted {to_seconds_text(one.deleted_at)}") for one in found]
        raise ambiguous(text, told, "things in the trash", "any of them")
    return found[0].id


@contextmanager
def _assembly(settings: Settings, timeout_s: float = 0.0, *, is_quick: bool = False) -> Iterator[Assembly]:
    """The database and the pool beside a server that may be running; *is_quick* for who only looks."""
    with assemble(settings, say=None, is_quick=is_quick) as assembly:
        try:
            yield assembly
        except NotRestorable as error:
            raise Refusal(str(error), exits.REFUSED, error.hint) from error
        except trash.TaskFailed as error:
            raise Refusal(f"it failed: {error}", exits.FAILED_LATER, "The service's log says more.") from error
        except trash.NotDoneYet as error:
            message = f"it is not done after {timeout_s:g} s; the service goes on with it"
            raise Refusal(message, exits.TOO_LONG) from error
