"""Images of a Ceph pool, their snapshots and clones, as the pool of volumes makes and removes them.

Knows no volumes. What is made gets a name that nobody else will ever give, so
that what a crash left is told from what is needed by the directory alone.
"""

from __future__ import annotations

import contextlib
import itertools
import secrets
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from kiln.ground.journal import Journal
from kiln.ground.killpoints import reach
from kiln.ground.values import dataclass
from kiln.pools.errors import VolumeBusy, VolumeMissing
from kiln.pools.rbd.cluster import Cluster
from kiln.pools.rbd.removals import Removals

log = Journal("kiln.pools")

PREFIX = "kiln."
PRESENCE = "kiln.presence"  #: What every Kiln has open that works with the pool: see ``presence``.
LOST = "lost+found."  #: Before the name of what was set aside.
_ORDER = 22  #: Objects of 4 MiB.
#: Layering, exclusive locks, maps of what objects there are, quick differences, and clones that part from their parents
#: with all their snapshots: Ceph's own default, said here so that no configuration takes one away.
_FEATURES = 1 | 4 | 8 | 16 | 32
_NONCE_BYTES = 8
_LOOKS_AT_ONCE = 17
_CUT_OFF_S = 3600
_USER_SNAPSHOT = 0


@dataclass(frozen=True)
class ImageSnapshot:
    """One snapshot of an image."""

    id: int
    name: str
    size_bytes: int
    is_ours: bool  #: Not one that Ceph keeps for a clone alone, after it was removed.


