"""What a capture is held against: the bare making of overlays, the bare switch over QMP, and a peer that copies."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kiln.pools import overlay
from kiln.pools.folder import Folder
from kiln.pools.qcow2 import Qcow2Pool


def write_headers(folder: Folder, parents: Sequence[str], sizes: Sequence[int], owner: int | None = None) -> list[Path]:
    """Make an overlay for each parent with the pool's own writer, whole and on the disk; returns them.

    Beside CreateImage this leaves out: HTTP, the signature, the checks, two transactions and the task between them.
    """
    names = [f"{_new_name()}.qcow2" for _ in parents]
    with folder.drafts(len(parents)) as drafts:
        for draft, parent, size_bytes in zip(drafts, parents, sizes, strict=True):
            overlay.write(draft, size_bytes, f"{parent}.qcow2")
            if owner is not None:
                os.chown(draft, owner, -1)
        folder.publish(list(zip(drafts, names, strict=True)))
    return [folder.path / name for name in names]


def create_overlays(folder: Folder, parents: Sequence[str]) -> list[Path]:
    """Make an overlay for each parent with ``qemu-img create``, one after the other."""
    made = [folder.path / f"{_new_name()}.qcow2" for _ in parents]
    for parent, path in zip(parents, made, strict=True):
        options = ["-q", "-f", "qcow2", "-b", f"{parent}.qcow2", "-F", "qcow2", "-o", overlay.OPTIONS]
        subprocess.run(["qemu-img", "create", *options, path], check=True)
    return made


def fill(disk: Path, source: Path) -> None:
    """Write the raw file *source* into the beginning of a disk."""
    subprocess.run(["qemu-img", "convert", "-n", "-f", "raw", "-O", "qcow2", source, disk], check=True)


def copy(disk: Path, target: Path) -> float:
    """Seconds that the peer takes: a whole copy of the disk, on the medium when it is done."""
    began = time.perf_counter()
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", "-t", "none", "-T", "none", disk, target], check=True)
    _sync(target)
    seconds = time.perf_counter() - began
    target.unlink()
    return seconds


def random_file(path: Path, size_bytes: int) -> Path:
    """A raw file that nothing can shorten; a block of 4 MiB is repeated, which no copier here looks for."""
    block = os.urandom(4 * 1024 * 1024)
    with path.open("wb") as file:
        for _ in range(size_bytes // len(block)):
            file.write(block)
    return path


def commit_rows(folder: Path, count: int, group: int = 1) -> float:
    """Rows a second, on the medium, by SQLite alone: *group* of them, each in a savepoint of its own, share a commit.

    No Kiln does more that commits once for as many callers.
    """
    path = folder / f"{uuid.uuid4().hex}.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE t (id TEXT PRIMARY KEY, text TEXT)")
        began = time.perf_counter()
        for first in range(0, count, group):
            connection.execute("BEGIN IMMEDIATE")
            for _ in range(min(group, count - first)):
                connection.execute("SAVEPOINT caller")
                connection.execute("INSERT INTO t VALUES (?, ?)", (uuid.uuid4().hex, "x" * 500))
                connection.execute("RELEASE caller")
            connection.execute("COMMIT")
        rate = count / (time.perf_counter() - began)
    path.unlink()
    return rate


@dataclass(frozen=True)
class Switch:
    """What a bare switch took, in seconds: making the overlays, opening them, and the transaction that stalls."""

    made_s: float
    opened_s: float
    stalled_s: float

    @property
    def whole_s(self) -> float:
        """From nothing to switched."""
        return self.made_s + self.opened_s + self.stalled_s


class Qmp:
    """QEMU's control protocol with nothing around it: a socket, a line out, a line in."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lines = connection.makefile("rb")
        self._lines.readline()  # The greeting.
        self.execute("qmp_capabilities")

    def execute(self, command: str, **arguments: Any) -> Any:
        """The answer to a command. Raises RuntimeError with QEMU's words."""
        request = {"execute": command, "arguments": {name.replace("_", "-"): v for name, v in arguments.items()}}
        self._connection.sendall(json.dumps(request).encode() + b"\n")
        while True:
            answer = json.loads(self._lines.readline())
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise RuntimeError(f"{command}: {answer['error']['desc']}")


@contextmanager
def open_qmp(path: Path) -> Iterator[Qmp]:
    """A connection to a QEMU whose socket is *path*."""
    with socket.socket(socket.AF_UNIX) as connection:
        # A socket's name is at most 108 characters; the folder's own descriptor makes any path short.
        folder = os.open(path.parent, os.O_PATH)
        try:
            connection.connect(f"/proc/self/fd/{folder}/{path.name}")
        finally:
            os.close(folder)
        yield Qmp(connection)


def switch(
    qmp: Qmp, pool: Qcow2Pool, folder: Folder, heads: Sequence[str], owner: int | None
) -> tuple[Switch, list[str]]:
    """Put an overlay above each head of a running machine by hand; what that took, and the new heads."""
    sizes = [pool.size(head) for head in heads]
    began = time.perf_counter()
    paths = write_headers(folder, heads, sizes, owner)
    made = [path.stem for path in paths]
    made_at = time.perf_counter()
    for name in made:
        node = pool.blockdevs(name)[-1]
        qmp.execute("blockdev-add", **{key: value for key, value in node.items() if key != "backing"}, backing=None)
    opened_at = time.perf_counter()
    moves = [
        {"type": "blockdev-snapshot", "data": {"node": head, "overlay": name}}
        for head, name in zip(heads, made, strict=True)
    ]
    qmp.execute("transaction", actions=moves)
    return Switch(made_at - began, opened_at - made_at, time.perf_counter() - opened_at), made


def _new_name() -> str:
    return f"v-{uuid.uuid4().hex[:20]}"


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
