"""``kiln backup``: copies of a whole Kiln, made while it runs, on the machine where its data lies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kiln.cli import exits
from kiln.cli.beside import settings_there
from kiln.cli.ending import orderly
from kiln.cli.flags import Data, DatabaseAddress, Shared
from kiln.cli.grammar import Json, Leading, Timeout, example, group
from kiln.cli.output import note, progress_shown, show_json, show_line
from kiln.ground.units import counted
from kiln.service.backups import finding, manifest
from kiln.service.backups.errors import BackupBroken, BackupRefused
from kiln.service.backups.examining import examine
from kiln.service.backups.taking import Taken, Wish, take

app = group(Leading)

Source = Annotated[Path, typer.Argument(help="A backup, or the folder of several: then the newest.", metavar="FROM")]


@app.command("create", epilog=example("kiln backup create /backup/kiln", "kiln backup /backup/kiln --buckets --keep 7"))
def create(
    to: Annotated[Path, typer.Argument(help="The folder in which backups lie beside each other.", metavar="TO")],
    *,
    secrets: Annotated[
        bool,
        typer.Option("--secrets/--without-secrets", help="Whether the keys are kept: who has them has everything."),
    ] = True,
    buckets: Annotated[bool, typer.Option("--buckets", help="Keep the objects of buckets, too.")] = False,
    without: Annotated[
        list[str] | None,
        typer.Option(
            "--without",
            help="An instance that is not waited for: its disks are kept as of their last capture. Several times.",
            metavar="INSTANCE",
        ),
    ] = None,
    keep: Annotated[
        int | None,
        typer.Option(
            "--keep",
            min=1,
            help="Keep the newest so many whole ones of this Kiln in TO, and remove what is older.",
            metavar="N",
        ),
    ] = None,
    data: Data = None,
    database: DatabaseAddress = None,
    shared: Shared = None,
    timeout: Timeout = 600.0,
    as_json: Json = False,
) -> None:
    """Keep a consistent copy of database and pool, while everything runs.

    The disks of instances that run are captured as for an image of them:
    each instance at one instant, quiesced where QEMU's guest agent answers. All
    else is copied as it lies, and nobody waits for that. A backup is a folder of
    its own in TO; what has not changed since the one before it takes no space
    again, and any of them may be removed.

    An instance that cannot be captured within --timeout, as where its machine does
    not answer, keeps no other from being kept: its disks are there as of their
    last capture, or as they were made. It is named, and the exit code is 11; then
    --keep removes nothing. So it is with one whose disk has a header that cannot
    be read; a layer like that is copied as it lies, and named.

    What fails leaves nothing behind. What waits in the trash is not kept. The word
    `create` may be left out.
    """
    settings = settings_there(data, database, shared)
    wish = Wish(with_secrets=secrets, with_buckets=buckets, timeout_s=timeout, without=tuple(without or ()), keep=keep)
    with orderly():
        taken = take(settings, to, wish, note, progress_shown())
    if as_json:
        show_json(_told(taken))
    else:
        _show(taken)
    if not taken.manifest.is_whole:
        raise typer.Exit(exits.PARTLY.number)


def _show(taken: Taken) -> None:
    for instance, how in sorted(taken.manifest.moments.items()):
        show_line(f"{instance}  {how}")
    for what in taken.manifest.lacks:
        show_line(f"not kept: {what}")
    for name in taken.removed:
        show_line(f"removed: {taken.path.with_name(name)}")
    files = counted(len(taken.manifest.files), "file")
    show_line(f"{taken.path}  {files}, {taken.manifest.bytes} bytes, {taken.copied_bytes} of them copied now")


@app.command("list", epilog=example("kiln backup list /backup/kiln"))
def show(
    folder: Annotated[Path, typer.Argument(help="The folder in which backups lie.", metavar="FOLDER")],
) -> None:
    """List the backups in a folder, the oldest first. Of one that is damaged, or missed something, it says so."""
    found = finding.listed(folder)
    if not found:
        note(f"There is no backup in {folder} yet.")
    for path in found:
        try:
            said = manifest.read(path)
        except (BackupBroken, BackupRefused) as error:
            show_line(f"{path}  {error}")
            continue
        missed = "" if said.is_whole else ", not whole"
        show_line(f"{path}  Kiln {said.kiln}, {counted(len(said.files), 'file')}, {said.bytes} bytes{missed}")


@app.command("check", epilog=example("kiln backup check /backup/kiln"))
def check(source: Source) -> None:
    """Read all of a backup, and say whether it is what was written."""
    chosen = finding.chosen(source)
    said = manifest.read(chosen)
    faults = list(examine(chosen, said, progress_shown()))
    for fault in faults:
        show_line(f"broken  {fault}")
    show_line(f"{chosen}: {'not all is well' if faults else 'all is well'}")
    if faults:
        raise typer.Exit(exits.UNSOUND.number)


def _told(taken: Taken) -> dict[str, Any]:
    said = taken.manifest
    return {
        "Path": str(taken.path),
        "MadeAt": said.made_at,
        "Files": len(said.files),
        "Bytes": said.bytes,
        "CopiedBytes": taken.copied_bytes,
        "Moments": dict(said.moments),
        "LeftOut": list(said.left_out),
        "Missed": dict(said.missed),
        "Broken": dict(said.broken),
        "Removed": list(taken.removed),
    }
