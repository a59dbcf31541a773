"""Thin functions over ``qemu-img``: one for each of its verbs that Kiln uses.

Formats and backing files are always given, never guessed. Every run is within
limits, in a process group of its own, and ends when Kiln ends. Failures become
the errors of pools; nothing is cleaned up here, since only the caller knows
what the files were.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kiln.ground.passphrases import Passphrase, handed_over, within
from kiln.pools.errors import Cancelled, PoolFull, ToolFailed, VolumeBusy
from kiln.pools.limits import ENVIRONMENT, Limits, walled
from kiln.pools.port import Cancel, Progress

_TRUSTED = Limits()  # For volumes of ours, however large.
_TICK_S = 0.2  # Time between two questions whether to go on.
_REPORT_S = 0.25  # Time between two reports of progress.
_WORDS_MAX = 4096  # Bytes of complaint that are kept; damaged files make endless ones.
_OUTPUT_MAX = 1 << 20
_PROGRESS = re.compile(rb"\((\d+\.\d+)/100%\)")
_NO_ROOM = ("No space left on device", "Disk quota exceeded", "File too large")
_LOCKED = re.compile(r'Failed to get ".*" lock')
_CHECK_UNSOUND = 2  # Exit statuses of `qemu-img check`.
_CHECK_LEAKS = 3

Node = dict[str, Any]  #: A block node as ``-blockdev`` takes it.


def held_open(fd: int) -> Node:
    """The open file *fd*, to read from, as a file node for tools that are given it among their ``fds``.

    A tool opens the file anew but through the descriptor that it inherits, and so gets this file whatever became of
    its name. It must run as a user who may read the file.
    """
    return {"driver": "file", "filename": f"/proc/self/fd/{fd}", "read-only": True}


def named(node: Node) -> str:
    """A block node where qemu-img expects a file name."""
    return "json:" + json.dumps(node)


def convert(
    source: Node,
    target: Path,
    target_format: str,
    *,
    options: str = "",
    direct: bool = False,
    limits: Limits = _TRUSTED,
    fds: Sequence[int] = (),
    progress: Progress | None = None,
    cancelled: Cancel | None = None,
) -> None:
    """Write what *source* reads as, flattened, over *target*. Unless *direct*, the caller must sync the target.

    *direct* writes past the page cache, which the target's file system must be able to do.
    Raises PoolFull, Cancelled, VolumeBusy, ToolFailed.
    """
    # Else a VHD is flushed for each of its blocks, and a VMDK for each table, for which there is no need in a draft.
    command = ["convert", "-p", "-t", "none" if direct else "unsafe", "-O", target_format]
    if options:
        command += ["-o", options]
    command += [named(source), str(target.absolute())]
    _run(command, limits, fds, progress, cancelled, passphrases=within([source]))


def convert_into(
    source: Node,
    target: Node,
    *,
    direct: bool = False,
    limits: Limits = _TRUSTED,
    fds: Sequence[int] = (),
    progress: Progress | None = None,
    cancelled: Cancel | None = None,
) -> None:
    """Write what *source* reads as, flattened, into *target*, which is there, blank and as large.

    Else as ``convert``.
    """
    command = ["convert", "-p", "-n", "--target-is-zero", "-t", "none" if direct else "unsafe"]
    command += ["--target-image-opts", named(source), _dotted(target)]
    _run(command, limits, fds, progress, cancelled, passphrases=within([source, target]))


def commit(node: Node, *, fds: Sequence[int] = ()) -> None:
    """Write what the file of *node* holds of its own into that of the node below, which then reads as *node* did.

    Both are opened to be written: they must be such as may be lost. Raises PoolFull, VolumeBusy, ToolFailed.
    """
    _run(["commit", "-q", "-d", "-t", "writeback", named(node)], _TRUSTED, fds, passphrases=within([node]))


def _dotted(node: Mapping[Any, Any], prefix: str = "") -> str:
    """A block node as qemu-img takes it where a name of the form ``json:`` will not do."""
    words = []
    for name, given in node.items():
        value = dict(enumerate(given)) if isinstance(given, list) else given
        if isinstance(value, dict):
            words.append(_dotted(value, f"{prefix}{name}."))
        else:
            text = ("on" if value else "off") if isinstance(value, bool) else str(value)
            words.append(f"{prefix}{name}={text.replace(',', ',,')}")
    return ",".join(words)


def rebase(path: Path, backing: str | None, *, direct: bool = False) -> None:
    """Have the qcow2 file stand on *backing* (a name relative to its folder, or nothing) and read as before.

    The file is changed in place: it must be one that may be lost. Raises PoolFull, VolumeBusy, ToolFailed.
    """
    command = ["rebase", "-f", "qcow2", "-t", "none" if direct else "writeback", "-b", backing or ""]
    if backing is not None:
        command += ["-F", "qcow2"]
    _run([*command, str(path.absolute())], _TRUSTED)


def resize(node: Node, size_bytes: int) -> None:
    """Grow the qcow2 file of *node* in place. Raises PoolFull, VolumeBusy, ToolFailed."""
    _run(["resize", "-q", named(node), str(size_bytes)], _TRUSTED, passphrases=within([node]))


def check(node: Node, *, limits: Limits = _TRUSTED, fds: Sequence[int] = ()) -> list[str]:
    """Complaints about the structure of one file, as sentences; wasted space is none.

    Raises VolumeBusy when somebody writes it, ToolFailed.
    """
    command = ["check", "--output=json", named(node)]
    done = _result(command, limits, fds, passphrases=within([node]))
    if done.status in (0, _CHECK_LEAKS):
        return []
    if done.status != _CHECK_UNSOUND:
        raise done.failure()
    found = json.loads(done.output)
    return [
        f"{found[what]} {words}."
        for what, words in (
            ("corruptions", "clusters are damaged"),
            ("check-errors", "clusters could not be checked"),
        )
        if found.get(what)
    ] or ["The structure is damaged."]


def measure(source: Node, *, options: str = "", limits: Limits = _TRUSTED, fds: Sequence[int] = ()) -> int:
    """An upper bound, in bytes, of the qcow2 file that ``convert`` would write. Reads no data, only where it lies."""
    command = ["measure", "--output=json", "-O", "qcow2"]
    if options:
        command += ["-o", options]
    done = _run([*command, named(source)], limits, fds, passphrases=within([source]))
    return int(json.loads(done)["required"])


class _Done:
    """How one run ended."""

    def __init__(self, verb: str, status: int, output: bytes, words: bytes) -> None:
        self.verb, self.status, self.output = verb, status, output
        self.words = words.decode(errors="replace").strip()

    def failure(self) -> Exception:
        """The error that the run's end means."""
        if self.status == -signal.SIGXFSZ or any(phrase in self.words for phrase in _NO_ROOM):
            return PoolFull(f"qemu-img {self.verb} found no room")
        if _LOCKED.search(self.words):
            return VolumeBusy(f"qemu-img {self.verb} found the file in use")
        return ToolFailed(f"qemu-img {self.verb} ended with {self.status}: {self.words}", self.status)


