"""The logs of a machine that is being started: the pipes that QEMU writes to, and the program that reads them."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from kiln.ground.values import dataclass
from kiln.machines.errors import MachineRefused
from kiln.machines.runfolder import RunFolder

_SETTLE_S = 5.0
_PROGRAM = Path(__file__).with_name("logkeeper.py")


@dataclass(frozen=True)
class Logs:
    """Descriptors of pipes to hand on: where QEMU's complaints go, and what the console prints."""

    complaints: int
    console: int


def settle(ended: BinaryIO | None) -> None:
    """Wait until all is in the logs of a QEMU that has ended, by what ``kept`` was given as its *ended*."""
    if ended is not None:
        select.select([ended], [], [], _SETTLE_S)


@contextmanager
def kept(folder: RunFolder, uid: int | None, writer: BinaryIO) -> Iterator[Logs]:
    """Have the folder's two logs kept (see ``logkeeper``) for as long as somebody has their pipes open.

    Ours are closed at the end. *writer* stays open until all is written.
    Raises MachineRefused.
    """
    with contextlib.ExitStack() as held:
        files = [held.enter_context(path.open("r+b")) for path in (folder.qemu_log, folder.console_log)]
        (complaints, said), (printing, printed) = pipe(held), pipe(held)
        pairs = [str(each.fileno()) for each in (complaints, files[0], printing, files[1])]
        command = [sys.executable, "-I", "-S", str(_PROGRAM), "" if uid is None else str(uid), *pairs]
        try:
            subprocess.run(
                ["setsid", "--fork", *command],
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[writer.fileno(), *map(int, pairs)],
                cwd="/",
                env={},
                timeout=60,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise MachineRefused(f"The machine's log cannot be kept: {error}") from error
        complaints.close()
        printing.close()
        yield Logs(complaints=said.fileno(), console=printed.fileno())


def pipe(held: contextlib.ExitStack) -> tuple[BinaryIO, BinaryIO]:
    """Both ends of a new pipe, which are closed with *held* at the latest."""
    reader, writer = os.pipe()
    return held.enter_context(os.fdopen(reader, "rb", 0)), held.enter_context(os.fdopen(writer, "wb", 0))
