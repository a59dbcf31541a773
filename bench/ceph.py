"""What Ceph itself takes for what Kiln has it do: by its library, of images that are open, and by its own program.

What Kiln adds to that is its API, its checks, its transactions and its directory of volumes.
"""

from __future__ import annotations

import itertools
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from kiln.pools.rbd.cluster import Cluster
from kiln.pools.rbd.entrances import Address
from kiln.service.engines.ceph import POOL, Ceph

_ORDER, _FEATURES = 22, 61  #: As Kiln makes images.
_CLONED = "cloned"
_NAMESPACE = "floor"
_DATA = "rbd_data."  #: What the names of the objects begin with in which images have their bytes.


class CephItself:
    """A namespace with images that nobody uses, of so many bytes each."""

    def __init__(self, ceph: Ceph, count: int, size_bytes: int) -> None:
        self._ceph = ceph
        self._cluster = Cluster(Address(pool=POOL, namespace=_NAMESPACE, configuration=ceph.configuration))
        self._images = [f"image-{n}" for n in range(count)]
        self._names = (f"made-{n}" for n in itertools.count())
        for image in self._images:
            self._create(image, size_bytes)
        with self._cluster.image(self._images[0]) as opened:
            opened.create_snap(_CLONED)

    def close(self) -> None:
        """Give the connection back."""
        self._cluster.close()

    def snap(self, count: int) -> float:
        """Seconds that snapshots of so many images take, made all at once of images that are open and locked."""
        name = next(self._names)
        with ExitStack() as held, ThreadPoolExecutor(count) as several:
            opened = [held.enter_context(self._cluster.image(image)) for image in self._images[:count]]
            list(several.map(_lock, opened))
            began = time.perf_counter()
            list(several.map(lambda image: image.create_snap(name), opened))
            took = time.perf_counter() - began
            list(several.map(lambda image: image.remove_snap(name), opened))
        return took

    def clone(self) -> float:
        """Seconds that a clone of a snapshot takes."""
        name = next(self._names)
        with self._cluster.telling() as ioctx:
            began = time.perf_counter()
            self._cluster.images.clone(ioctx, self._images[0], _CLONED, ioctx, name, features=_FEATURES)
            took = time.perf_counter() - began
            self._cluster.images.remove(ioctx, name)
        return took

    def bring_in(self, file: Path) -> float:
        """Seconds that ``rbd import`` takes for a raw file."""
        name = f"{POOL}/{_NAMESPACE}/{next(self._names)}"
        began = time.perf_counter()
        self._ceph.run("rbd", "import", "--no-progress", str(file), name)
        took = time.perf_counter() - began
        self._ceph.run("rbd", "rm", "--no-progress", name)
        return took

    def send_out(self, file: Path, target: Path) -> float:
        """Seconds that ``rbd export`` takes, and a sync, of an image that has the bytes of *file*."""
        name = f"{POOL}/{_NAMESPACE}/{next(self._names)}"
        self._ceph.run("rbd", "import", "--no-progress", str(file), name)
        began = time.perf_counter()
        self._ceph.run("rbd", "export", "--no-progress", name, str(target))
        with target.open("rb") as made:
            os.fsync(made.fileno())
        took = time.perf_counter() - began
        target.unlink()
        self._ceph.run("rbd", "rm", "--no-progress", name)
        return took

    def _create(self, image: str, size_bytes: int) -> None:
        with self._cluster.telling() as ioctx:
            self._cluster.images.create(ioctx, image, size_bytes, order=_ORDER, old_format=False, features=_FEATURES)


def _lock(image: Any) -> None:
    """Have an image's lock, as who writes it has."""
    image.write(b"\0" * 512, 0)


class Bytes:
    """What lies in a namespace."""

    def __init__(self, ceph: Ceph, namespace: str) -> None:
        self._cluster = Cluster(Address(pool=POOL, namespace=namespace, configuration=ceph.configuration))

    def close(self) -> None:
        """Give the connection back."""
        self._cluster.close()

    def fill(self, image: str, size_bytes: int) -> None:
        """Write random bytes into the beginning of an image."""
        with self._cluster.image(image) as opened:
            opened.write(os.urandom(size_bytes), 0)

    def of_disks(self) -> int:
        """Bytes of all objects in which images have theirs, without what snapshots alone keep."""
        return sum(self._size(name) for name in self._objects())

    def objects(self) -> int:
        """How many objects images have their bytes in, also those that snapshots alone keep."""
        return len(self._objects())

    def images(self) -> list[str]:
        """The images that there are."""
        with self._cluster.telling() as ioctx:
            return sorted(self._cluster.images.list(ioctx))

    def _objects(self) -> list[str]:
        with self._cluster.telling() as ioctx:
            return [one.key for one in ioctx.list_objects() if one.key.startswith(_DATA)]

    def _size(self, name: str) -> int:
        with self._cluster.telling() as ioctx:
            try:
                return int(ioctx.stat(name)[0])
            except self._cluster.rados.ObjectNotFound:
                return 0  # It is listed for as long as a snapshot has it.
