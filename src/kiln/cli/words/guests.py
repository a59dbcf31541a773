"""``kiln guest``: make guests to start from, and bring them in as images."""

from __future__ import annotations

import os
import shutil
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from kiln.cli import exits, imports, output, uploads
from kiln.cli.ending import orderly
from kiln.cli.exits import Refusal
from kiln.cli.grammar import DEFAULT_TIMEOUT_S, Data, Json, Region, Timeout, Wait, example, group
from kiln.cli.session import find_shared_folder, open_client
from kiln.guest.cache import whole
from kiln.guest.debian import image as debian
from kiln.guest.errors import GuestUnbuildable
from kiln.service.settings import read_settings

app = group()


class Guest(StrEnum):
    """What can be built."""

    DEBIAN = "debian"


Wanted = Annotated[Guest, typer.Argument(metavar="GUEST", help="debian: Debian 12 with cloud-init and QEMU's agent.")]
Name = Annotated[str, typer.Option("--name", help="The image's name.", metavar="NAME")]
ToFile = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write a qcow2 file instead, and import nothing.", metavar="FILE")
]


@app.callback()
def guests() -> None:
    """Make guests to start from, and bring them in as images."""


@app.command(
    "build", epilog=example("kiln guest build debian --name debian-12", "kiln guest build debian -o debian.qcow2")
)
def build(
    guest: Wanted,
    *,
    name: Name = "debian-12",
    to_file: ToFile = None,
    data: Data = None,
    region: Region = None,
    wait_for_it: Wait = True,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Make a guest's disk from Debian's packages, import it, and print the image's ID.

    It boots by BIOS and by UEFI, and has systemd, sshd, cloud-init and QEMU's guest
    agent. The first build takes some minutes and the network, and is kept; mmdebstrap
    does it, as root or by whoever has subordinate numbers in /etc/subuid. Nothing is
    installed or mounted on this machine.
    """
    if to_file is not None:
        uploads.require_place(to_file)
        output.show_line(str(_write(_built(guest), to_file)))
        return
    with orderly(), open_client(region) as client:
        bucket, folder = uploads.uploads_of(client.pseudonym), find_shared_folder(data)
        # Looked at before minutes are spent on what could then not be brought in.
        params = {"ImageName": name, "Platform": "Debian"}
        imports.require_free_name(client, name)
        imports.require_taken(client, params, folder)
        imports.sweep(client, uploads.bucket_folder(folder, bucket))
        upload = uploads.put(_built(guest), folder, bucket)
        params = imports.disk_first(params, {"Format": "QCOW2"}, upload)
        imports.import_image(client, params, upload, timeout if wait_for_it else None, as_json=as_json)


def _built(guest: Guest) -> Path:
    """The disk of *guest*, made when it is not there. Raises Refusal."""
    cache, began = read_settings(os.environ).guest_cache, time.monotonic()

    def say(stage: str) -> None:
        output.note(f"{time.monotonic() - began:5.0f} s  {stage}")

    if not debian.kept(cache).exists():
        output.note(f"making the guest {guest} from Debian's packages, this once; it is kept in {cache}")
    try:
        return debian.build(cache, say, os.environ)
    except GuestUnbuildable as error:
        room = os.environ.get("TMPDIR") or "/var/tmp"  # noqa: S108 - as kiln.guest.debian has it.
        hint = f"It is made in {room}, and TMPDIR names another folder; it is kept in {cache}, and KILN_CACHE another."
        raise Refusal(str(error), exits.UNSOUND, hint) from error


def _write(disk: Path, to_file: Path) -> Path:
    """A copy of what is kept, whole or not there, and where it is. Raises Refusal."""
    target = to_file / disk.name if to_file.is_dir() else to_file
    try:
        with whole(target) as begun:
            shutil.copyfile(disk, begun)
    except OSError as error:
        raise Refusal(f"{target}: {error.strerror}", exits.FILE) from error
    return target
