"""Snapshots of several images at one instant: all that takes time is done before it, or after."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, TypeVar

from kiln.ground.killpoints import reach
from kiln.pools.errors import PoolFull, VolumeMissing
from kiln.pools.rbd.cluster import Cluster

Given = TypeVar("Given")
Result = TypeVar("Result")

_AT_ONCE = 17  #: As many as a machine has disks: the monitors agree on all of them together.


class Shots:
    """Images that are open, each with the name of the snapshot that is wanted of it; use ``aiming``."""

    def __init__(self, cluster: Cluster, ioctx: Any, several: ThreadPoolExecutor, wanted: Mapping[str, str]) -> None:
        self._cluster, self._ioctx = cluster, ioctx
        self._several = several
        self._wanted = wanted
        self._opened: dict[str, Any] = {}
        self._taken: set[str] = set()

    def take(self) -> None:
        """Make the snapshots, all at once; those that are made already are not again. Raises PoolFull, ToolFailed."""
        done_for_all(self._several, self._take, self._wanted)
        reach("rbd.snapshot.made")

    def sizes(self) -> dict[str, int]:
        """The bytes of each image's snapshot, which are those that can be read.

        Raises PoolFull where one cannot be opened: in a cluster that is full Ceph makes it without its map of objects,
        and says nothing of it; VolumeMissing where it is gone.
        """
        return dict(zip(self._wanted, done_for_all(self._several, self._size, self._wanted), strict=True))

    def open(self) -> None:
        """Open the images. Raises VolumeMissing, ToolFailed."""
        done_for_all(self._several, self._open, self._wanted)

    def close(self) -> None:
        """Close them."""
        done_for_all(self._several, lambda opened: opened.close(), self._opened.values())

    def _open(self, image: str) -> None:
        try:
            with self._cluster.telling():
                self._opened[image] = self._cluster.rbd.Image(self._ioctx, image)
        except self._cluster.rbd.ImageNotFound:
            raise VolumeMissing(image) from None

    def _take(self, image: str) -> None:
        if image not in self._taken:
            with self._cluster.telling():
                self._opened[image].create_snap(self._wanted[image])
            self._taken.add(image)

    def _size(self, image: str) -> int:
        snapshot = self._wanted[image]
        try:
            with self._cluster.image(image, snapshot=snapshot, is_looked_at=True) as opened:
                return int(opened.size())
        except self._cluster.rbd.ImageNotFound:
            if all(one["name"] != snapshot for one in self._opened[image].list_snaps()):
                raise VolumeMissing(f"{image}@{snapshot}") from None
            raise PoolFull(f"{self._cluster.address} has no room left for a snapshot") from None


@contextmanager
def aiming(cluster: Cluster, wanted: Mapping[str, str]) -> Iterator[Shots]:
    """Open images, of each of which a snapshot of that name is *wanted*. Raises VolumeMissing, ToolFailed."""
    with (
        cluster.telling() as ioctx,
        ThreadPoolExecutor(min(_AT_ONCE, len(wanted)), thread_name_prefix="snap") as several,
    ):
        shots = Shots(cluster, ioctx, several, wanted)
        try:
            shots.open()
            yield shots
        finally:
            shots.close()


def snapped(cluster: Cluster, image: str, snapshot: str) -> int:
    """Make a snapshot of one image; returns its bytes. Raises VolumeMissing, PoolFull, ToolFailed."""
    with aiming(cluster, {image: snapshot}) as shots:
        shots.take()
        return shots.sizes()[image]


def done_for_all(several: ThreadPoolExecutor, work: Callable[[Given], Result], given: Iterable[Given]) -> list[Result]:
    """What *work* returns for each, or the first thing that it raises: not before it has ended for all.

    Who closes images meanwhile would miss those that are opened late, and crash Ceph's library by those in use.
    """
    begun = [several.submit(work, one) for one in given]
    wait(begun)
    return [one.result() for one in begun]
