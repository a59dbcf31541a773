"""``kiln support``: a bundle for a report of a fault, on the machine where the service's data lies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kiln.cli.beside import settings_there
from kiln.cli.ending import orderly
from kiln.cli.flags import Data, DatabaseAddress, Shared
from kiln.cli.grammar import example, group
from kiln.cli.output import note, show_line
from kiln.ground.clock import system_clock
from kiln.service.backups.finding import moment_text
from kiln.service.support.bundle import Wanted, collect

app = group()


@app.command("support", epilog=example("kiln support", "kiln support --anonymous -o /tmp/kiln.tar.gz"))
def run(
    *,
    to_file: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The file; kiln-support-TIME.tar.gz when not given.", metavar="FILE"),
    ] = None,
    anonymous: Annotated[
        bool, typer.Option("--anonymous", help="Take out names that people gave, and addresses.")
    ] = False,
    log: Annotated[
        Path | None,
        typer.Option("--log", help="The service's log; the journal of the unit kiln when not given.", metavar="FILE"),
    ] = None,
    data: Data = None,
    database: DatabaseAddress = None,
    shared: Shared = None,
) -> None:
    """Collect what a report of a fault needs, without secrets.

    Versions, settings, what `kiln doctor` and `kiln fsck` say, counts, tasks that
    failed, and the end of the logs, in one file that its owner alone can read. No
    key, password, user data, row or console is in it; secrets that stand in a log
    are masked. Nothing is changed, and it works on what is broken, too. Look
    through the file before you give it away.
    """
    settings = settings_there(data, database, shared)
    path = to_file or Path(f"kiln-support-{moment_text(system_clock())}.tar.gz")
    with orderly():
        parts = collect(settings, path, Wanted(is_anonymous=anonymous, log=log), note)
    show_line(f"{path}  {', '.join(parts)}")
