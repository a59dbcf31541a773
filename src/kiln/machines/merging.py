"""Copying layers up into a disk's head while its guest runs: QEMU's ``block-stream``, and what it lacks.

Before QEMU 8.2 a stream ends the whole machine when it comes to a cluster of
the head that is written in part, which heads with ``extended_l2`` have as soon
as a guest writes (``bdrv_co_do_copy_on_readv: Assertion `skip_bytes < pnum'
failed``): it asks for the rest of the cluster alone. Asked for whole clusters
the same code is right. So there the clusters are copied up first, by reading
them whole through a ``copy-on-read`` node, and the stream finds nothing left to
copy; it then only takes the layers out of the chain.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from kiln.ground.killpoints import reach
from kiln.ground.passphrases import Passphrase, handed_over, within
from kiln.ground.short_files import read_short
from kiln.ground.units import KiB
from kiln.ground.values import dataclass
from kiln.machines import blocks
from kiln.machines.errors import MachineRefused, MachineSilent
from kiln.machines.hearing import flag, mapping, mappings, number, text, words
from kiln.machines.process import Confinement
from kiln.machines.qmp import Session, open_session
from kiln.machines.runfolder import RunFolder

_FIRST_LOOK_S, _LAST_LOOK_S = 0.005, 0.25  #: How often a block job is looked at, ever less often.
_STREAM_IS_RIGHT_FROM = (8, 2)
_PIECE_BYTES = 512 * KiB  #: Read at once; QEMU does nothing else meanwhile, for a few milliseconds.
_PIECES_PER_SESSION = 64
_MAP_TIMEOUT_S = 600.0
_READING_TIMEOUT_S = 120.0  #: For the pieces of one session.
_STANDSTILL_S = 600.0  #: A job that has not moved for so long will not end.

FILLER = "fill-"  #: How the names of the nodes begin through which clusters are copied up.


def merge(
    folder: RunFolder, node: str, base: str | None, backing_file: str | None, passphrases: Mapping[str, Passphrase]
) -> None:
    """What ``pools.guests.Guest.stream`` promises. May be made again after a crash at any line.

    Raises MachineRefused, MachineMissing, MachineSilent.
    """
    job = f"stream-{node}"
    with open_session(folder.qmp) as qmp:
        has_begun = _find_job(qmp, job) is not None
    if not has_begun:
        _fill(folder, node, base, passphrases)
        with open_session(folder.qmp) as qmp:
            below = {} if base is None else {"base-node": _below(qmp, node, base), "backing-file": backing_file}
            reach("machines.before_stream")
            # Not dismissed by itself: a job that has vanished could not tell whether it had failed. Not finalized by
            # itself either: see ``_flush``.
            by_hand: dict[str, Any] = {"auto-dismiss": False, "auto-finalize": False}
            qmp.execute("block-stream", {"device": node, "job-id": job} | by_hand | below)
    reach("machines.stream_begun")
    error = _outcome(folder, job, node)
    if error is not None:
        raise MachineRefused(f"block-stream into {node}: {error}")
    with folder.held(), open_session(folder.qmp) as qmp:
        blocks.close_unused(qmp)
    reach("machines.streamed")


def _outcome(folder: RunFolder, job: str, node: str) -> str | None:
    """Wait for a job's end and dismiss it; its error, or None. The socket is free for others meanwhile."""
    pause = _FIRST_LOOK_S
    moved_at, seen = time.monotonic(), None
    while True:
        with open_session(folder.qmp) as qmp:
            found = _find_job(qmp, job)
            if found is None:
                return None  # Another run of the same task has waited for it and seen its outcome.
            status = text(found, "status")
            if status == "pending":
                _flush(qmp, node)
                reach("machines.stream_flushed")
                qmp.execute("job-finalize", {"id": job})
                pause = _FIRST_LOOK_S
                continue
            if status == "concluded":
                qmp.execute("job-dismiss", {"id": job})
                error = found.get("error")
                return None if error is None else words(error)
            if (now_seen := (status, found.get("current-progress"))) != seen:
                moved_at, seen = time.monotonic(), now_seen
            elif time.monotonic() - moved_at > _STANDSTILL_S:
                raise MachineSilent(f"QEMU does not go on with {job}.")
        time.sleep(pause)
        pause = min(2 * pause, _LAST_LOOK_S)


def _flush(qmp: Session, node: str) -> None:
    """Bring what a job has copied into *node* to the disk. Raises MachineRefused.

    QEMU writes the new backing file's name into the header before the copied
    clusters' places are flushed, so a kill right after the job left a file that
    checked clean and read wrong (measured with QEMU 7.2).
    """
    said = _qemu_io(qmp, node, "flush")
    if said:
        raise MachineRefused(f"{node} cannot be flushed: {said}")


def _find_job(qmp: Session, job: str) -> dict[str, Any] | None:
    return next((found for found in mappings(qmp.execute("query-jobs")) if found.get("id") == job), None)


@dataclass(frozen=True)
class _Chain:
    """A head, and the files of the layers between it and its base, the uppermost first."""

    layers: list[tuple[str, str]]  #: Each with the volume that it is.
    cluster_bytes: int
    size_bytes: int


