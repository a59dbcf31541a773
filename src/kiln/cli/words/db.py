"""``kiln db``: the database itself, on the machine where the service's data lies."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from kiln.cli import exits
from kiln.cli.beside import settings_there
from kiln.cli.ending import orderly
from kiln.cli.flags import Data, DatabaseAddress, Shared
from kiln.cli.grammar import Json, example, group
from kiln.cli.output import note, progress_shown, show_json, show_line
from kiln.ground.units import counted
from kiln.service.migrating import NEWEST, migrate, planned
from kiln.service.moving import EMBEDDED, copy_database, place_of, target_of
from kiln.service.settings import read_settings
from kiln.service.surveying import survey

app = group()


@app.command("migrate", epilog=example("kiln db migrate --dry-run", "kiln db migrate"))
def run_migrate(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")] = False,
    data: Data = None,
    database: DatabaseAddress = None,
    shared: Shared = None,
) -> None:
    """Make the tables, or bring them to the newest version, before a service does it at its start.

    Of SQLite, where the service has to be stopped, a copy is kept beside it first. In
    PostgreSQL it may be done while a service of the version before runs: what is
    added it passes over. All of it is one transaction.
    """
    settings = read_settings(os.environ, data=data, database=database, shared=shared, machines="none")
    steps = planned(settings)
    for step in steps:
        show_line(f"{'would ' if dry_run else ''}{step}")
    if not steps:
        show_line(f"{place_of(settings)} is of version {NEWEST}: nothing is to be done")
    elif not dry_run:
        migrate(settings, note)
        show_line(f"{place_of(settings)} is of version {NEWEST} now")


@app.command("check", epilog=example("kiln db check", "kiln db check --json"))
def run_check(
    *, data: Data = None, database: DatabaseAddress = None, shared: Shared = None, as_json: Json = False
) -> None:
    """Look at the database alone: server, rights, encoding, clock, tables, and what rows say of each other.

    A service may run meanwhile, and nothing is changed. What is not well is said
    with `bad` before it, and makes the exit code 10. `kiln fsck` compares the rows
    with the pool, too.
    """
    settings = settings_there(data, database, shared)
    looks = []
    for one in survey(settings):
        looks.append(one)
        if not as_json:
            show_line(f"{'ok' if one.is_well else 'bad':3}  {one.what:6}  {one.text}")
    if as_json:
        show_json([{"What": one.what, "IsWell": one.is_well, "Text": one.text} for one in looks])
    if not all(one.is_well for one in looks):
        raise typer.Exit(exits.UNSOUND.number)


@app.command("copy", epilog=example("kiln db copy --to postgresql://kiln@db.example/kiln", "kiln db copy --to sqlite"))
def run_copy(
    *,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            help="The address of a database in PostgreSQL; or `sqlite`, the one in the data folder.",
            metavar="ADDRESS",
        ),
    ],
    data: Data = None,
    database: DatabaseAddress = None,
    shared: Shared = None,
    as_json: Json = False,
) -> None:
    """Copy all rows into another database, compare each, and leave the first as it is; the server stopped.

    The other one has no rows yet. Its rows are there all together, or none is: one
    that was interrupted is begun again. A password comes from
    KILN_DATABASE_PASSWORD or the file that KILN_DATABASE_PASSWORD_FILE names.
    Afterwards serve the same data folder with --database ADDRESS (without it after
    `sqlite`); from that start on the pool refuses the database of before.
    """
    settings = settings_there(data, database, shared)
    if to != EMBEDDED:
        read_settings(os.environ, data=data, database=to, machines="none")
    target = target_of(settings, to)
    with orderly():
        rows = copy_database(settings, target, note, progress_shown())
    if as_json:
        show_json({"Rows": rows, "From": place_of(settings), "To": place_of(target)})
        return
    show_line(f"copied {counted(rows, 'row')} from {place_of(settings)} to {place_of(target)}, and compared each")
    named = "" if settings.shared is None else f" --shared {settings.shared}"
    named += f" --database {place_of(target)}" if target.database else ""
    show_line(f"`kiln serve --data {settings.data}{named}` goes on with them")
