"""The guest's agent without a guest: the one of the small guest's packages, which runs on this host.

It does what it is told on the host itself, as whoever runs the tests: in a folder of the test's own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kiln.guest.errors import GuestUnbuildable
from kiln.guest.packages import unpacked
from kiln.machines import sockets
from kiln.machines.errands import QemuInside
from kiln.machines.runfolder import RunFolder
from tests.guests import CACHE
from tests.tools import lacks

_LOADER = "**/x86_64-linux-gnu/ld-linux-x86-64.so.2"
_LIMIT_S = 300.0


@contextmanager
def open_agent(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """An agent that listens on the socket ``agent`` of *folder*."""
    try:
        root = unpacked(CACHE)
    except GuestUnbuildable as error:
        lacks(f"the guest's agent: {error}")
    (loader, *_) = sorted(root.glob(_LOADER))
    libraries = ":".join(str(root / part / "lib/x86_64-linux-gnu") for part in ("usr", ""))
    command = [loader, "--library-path", libraries, root / "usr/sbin/qemu-ga"]
    command += ["-m", "unix-listen", "-p", folder / "agent", "-t", folder, "-f", folder / "agent.pid"]
    environment = os.environ | {"PATH": f"{_programs(folder)}:{os.environ['PATH']}"}
    with subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, env=environment) as agent:
        try:
            deadline = time.monotonic() + _LIMIT_S
            while not _listens(folder / "agent"):
                assert agent.poll() is None, "the agent ended"
                assert time.monotonic() < deadline, "the agent does not listen"
                time.sleep(0.01)
            yield agent
        finally:
            agent.kill()


def _programs(folder: Path) -> Path:
    """A folder of programs that the agent's scripts find first.

    The one that sets passwords: whoever runs the tests is to keep theirs. And one with which a guest in whose folder
    there is ``slow`` takes its time over each piece of an output.
    """
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    (programs / "chpasswd").write_text(
        f'#!/bin/sh\n[ -e "{folder}/no-passwords" ] && {{ cat >&2; exit 1; }}\ncat >>"{folder}/passwords"\n'
    )
    (programs / "wc").write_text(f'#!/bin/sh\n[ -e "{folder}/slow" ] && sleep 0.3\nexec {shutil.which("wc")} "$@"\n')
    for program in programs.iterdir():
        program.chmod(0o755)
    return programs


def passwords_in(folder: Path) -> list[str]:
    """What passwords the agent of *folder* was told to set, as ``user:password``; none while there is ``no-passwords``
    in the folder, for which it refuses.
    """
    with suppress(FileNotFoundError):
        return (folder / "passwords").read_text().splitlines()
    return []


@contextmanager
def open_place() -> Iterator[Path]:
    """An empty folder for an agent. What it began there may still be tidying up when the folder goes."""
    folder = Path(tempfile.mkdtemp(prefix="kiln-agent-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _listens(path: Path) -> bool:
    try:
        sockets.connect(path, _LIMIT_S).close()
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    return True


def inside(folder: Path) -> QemuInside:
    """What reaches the agent of ``open_agent``; what runs is kept below *folder*."""
    return QemuInside(RunFolder(folder), str(folder / "home"))
