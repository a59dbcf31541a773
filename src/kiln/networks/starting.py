"""Starts the processes of a VPC, which go on when Kiln ends."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kiln.networks.errors import NetworkUnusable

_TIMEOUT_S = 60.0
_WORDS = 500


def start(module: str, uid: int | None, lock: Path, given: int, *more: str) -> str:
    """Run a module until it serves; why it does not, or nothing.

    It is told the user to be, and the descriptors of the file *lock*, of what is *given* and of a pipe to say that it
    serves on; then what *more* there is. Raises NetworkUnusable, OSError.
    """
    with contextlib.ExitStack() as held:
        alive = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        held.callback(os.close, alive)
        reader, writer = os.pipe()
        ready = held.enter_context(os.fdopen(reader, "rb", 0))
        with os.fdopen(writer, "wb", 0):
            descriptors = [alive, given, writer]
            arguments = ["" if uid is None else str(uid), *map(str, descriptors), *more]
            _run([sys.executable, "-I", "-m", module, *arguments], descriptors)
        said = _read_until_end(ready)
    return "" if said == "ok" else said or "its process ended."


def _run(command: list[str], descriptors: Sequence[int]) -> None:
    try:
        subprocess.run(
            ["setsid", "--fork", *command],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=descriptors,
            cwd="/",
            env={},
            timeout=_TIMEOUT_S,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise NetworkUnusable(f"No process of a network can be started: {error}") from error


def _read_until_end(ready: Any) -> str:
    deadline, said = time.monotonic() + _TIMEOUT_S, b""
    poll = select.poll()
    poll.register(ready, select.POLLIN)
    while poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        more = ready.read(_WORDS)
        if not more:
            break
        said = (said + more)[:_WORDS]
    return said.decode(errors="replace").strip()