class Images:
    """Those of one pool. *making* are the images that this process has made and that have no name yet."""

    def __init__(self, cluster: Cluster, kilns: Callable[[], set[int]]) -> None:
        self._cluster = cluster
        self._kilns = kilns  #: The clients that are Kilns, of which none is a machine.
        self._lock = threading.Lock()
        self._making: set[tuple[str, str]] = set()
        self._removals = Removals(cluster.address)

    def close(self) -> None:
        """End what removes images, until one is removed again."""
        self._removals.close()

    @contextlib.contextmanager
    def draft(self, volume: str) -> Iterator[str]:
        """A name for a new image; what is made under it is this process's for so long."""
        with self._kept(f"{PREFIX}{volume}.{secrets.token_hex(_NONCE_BYTES)}", "") as (name, _):
            yield name

    @contextlib.contextmanager
    def snapshot_draft(self, image: str, volume: str) -> Iterator[str]:
        """As ``draft``, for a snapshot."""
        with self._kept(image, f"{volume}.{secrets.token_hex(_NONCE_BYTES)}") as (_, name):
            yield name

    @contextlib.contextmanager
    def _kept(self, image: str, snapshot: str) -> Iterator[tuple[str, str]]:
        one = (image, snapshot)
        with self._lock:
            self._making.add(one)
        try:
            yield one
        finally:
            with self._lock:
                self._making.discard(one)

    def is_being_made(self, image: str, snapshot: str = "") -> bool:
        """Whether this process makes it just now."""
        with self._lock:
            return (image, snapshot) in self._making

    def create(self, image: str, size_bytes: int) -> None:
        """Make a blank image. Raises PoolFull, PoolClosed, ToolFailed."""
        with self._cluster.telling() as ioctx:
            self._cluster.images.create(ioctx, image, size_bytes, order=_ORDER, old_format=False, features=_FEATURES)
        reach("rbd.image.made")

    def clone(self, parent: str, snapshot: str, image: str, size_bytes: int) -> None:
        """Make an image that reads as a snapshot, and then as zeros up to *size_bytes*. Raises VolumeMissing."""
        try:
            with self._cluster.telling() as ioctx:
                self._cluster.images.clone(ioctx, parent, snapshot, ioctx, image, features=_FEATURES)
        except self._cluster.rbd.ImageNotFound:
            raise VolumeMissing(f"{parent}@{snapshot}") from None
        reach("rbd.image.made")
        with self._cluster.image(image) as opened:
            if opened.size() < size_bytes:
                opened.resize(size_bytes)
        reach("rbd.image.grown")

    def grow(self, image: str, size_bytes: int) -> None:
        """Have an image end later. Raises PoolFull, ToolFailed."""
        with self._cluster.image(image) as opened:
            opened.resize(size_bytes)
        reach("rbd.image.grown")

    def cut(self, image: str) -> None:
        """Give back what an image holds in no snapshot of it. Idempotent. Raises VolumeBusy while it is open."""
        if self.is_written(image):
            raise VolumeBusy(f"{image} is open")
        with contextlib.suppress(self._cluster.rbd.ImageNotFound), self._cluster.image(image) as opened:
            opened.resize(0)
        reach("rbd.image.cut")

    def size(self, image: str, snapshot: str = "") -> int:
        """Bytes of an image or of a snapshot. Raises VolumeMissing."""
        try:
            with self._cluster.image(image, snapshot=snapshot or None, is_looked_at=True) as opened:
                return int(opened.size())
        except self._cluster.rbd.ImageNotFound:
            raise VolumeMissing(f"{image}@{snapshot}") from None

    def is_written(self, image: str) -> bool:
        """Whether a client has the image open so that it may write. False where there is no such image.

        Of one that was killed Ceph knows only after a while, by default half a minute.
        """
        try:
            with self._cluster.image(image, is_looked_at=True) as opened:
                return any(True for _ in opened.watchers_list())
        except self._cluster.rbd.ImageNotFound:
            return False

    def cut_off(self, images: Collection[str]) -> None:
        """Have Ceph refuse everything of the machines that have an image open, wherever they are.

        For an hour: by then even a host that stood still has heard that it is over. Raises VolumeMissing,
        ToolFailed.
        """
        for image in images:
            for writer in self._machines_at(image):
                reach("rbd.cut_off.before")
                log.warning("writer_cut_off", image=image, client=writer)
                self._cluster.cut_off(writer, _CUT_OFF_S)
                reach("rbd.cut_off.done")

    def writers(self, images: Mapping[str, str]) -> dict[str, frozenset[str]]:
        """The addresses of the clients that have each image open, by what it is the image of.

        Of all at once: a guest stands still meanwhile. Raises VolumeMissing, ToolFailed.
        """
        if not images:
            return {}
        with ThreadPoolExecutor(min(_LOOKS_AT_ONCE, len(images)), thread_name_prefix="look") as several:
            found = several.map(self._machines_at, images.values())
            return {name: frozenset(there) for name, there in zip(images, found, strict=True)}

    def shut_out(self, writers: Collection[str]) -> None:
        """Have Ceph refuse everything of these clients, as ``cut_off`` does. Raises ToolFailed.

        Of all at once: a guest stands still meanwhile.
        """
        if not writers:
            return
        reach("rbd.shut_out.before")
        log.info("writers_shut_out", clients=sorted(writers))
        with ThreadPoolExecutor(min(_LOOKS_AT_ONCE, len(writers)), thread_name_prefix="shut-out") as several:
            list(several.map(lambda writer: self._cluster.cut_off(writer, _CUT_OFF_S), writers))
        reach("rbd.shut_out.done")

    def require_sole(self, images: Collection[str]) -> None:
        """Raise VolumeBusy where more than one machine has an image open. Raises VolumeMissing, ToolFailed."""
        for image in images:
            if len(there := self._machines_at(image)) > 1:
                raise VolumeBusy(f"{image} is open elsewhere, too: by {' and '.join(sorted(there))}")

    def _machines_at(self, image: str) -> list[str]:
        """The addresses of the clients that have the image open so that they may write, and are no Kilns.

        A Kiln opens one for a moment, to take a snapshot of what lies below. It is known as one from before that.
        """
        try:
            with self._cluster.image(image, is_looked_at=True) as opened:
                there = {one["id"]: one["addr"] for one in opened.watchers_list()}
        except self._cluster.rbd.ImageNotFound:
            raise VolumeMissing(image) from None
        kilns = self._kilns() | {self._cluster.client} if there else set()
        return [address for client, address in there.items() if client not in kilns]

    def written(self, images: Sequence[str]) -> set[str]:
        """Those of *images* of which ``is_written`` is true."""
        if len(images) < 2:  # noqa: PLR2004 - which need no threads.
            return {image for image in images if self.is_written(image)}
        with ThreadPoolExecutor(min(_LOOKS_AT_ONCE, len(images)), thread_name_prefix="look") as several:
            return {image for image, is_so in zip(images, several.map(self.is_written, images), strict=True) if is_so}

    def snapshots(self, image: str) -> list[ImageSnapshot]:
        """Those of an image, the oldest first; none where there is no such image."""
        try:
            with self._cluster.image(image, is_looked_at=True) as opened:
                return [
                    ImageSnapshot(one["id"], one["name"], one["size"], one["namespace"] == _USER_SNAPSHOT)
                    for one in opened.list_snaps()
                ]
        except self._cluster.rbd.ImageNotFound:
            return []

    def names(self) -> list[str]:
        """Every image that there is, whosever it may be."""
        with self._cluster.telling() as ioctx:
            return sorted(self._cluster.images.list(ioctx))

    def unused(self, name: str) -> str:
        """A name for an image that is set aside."""
        taken = set(self.names())
        return next(one for n in itertools.count() if (one := f"{LOST}{name}" + (f".{n}" if n else "")) not in taken)

    def rename(self, image: str, name: str) -> None:
        """Give an image another name. Raises VolumeMissing."""
        try:
            with self._cluster.telling() as ioctx:
                self._cluster.images.rename(ioctx, image, name)
        except self._cluster.rbd.ImageNotFound:
            raise VolumeMissing(image) from None
        reach("rbd.image.renamed")

    def allocated(self, image: str, snapshot: str, before: str | None) -> int:
        """Bytes of the objects that changed between the snapshot *before*, or nothing, and *snapshot*, or now.

        Whole objects are counted, by the map that Ceph keeps of them; none is read.
        """
        found = 0

        def count(_: int, length: int, is_data: bool) -> None:
            nonlocal found
            found += length if is_data else 0

        try:
            with self._cluster.image(image, snapshot=snapshot or None, is_looked_at=True) as opened:
                if size := opened.size():
                    opened.diff_iterate(0, size, before, count, include_parent=False, whole_object=True)
        except self._cluster.rbd.ImageNotFound:
            return 0
        return found

    def remove_snapshot(self, image: str, snapshot: str) -> None:
        """Remove a snapshot; where clones stand on it, Ceph keeps its bytes for as long as they do. Idempotent."""
        reach("rbd.remove.before")
        with contextlib.suppress(self._cluster.rbd.ImageNotFound), self._cluster.image(image) as opened:
            opened.remove_snap(snapshot)
        reach("rbd.snapshot.removed")

    def remove(self, image: str) -> bool:
        """Remove an image in which nothing is needed; False where a snapshot is kept in it for a clone still.

        Idempotent. Raises VolumeBusy while a client has it open.
        """
        reach("rbd.remove.before")
        if not self._removals.remove(image):
            return False
        reach("rbd.image.removed")
        return True

    def remove_all(self, image: str) -> bool:
        """Remove an image with all snapshots of it that are ours, as ``remove`` does."""
        for one in self.snapshots(image):
            if one.is_ours:
                self.remove_snapshot(image, one.name)
        return self.remove(image)

    def parent(self, image: str) -> str | None:
        """The image of which it is a clone; None where it is none, or is not there."""
        try:
            with self._cluster.image(image, is_looked_at=True) as opened:
                return str(opened.get_parent_image_spec()["image_name"])
        except self._cluster.rbd.ImageNotFound:
            return None  # That it has no parent is told so, too.
