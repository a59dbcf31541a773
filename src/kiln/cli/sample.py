"""The small guest as a sample: a disk that boots by BIOS and UEFI, and obeys on its console."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from kiln.cli import exits, output
from kiln.cli.exits import Refusal
from kiln.guest.errors import GuestError, GuestRefused
from kiln.guest.image import build, find_pieces
from kiln.guest.session import Session, open_session
from kiln.service.datafolder import DataFolder
from kiln.service.settings import read_settings

_COMMANDS = """\
write PATH TEXT    write a line to a file, such as /data0/hello
read PATH          read a file
sum PATH           its SHA-256
remove PATH        take it away
sync               have the disk hold what was written
disks              the disks, each mounted at /data0, /data1 and so on
mount              mount the disks that were attached since
network            ask for its address, and say it
fetch URL          what a URL answers
uptime             how long it runs
reboot, poweroff   what they say
exit               leave; the machine runs on"""

_OTHER = (
    "Only the guest of `kiln image import --sample` obeys here; `kiln instance console INSTANCE --attach` joins the "
    "console of any other."
)


@contextmanager
def sample() -> Iterator[Path]:
    """The guest's disk as a qcow2 file, made in the cache folder when it is not there. Raises Refusal."""
    cache = read_settings(os.environ).guest_cache
    is_first = find_pieces(cache) is None
    output.note("making the sample" + ("; what it is made of is fetched from Debian, this once" if is_first else ""))
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=cache, prefix=".sample-") as folder:
            yield build(cache, Path(folder) / "sample.qcow2")
    except GuestError as error:
        raise Refusal(str(error), exits.UNSOUND) from error


def opened_here(data: Path, instance: str, timeout_s: float) -> AbstractContextManager[Session]:
    """The guest of an instance of the Kiln whose data folder it is, by its machine's own socket."""
    return open_session(DataFolder(data).console(instance), timeout_s)


def converse(opening: AbstractContextManager[Session], instance: str, command: str) -> None:
    """Have the guest do one command and print its answer; without one, what is typed, a line each. Raises Refusal."""
    output.note(f"waiting for the guest of {instance}")
    try:
        with opening as session:
            if command:
                _show(session.ask(command))
            else:
                _obey(session, instance)
    except GuestRefused as error:
        raise Refusal(str(error), exits.FAILED_LATER) from error
    except GuestError as error:
        raise Refusal(f"{instance}: {error}", exits.FAILED_LATER, _OTHER) from error


def _obey(session: Session, instance: str) -> None:
    is_typed = sys.stdin.isatty()
    if is_typed:
        output.note(f"{instance} listens; `help` says to what, `exit` or Ctrl-D leaves")
    while True:
        if is_typed:
            sys.stderr.write("guest> ")
            sys.stderr.flush()
        line = sys.stdin.readline()
        if not line or line.strip() in ("exit", "quit"):
            return
        if line.strip() == "help":
            output.note(_COMMANDS)
        elif line.strip():
            try:
                _show(session.ask(line.strip()))
            except GuestRefused as error:
                output.note(str(error))


def _show(answer: str) -> None:
    """What the guest answered, if it has anything to say."""
    if answer:
        output.show_line(answer)
        sys.stdout.flush()