def _run(
    arguments: list[str],
    limits: Limits,
    fds: Sequence[int] = (),
    progress: Progress | None = None,
    cancelled: Cancel | None = None,
    *,
    passphrases: Sequence[Passphrase] = (),
) -> bytes:
    done = _result(arguments, limits, fds, progress, cancelled, passphrases=passphrases)
    if done.status != 0:
        raise done.failure()
    if progress is not None:
        progress(100.0)
    return done.output


def _result(
    arguments: list[str],
    limits: Limits,
    fds: Sequence[int] = (),
    progress: Progress | None = None,
    cancelled: Cancel | None = None,
    *,
    passphrases: Sequence[Passphrase] = (),
) -> _Done:
    verb, *rest = arguments
    with handed_over(passphrases, "--object") as (objects, given):
        command = walled(["qemu-img", verb, *objects, *rest], limits)
        with _start(command, [*fds, *given]) as process:
            output, words = _listen(process, progress, cancelled)
            return _Done(verb, process.wait(), output, words)


@contextlib.contextmanager
def _start(command: list[str], fds: Sequence[int]) -> Iterator[subprocess.Popen[bytes]]:
    """Run *command*; whatever of its process group still lives at the end is killed."""
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=ENVIRONMENT,
            start_new_session=True,
            pass_fds=fds,
        )
    except FileNotFoundError as error:
        raise ToolFailed(f"{error.filename} is not installed") from error
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def _listen(
    process: subprocess.Popen[bytes], progress: Progress | None, cancelled: Cancel | None
) -> tuple[bytes, bytes]:
    """Take in both streams until they end, report progress and ask whether to go on."""
    assert process.stdout is not None
    assert process.stderr is not None
    kept = {process.stdout: b"", process.stderr: b""}
    reported_at = 0.0
    with selectors.DefaultSelector() as streams:
        for stream in kept:
            streams.register(stream, selectors.EVENT_READ)
        while streams.get_map():
            if cancelled is not None and cancelled():
                raise Cancelled
            for key, _ in streams.select(_TICK_S):
                stream = process.stdout if key.fileobj is process.stdout else process.stderr
                heard = os.read(key.fd, 65536)
                if not heard:
                    streams.unregister(stream)
                room = _OUTPUT_MAX if stream is process.stdout else _WORDS_MAX
                kept[stream] = (kept[stream] + heard)[:room]
                percents = _PROGRESS.findall(heard) if progress is not None else []
                if percents and progress is not None and time.monotonic() - reported_at >= _REPORT_S:
                    reported_at = time.monotonic()
                    progress(float(percents[-1]))
    return kept[process.stdout], kept[process.stderr]