def _fill(folder: RunFolder, node: str, base: str | None, passphrases: Mapping[str, Passphrase]) -> None:
    """Copy up all that the stream would copy, whole clusters at a time, where QEMU's stream needs that."""
    with open_session(folder.qmp) as qmp:
        chain = _chain_to_fill(qmp, node, base)
    if chain is None or not chain.layers:
        return
    pieces = _pieces(_written(chain.layers, _prefix(folder), passphrases), chain)
    # A node's name has 31 characters at most, which the head's own may use up.
    reader = f"{FILLER}{hashlib.sha256(node.encode()).hexdigest()[:16]}"
    reach("machines.before_fill")
    with open_session(folder.qmp) as qmp:
        blocks.open_chain(qmp, [{"driver": "copy-on-read", "node-name": reader, "file": node}])
    try:
        _read(folder, node, reader, pieces)
    finally:
        # Also when it failed: as long as the node is there, everybody else takes it that a merge is at work.
        with open_session(folder.qmp) as qmp:
            blocks.close(qmp, [reader])
    reach("machines.filled")


def _read(folder: RunFolder, node: str, reader: str, pieces: Iterator[tuple[int, int]]) -> None:
    """Have QEMU read the pieces through *reader*. Raises MachineRefused when it cannot."""
    while batch := list(islice(pieces, _PIECES_PER_SESSION)):
        reach("machines.filling")
        with open_session(folder.qmp, _READING_TIMEOUT_S) as qmp:
            for offset, length in batch:
                began = time.monotonic()
                said = _qemu_io(qmp, reader, f"read -q {offset} {length}")
                if said:
                    raise MachineRefused(f"The layers below {node} cannot be copied up: {said}")
                # The guest's own requests have as much time as these take.
                time.sleep(time.monotonic() - began)


def _chain_to_fill(qmp: Session, node: str, base: str | None) -> _Chain | None:
    """The chain whose layers have to be copied up by hand; None when the stream can be trusted with it."""
    version = mapping(qmp.execute("query-version"), "qemu")
    if (number(version, "major"), number(version, "minor")) >= _STREAM_IS_RIGHT_FROM:
        return None
    named = mappings(qmp.execute("query-named-block-nodes", {"flat": True}))
    head = next((mapping(found, "image") for found in named if found.get("node-name") == node), None)
    if head is None:
        raise MachineRefused(f"The machine has no disk on {node}.")
    base = None if base is None else _below(qmp, node, base)
    about = mapping(mapping(head.get("format-specific", {})).get("data", {}))
    if "extended-l2" not in about or not flag(about, "extended-l2"):
        return None
    stand = blocks.places(qmp)
    layers = []
    for name in blocks.chain_below(stand, node)[1:]:
        if name == base:
            break
        layers.append((text(stand[name].path if name in stand else None), blocks.volume_of(name)))
    return _Chain(layers, number(head, "cluster-size"), number(head, "virtual-size"))


def _below(qmp: Session, node: str, base: str) -> str:
    """The node of the volume *base* in the chain under *node*. Raises MachineRefused when it is not in it."""
    found = blocks.find_below(qmp, node, base)
    if found is None:
        raise MachineRefused(f"The machine has no disk on {node} above {base}.")
    return found


def _prefix(folder: RunFolder) -> list[str]:
    """What makes a tool that reads files which QEMU names read no more than that QEMU may."""
    if os.geteuid() != 0:
        return []
    try:
        return Confinement(int(read_short(folder.uid_file))).prefix()
    except (FileNotFoundError, ValueError):
        return []  # The machine runs as Kiln does.


def _written(
    layers: list[tuple[str, str]], prefix: list[str], passphrases: Mapping[str, Passphrase]
) -> Iterator[tuple[int, int]]:
    """Where, from and to, any of the layers has something; they are never written again, so it stays true."""
    node: dict[str, Any] | None = None
    for path, volume in reversed(layers):
        node = {"driver": "qcow2", "file": {"driver": "file", "filename": path}, "backing": node}
        if volume in passphrases:
            node["encrypt"] = {"format": "luks", "key-secret": passphrases[volume]}
    assert node is not None  # Whoever asks has layers.
    with handed_over(within([node]), "--object") as (objects, descriptors):
        command = [*prefix, "qemu-img", "map", *objects, "-U", "--output=json", f"json:{json.dumps(node)}"]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_MAP_TIMEOUT_S, check=True, pass_fds=descriptors
            )
        except (OSError, subprocess.SubprocessError) as error:
            said = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else error
            raise MachineRefused(f"What is in {layers[0][0]} cannot be listed: {said}") from error
    for extent in json.loads(done.stdout):
        if extent["present"] and extent["depth"] < len(layers):
            yield extent["start"], extent["start"] + extent["length"]


def _pieces(written: Iterable[tuple[int, int]], chain: _Chain) -> Iterator[tuple[int, int]]:
    """Offset and length of reads that cover what is written, in whole clusters, each once."""
    done = 0
    for start, end in written:
        at = max(done, start - start % chain.cluster_bytes)
        done = max(done, min(-(-end // chain.cluster_bytes) * chain.cluster_bytes, chain.size_bytes))
        while at < done:
            length = min(max(_PIECE_BYTES, chain.cluster_bytes), done - at)
            yield at, length
            at += length


def _qemu_io(qmp: Session, node: str, command: str) -> str:
    """Have QEMU's own I/O tester do something to a node; what it says, which is nothing when all is well."""
    said = qmp.execute("human-monitor-command", {"command-line": f'qemu-io {node} "{command}"'})
    return words(said)
