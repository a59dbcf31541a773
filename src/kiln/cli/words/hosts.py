"""``kiln host``: the hosts of a deployment, on a machine where a service's data lies."""

from __future__ import annotations

from typing import Any

from kiln.cli.beside import beside
from kiln.cli.flags import Data, DatabaseAddress, Shared
from kiln.cli.grammar import Columns, Json, Quiet, example, group
from kiln.cli.output import Column, View, show_rows
from kiln.ground.clock import to_seconds_text
from kiln.service.hosts import KnownHost, known_hosts

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


@app.callback()
def _words() -> None:
    # With one word below it, and without this, a word would be taken for that one.
    """List the hosts that have machines."""


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
    host has for guests. SEEN is when its process was seen last, and ADDRESS where
    that answers; no process serves a host that has none. Where one Kiln alone works
    with a database, that knows of no processes.
    """
    with beside(data, database, shared) as it:
        rows = [_row(one) for one in known_hosts(it.database)]
    show_rows(rows, _COLUMNS, View(as_json=as_json, ids_only=quiet, columns=wanted))


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
