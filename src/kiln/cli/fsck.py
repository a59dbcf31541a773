"""``kiln fsck``: whether the pool holds what the database says."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from kiln.cli import exits
from kiln.cli.exits import Refusal
from kiln.cli.flags import Data, DatabaseAddress
from kiln.cli.grammar import Json, example, group
from kiln.cli.output import show_json, show_line
from kiln.service.assemble import assemble, hold_data_folder
from kiln.service.pairing import refuse_newer
from kiln.service.settings import read_settings
from kiln.upkeep.findings import is_well
from kiln.upkeep.fsck import fsck

app = group()


@app.command("fsck", epilog=example("kiln fsck --data ~/kiln", "kiln fsck --data ~/kiln --no-repair"))
def run(
    *,
    data: Data = None,
    database: DatabaseAddress = None,
    repair: Annotated[bool, typer.Option(help="Mend what can be mended, or only say what would be.")] = True,
    as_json: Json = False,
) -> None:
    """Compare the pool with the database, with the server stopped; explain and repair what differs.

    `repaired` is what a crash may leave; `pending` is work that goes on at the
    next start; `broken` is damage that cannot be mended here, and makes the exit
    code 10. Nothing is deleted that somebody names or nobody knows: a volume of
    which only the row is missing gets it back, and what nothing names is moved to
    pool/lost+found in the data folder. With --no-repair nothing is changed: what
    would be repaired is `repairable`, and makes the exit code 10 too.
    """
    settings = read_settings(os.environ, data=data, database=database, machines="none")
    if not settings.folder.pool.is_dir():
        raise Refusal(f"{settings.data} is not the data folder of a Kiln that has run", exits.FILE)
    refuse_newer(settings)
    with hold_data_folder(settings.data), assemble(settings) as assembly:
        say = (lambda _: None) if as_json else (lambda text: show_line(f"looking at {text}"))
        findings = fsck(assembly.ports, repair=repair, say=say)
    if as_json:
        show_json([vars(finding) for finding in findings])
    else:
        for finding in findings:
            show_line(f"{finding.sort:10}  {finding.subject}  {finding.text}")
        show_line("all is well" if is_well(findings) else "not all is well")
    if not is_well(findings):
        raise typer.Exit(exits.UNSOUND.number)
