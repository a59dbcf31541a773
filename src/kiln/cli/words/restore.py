"""``kiln restore``: a data folder made of a backup."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from kiln.cli import exits
from kiln.cli.ending import orderly
from kiln.cli.flags import Data, DatabaseAddress, Shared
from kiln.cli.grammar import example, group
from kiln.cli.output import note, progress_shown, show_line
from kiln.ground.units import counted
from kiln.service.backups.restoring import examine_restored, restore
from kiln.service.settings import read_settings
from kiln.upkeep.findings import is_well

app = group()


@app.command("restore", epilog=example("kiln restore /backup/kiln --data /var/lib/kiln"))
def run(
    source: Annotated[
        Path, typer.Argument(help="A backup, or the folder of several: then the newest.", metavar="FROM")
    ],
    *,
    data: Data = None,
    database: DatabaseAddress = None,
    shared: Shared = None,
) -> None:
    """Make a data folder out of a backup, and examine it as `kiln fsck` does.

    The folder has to be empty or not there yet. Each file is compared with what
    was written; where one differs nothing is left of the try. Instances come back
    Stopped at the next start. A backup of an older Kiln is upgraded, one of a
    newer is refused.

    While the Kiln that it is a copy of still runs elsewhere there are two with the
    same keys: start one of them.
    """
    settings = read_settings(os.environ, data=data, database=database, shared=shared, machines="none")
    with orderly():
        said = restore(settings, source, progress_shown())
        show_line(f"restored {counted(len(said.files), 'file')}, {said.bytes} bytes, of {said.made_at}")
        for what in said.lacks:
            show_line(f"not in the backup: {what}")
        findings = examine_restored(settings, note)
    for finding in findings:
        show_line(f"{finding.sort:10}  {finding.subject}  {finding.text}")
    show_line("all is well" if is_well(findings) else "not all is well")
    if not is_well(findings):
        raise typer.Exit(exits.UNSOUND.number)
