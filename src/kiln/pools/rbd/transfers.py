"""Bytes that enter a pool on Ceph from outside, and bytes that leave it: nothing of them is kept here on the way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from kiln.ground.killpoints import reach
from kiln.pools import moves, qemu_img
from kiln.pools.errors import Cancelled
from kiln.pools.folder import Folder
from kiln.pools.limits import Limits
from kiln.pools.port import Cancel, Progress, Source, TargetFormat

#: librbd reserves addresses for each of its threads, and takes few of them.
_ADDRESSES = Limits(memory_bytes=None)


def bring_in(
    file: BinaryIO,
    source: Source,
    target: qemu_img.Node,
    *,
    require_room: Callable[[int], None],
    progress: Progress,
    cancelled: Cancel,
) -> None:
    """Write what an inspected file holds into the blank image *target*.

    Raises SourceRefused when the file turns out damaged on the way or is not what was inspected, SourceTouched when it
    may be, Cancelled, ToolFailed, and what *require_room* raises of the bytes that it may take.
    """
    fd = file.fileno()
    node = moves.foreign(fd, source)
    with moves.reading(fd, source):
        require_room(moves.measured(node, fd))
        reach("rbd.bring_in.before_copy")
        qemu_img.convert_into(
            node,
            {name: value for name, value in target.items() if name not in ("node-name", "cache")},
            direct=True,
            limits=moves.copying_limits(source, addresses=False),
            fds=(fd,),
            progress=progress,
            cancelled=cancelled,
        )
        reach("rbd.bring_in.copied")
    if cancelled():
        raise Cancelled("before it had its name")


def send_out(source: qemu_img.Node, path: Path, target: TargetFormat, progress: Progress, cancelled: Cancel) -> None:
    """Write what *source* reads as to the file *path*. Whole or not at all; a crash leaves a ``.tmp-`` file beside it.

    Raises PoolFull, Cancelled, ToolFailed.
    """
    folder = Folder(path.parent)
    with folder.draft() as draft:
        reach("rbd.send_out.before_copy")
        qemu_img.convert(
            source,
            draft,
            target,
            options=moves.TARGET_OPTIONS[target],
            limits=_ADDRESSES,
            progress=progress,
            cancelled=cancelled,
        )
        reach("rbd.send_out.copied")
        folder.replace(draft, path.name)  # The bucket has an empty file of that name ready, which is to go.
