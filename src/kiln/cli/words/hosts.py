"""``kiln host``: the hosts of a deployment, on a machine where a service's data lies."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from kiln.cli import exits
from kiln.cli.beside import beside
from kiln.cli.exits import Refusal
from kiln.cli.flags import Data, DatabaseAddress, Shared
from kiln.cli.grammar import Columns, Json, Quiet, example, group
from kiln.cli.output import Column, View, note, say, show_line, show_rows
from kiln.ground.clock import to_seconds_text
from kiln.ground.units import counted
from kiln.service.draining import DrainingEnded, Emptying, Leaving
from kiln.service.hosts import (
    SEVERAL,
    HostUnknown,
    KnownHost,
    NotForgotten,
    bound_to,
    count_on,
    drain,
    forget,
    known_hosts,
)

_LOOK_S = 0.5  #: Between two looks at what leaves a host.

app = group()

_COLUMNS = (
    Column("HOST", "Host"),
    Column("STATE", "State"),
    Column("INSTANCES", "Instances"),
    Column("CPUS", "Cpus"),
    Column("MIB", "MemoryMib"),
    Column("SEEN", "Seen"),
    Column("ADDRESS", "Address"),
    Column("SINCE", "Since"),
)


@app.command("list", epilog=example("kiln host list"))
def show(
    *,
    data: Data = None,
    database: DatabaseAddress = None,
    shared: Shared = None,
    quiet: Quiet = False,
    wanted: Columns = None,
    as_json: Json = False,
) -> None:
    """List the hosts that have, or had, machines of this database.

    INSTANCES counts those whose machines are there. CPUS and MIB of memory are what a
    host has for guests: as many as KILN_GUEST_CPUS says, or four for each processor
    of its own, since most guests have nothing to do; and most of its memory. SEEN is
    when its process was seen last, and ADDRESS where that answers; no process serves
    a host that has none. Where one Kiln alone works with a database, that knows of no
    processes.
    """
    with beside(data, database, shared) as it:
        rows = [_row(one) for one in known_hosts(it.database)]
    show_rows(rows, _COLUMNS, View(as_json=as_json, ids_only=quiet, columns=wanted))


@app.command("forget", epilog=example("kiln host forget rack-3 --dry-run", "kiln host forget rack-3"))
def run_forget(
    name: Annotated[str, typer.Argument(metavar="HOST", help="Its name.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")] = False,
    data: Data = None,
    database: DatabaseAddress = None,
    shared: Shared = None,
) -> None:
    """Give up a host that does not come back, at once and for good.

    Its instances are Stopped, and can be started elsewhere; what waited for it is
    done by others. That is done by itself once its process is silent for longer than
    KILN_HOST_GRACE, but not where that ended in order. Make sure that its machines do
    not run any more: one that does keeps its disks, and on Ceph it is cut off from
    them by the next start. It is refused while a process serves the host. One that
    comes under the name again ends the machines that it had, and is a host as before.
    """
    with beside(data, database, shared) as it:
        try:
            bound = bound_to(it.database, name)
            would = "would be" if dry_run else "will be"
            say(f"{counted(len(bound), 'instance')} of {name} {would} Stopped")
            for instance in bound:
                say(f"  {instance}")
            if not dry_run:
                forget(it.database, name)
                show_line(f"{name} is forgotten")
        except NotForgotten as error:
            raise Refusal(str(error), exits.REFUSED, error.hint) from error


@app.command("drain", epilog=example("kiln host drain node-3", "kiln host drain node-3 --by-stop"))
def run_drain(
    name: Annotated[str, typer.Argument(help="A host, as `kiln host list` shows it.", metavar="HOST")],
    *,
    undo: Annotated[bool, typer.Option("--undo", help="Let instances be started there again.")] = False,
    by_stop: Annotated[
        bool, typer.Option("--by-stop", help="Stop what runs there, and start it on other hosts.")
    ] = False,
    data: Data = None,
    database: DatabaseAddress = None,
    shared: Shared = None,
) -> None:
    """Empty a host, as before it is switched off: no instance is started there any more, and those that run leave it.

    What is to start waits for another host that has room. What runs there goes to other
    hosts while it runs, where that can be: from QEMU to the same QEMU, with disks in a
    shared folder, encrypted or not, or on Ceph. Its connections to other guests of its VPC
    go on, those by a public address and by the way out end; with user networking all end.
    With --by-stop each is stopped instead, and started elsewhere: its guest is asked to shut
    down, and its power is cut where it does not. One that cannot move, or that no other host
    has room for, runs on, is named with the reason, and makes the exit code 11. Ctrl-C ends
    the watching alone; --undo keeps where they are those that have not begun to move.
    """
    if undo and by_stop:
        raise Refusal("give one of --undo and --by-stop", exits.USAGE)
    with beside(data, database, shared) as it:
        if it.database.is_sqlite:
            message = "one Kiln alone works with this database, and no other host could start anything"
            raise Refusal(message, exits.REFUSED, SEVERAL)
        try:
            drain(it.database, name, is_draining=not undo)
            stay = [] if undo else _empty(Emptying(it.database, name, it.clock, by_stop=by_stop))
            left = count_on(it.database, name)
        except HostUnknown as error:
            raise Refusal(f"there is no host {name}", exits.REFUSED, "`kiln host list` shows them.") from error
        except DrainingEnded as error:
            raise Refusal(str(error), exits.PARTLY, error.hint) from error
    told = "starts instances again" if undo else "starts no instance any more"
    show_line(f"{name} {told}; it has {counted(left, 'instance')}")
    if stay:
        raise typer.Exit(exits.PARTLY.number)


def _empty(emptying: Emptying) -> list[Leaving]:
    """Say how far each instance is until none is left that could move; returns those that stay."""
    said: dict[str, str] = {}
    try:
        while True:
            found = emptying.look()
            for one in found:
                if said.get(one.instance) != one.text:
                    said[one.instance] = one.text
                    say(f"{one.instance} {one.text}")
            if all(one.is_over for one in found):
                return [one for one in found if one.stays]
            time.sleep(_LOOK_S)
    except (KeyboardInterrupt, SystemExit):
        note("\nkiln: no longer watching\n(What was asked to leave still does; the same again watches on.)")
        raise


def _row(host: KnownHost) -> dict[str, Any]:
    process = host.process
    return {
        "Host": host.row.name,
        "State": host.row.state,
        "Instances": host.instances,
        "Cpus": host.row.cpus,
        "MemoryMib": host.row.memory_mib,
        "Seen": to_seconds_text(host.seen_at),
        "Address": "" if process is None else process.address,
        "Since": to_seconds_text(host.row.since),
    }
