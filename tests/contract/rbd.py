"""The kind of pool that is on a Ceph: each folder that one is opened in has a namespace of its own there."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path

from kiln.pools.port import Pool
from kiln.pools.rbd.entrances import Address
from kiln.pools.rbd.pool import RbdPool
from tests.ceph import POOL, Ceph
from tests.pools.patterns import node, opened
from tests.ring import passphrase


class RbdKind:
    """See ``tests.contract.pools.FolderKind``. *ceph* is given to it by the fixtures."""

    name = "rbd"
    tools = ("ceph-osd", "qemu-img", "qemu-io", "setpriv")
    is_in_folder = False
    ceph: Ceph

    def __init__(self) -> None:
        self._opened: list[RbdPool] = []

    def open(self, folder: Path) -> Pool:
        pool = RbdPool(self._address(folder), folder, patience_s=25)
        pool.keys = passphrase
        self._opened.append(pool)
        return pool

    def close(self) -> None:
        """Give back all connections: each has two dozen threads."""
        while self._opened:
            self._opened.pop().close()

    def again(self, prepared: Path, folder: Path, prepare: Callable[[Pool, Path], None]) -> Path:
        self.close()
        folder.mkdir()
        prepare(self.open(folder), folder)
        return folder

    def allocated(self, pool: Pool, volume: str) -> int:
        (blockdev,) = pool.blockdevs(volume)
        told = json.loads(self._rbd(blockdev, "du", "--format=json"))["images"]
        return told[-1]["used_size"]  # Of an image that has snapshots these come first.

    def lose(self, pool: Pool, volume: str) -> None:
        (blockdev,) = pool.blockdevs(volume)
        self._rbd(blockdev, "snap", "rm", "--no-progress")

    def aside(self, pool: Pool, where: str) -> str:
        (blockdev,) = pool.blockdevs(next(iter(pool.volumes())))
        found = blockdev | {"image": where.rpartition("/")[2], "read-only": True}
        found.pop("snapshot", None)
        return "json:" + json.dumps(found, separators=(",", ":"))

    @contextlib.contextmanager
    def opened_in_trash(self, pool: Pool, volume: str) -> Iterator[None]:
        (blockdev,) = pool.blockdevs(volume)
        name = node(pool, volume, writable=True)
        pool.discard([volume])
        with opened(name, lambda: "watcher=" in self._rbd(blockdev, "status")):
            yield

    def tell_room(self) -> None:
        self.ceph.have_manager()

    def _address(self, folder: Path) -> Address:
        namespace = "t" + blake2b(str(folder).encode(), digest_size=6).hexdigest()
        return Address(pool=POOL, namespace=namespace, configuration=self.ceph.configuration)

    def _rbd(self, blockdev: dict[str, str], *words: str) -> str:
        name = f"{blockdev['pool']}/{blockdev['namespace']}/{blockdev['image']}"
        if "snapshot" in blockdev:
            name += f"@{blockdev['snapshot']}"
        return self.ceph.run("rbd", *words, name)
