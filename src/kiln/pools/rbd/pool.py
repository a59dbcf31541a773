"""A pool on Ceph RBD: a head is the writable end of an image, a layer is a snapshot of one.

A freeze makes snapshots and gives what each image has from then on the heir's
name, so a machine goes on with what it has open. A clone is an image on a
snapshot. Which volume is what only the ``directory`` says; the bytes never move
when volumes are frozen, merged, put into the trash or deleted. Knows no guests
beyond ``Guest``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from kiln.pools import inspection, lineage, luks, unpacking
from kiln.pools.errors import Cancelled, EncryptionUnsupported, PoolFull, VolumeBusy, VolumeMissing
from kiln.pools.family import NAME
from kiln.pools.folder import Folder
from kiln.pools.guests import Guest
from kiln.pools.port import (
    Cancel,
    Discarded,
    Identity,
    Progress,
    Room,
    Source,
    SourceFormat,
    Stranger,
    Succession,
    TargetFormat,
    never_cancelled,
)
from kiln.pools.rbd import nodes, transfers
from kiln.pools.rbd.cluster import Cluster
from kiln.pools.rbd.departures import Departures
from kiln.pools.rbd.directory import Change, Directory, Entry, Page, if_spared
from kiln.pools.rbd.entrances import Address
from kiln.pools.rbd.freezes import Freezes
from kiln.pools.rbd.images import LOST, PREFIX, Images
from kiln.pools.rbd.overlays import NoOverlays
from kiln.pools.rbd.presence import Presence, entered
from kiln.pools.rbd.records import RbdRecords, read_identity, write_identity
from kiln.pools.rbd.shots import snapped

_PATIENCE_S = 35.0  #: Longer than Ceph takes to know that a client is gone.
_LOOK_S = 0.2


class RbdPool:
    """The pool at *address*. *scratch* is a folder for what comes packed, which is unpacked before it is judged.

    For *patience_s* seconds a client that writes is waited for: it may be one that was killed, of which Ceph knows
    only after half a minute. See ``port.Pool`` for the promises.
    """

    kind = "rbd"
    encrypts = False

    def __init__(self, address: Address, scratch: Path, *, patience_s: float = _PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._cluster = Cluster(address)
        self._directory = Directory(self._cluster)
        self._presence = Presence(self._cluster)
        self._images = Images(self._cluster, self._presence.clients)
        self._departures = Departures(self._directory, self._images)
        self._freezes = Freezes(self._cluster, self._directory, self._images, self._departures)
        self._open = ExitStack()
        self._scratch = Folder(scratch)
        self.records = RbdRecords(self._cluster)
        self.overlays = NoOverlays()
        self.keys: luks.Keys = luks.no_keys
        self.make_room: Callable[[int | None], bool] = lambda _: False
        self.lineage: lineage.Lineage = lambda _: None

    def close(self) -> None:
        """Give the connection to Ceph back."""
        self.put_away()
        self._images.close()
        self._cluster.close()

    def make_known(self) -> None:
        """Have all who work with the pool know that this is a Kiln, until ``put_away``: see ``presence``.

        Raises PoolFull, PoolClosed, ToolFailed.
        """
        self._open.enter_context(entered(self._cluster))

    def identity(self) -> Identity | None:
        """See ``port.Pool``."""
        return read_identity(self._cluster)

    def identify(self, identity: Identity) -> None:
        """See ``port.Pool``."""
        write_identity(self._cluster, identity)

    def create(self, volume: str, size_bytes: int, key: str = "") -> None:
        """See ``port.Pool``. Raises EncryptionUnsupported when there is a *key*."""
        _require_name(volume)
        if self.exists(volume):
            return
        if key:
            raise EncryptionUnsupported(f"{volume} cannot be encrypted: this pool keeps nothing encrypted")
        self._with_room(
            lambda: self._born(volume, None, size_bytes, lambda image: self._images.create(image, size_bytes))
        )

    def clone(self, layer: str, volume: str, size_bytes: int) -> None:
        """See ``port.Pool``."""
        _require_name(volume)
        if self.exists(volume):
            return
        with self._departures.reading(layer):
            if size_bytes < self.size(layer):
                raise ValueError(f"a clone of {layer} cannot be smaller than it")
            self._with_room(lambda: self._clone(layer, volume, size_bytes))

    def freeze(self, disks: Sequence[Succession], guest: Guest | None) -> bool:
        """See ``port.Pool``. Raises VolumeMissing, PoolFull, and VolumeBusy where a head is written by no *guest*."""
        entries = {disk.head: self._entry(disk.head) for disk in disks}
        due = [disk for disk in disks if not self.exists(disk.heir)]
        with ExitStack() as held:
            for disk in due:
                _require_name(disk.heir)
                held.enter_context(self._departures.reading(disk.head))
            for disk in due:
                if not entries[disk.head].is_head:
                    self._with_room(partial(self._clone, disk.head, disk.heir, entries[disk.head].size_bytes))
            ends = [disk for disk in due if entries[disk.head].is_head]
            if guest is None:
                self._require_unwritten({disk.head: entries[disk.head] for disk in ends})
            images = [(disk, entries[disk.head].image) for disk in ends]
            return bool(ends) and self._freezes.freeze(images, guest, self._with_room)

    def prepare(self) -> int:
        """See ``port.Pool``. A snapshot needs nothing."""
        return 0

    def put_away(self) -> None:
        """See ``port.Pool``. librbd ends a process with an image open that it was not told to close."""
        self._open.close()

    def has_frozen(self, disks: Sequence[Succession], guest: Guest | None) -> bool:  # noqa: ARG002 - the port's.
        """See ``port.Pool``. The heirs of a freeze get their names at once, so these tell, and no guest is asked."""
        page = self._directory.read()
        return all(disk.heir in page.entries for disk in disks)

    def resize(self, volume: str, size_bytes: int, guest: Guest | None = None) -> None:
        """See ``port.Pool``. Raises VolumeMissing, VolumeBusy while somebody writes it or stands on it, PoolFull."""
        if guest is not None and self.is_used(volume, guest):
            guest.resize(self.node(volume), size_bytes)
            return
        size_now = self.size(volume)
        if size_bytes == size_now:
            return
        if size_bytes < size_now or size_bytes % 512:
            raise ValueError(f"{volume} has {size_now} bytes and cannot have {size_bytes}")
        entry = self._writable(volume)
        self._require_unwritten({volume: entry})
        self._with_room(lambda: self._images.grow(entry.image, size_bytes))

    def drop(self, volume: str) -> None:
        """See ``port.Pool``."""
        self._departures.drop(volume)

    def discard(self, volumes: Sequence[str]) -> list[str]:
        """See ``port.Pool``."""
        return self._departures.discard(volumes)

    def retrieve(self, volume: str) -> None:
        """See ``port.Pool``."""
        self._departures.retrieve(volume)

    def purge(self, volumes: Sequence[str]) -> list[str]:
        """See ``port.Pool``."""
        return self._departures.purge(volumes)

    def discarded(self) -> Iterator[Discarded]:
        """See ``port.Pool``."""
        return self._departures.discarded()

    def room(self) -> Room | None:
        """See ``port.Pool``. Ceph's manager tells it, and nobody else."""
        free, total = self._cluster.stats()
        return Room(free_bytes=free, total_bytes=total) if total else None

    def is_used(self, volume: str, guest: Guest) -> bool:
        """See ``port.Pool``. Of what a machine has open only the end is a volume that it needs under its name."""
        entry = self._entry(volume)
        return entry.is_head and guest.has_node(nodes.name(entry))

    def require_home(self, heads: Collection[str], guest: Guest) -> None:
        """See ``port.Pool``. An image is opened by its name alone, which leads to it and to nothing else."""

    def let_go(self, held: Sequence[str], heads: Sequence[str], guest: Guest) -> bool:  # noqa: ARG002 - the port's.
        """See ``port.Pool``. A machine has the ends of images open, and no layer."""
        return False

    def absorb(
        self, child: str, guest: Guest | None, beside: Sequence[str] = (), cancelled: Cancel = never_cancelled
    ) -> None:
        """See ``port.Pool``. It copies nothing: Ceph keeps of a layer that was removed what is read through clones."""
        del guest, beside  # They go on with what they have open.

        def decide(page: Page) -> Change | None:
            entry = page.entry(child)
            if entry.parent is None:
                return None
            if cancelled():
                raise Cancelled("before it was merged")
            return Change(put={child: replace(entry, parent=page.entry(entry.parent).parent)})

        self._directory.change(decide)

    def exists(self, volume: str) -> bool:
        """See ``port.Pool``."""
        entry = self._directory.read().entries.get(volume)
        return entry is not None and entry.where == "pool"

    def is_open(self, volume: str) -> bool:
        """See ``port.Pool``. Who only reads is seen in this process alone."""
        entry = self._entry(volume)
        return entry.is_head and self._images.is_written(entry.image)

    def size(self, volume: str) -> int:
        """See ``port.Pool``."""
        entry = self._entry(volume)
        return self._images.size(entry.image) if entry.is_head else entry.size_bytes

    def length(self, volume: str) -> int:
        """See ``port.Pool``."""
        return self.size(volume)

    def parent(self, volume: str) -> str | None:
        """See ``port.Pool``."""
        return self._entry(volume).parent

    def volumes(self) -> Iterator[str]:
        """See ``port.Pool``."""
        return iter([name for name, one in self._directory.read().entries.items() if one.where == "pool"])

    def taken(self) -> Iterator[tuple[str | None, int]]:
        """See ``port.Pool``."""
        page = self._directory.read()
        for name, entry in page.entries.items():
            if entry.where == "pool":
                yield name, self._departures.allocated(page, entry)

    def strangers(self) -> list[Stranger]:
        """See ``port.Pool``. Every image is one whose name is none that this pool gives."""
        return [Stranger(name, None) for name in self._images.names() if not name.startswith((PREFIX, LOST))]

    def set_aside(self, what: str | Stranger) -> str:
        """See ``port.Pool``. It is an image of its own from then on, whose name begins with ``lost+found.``."""
        if isinstance(what, Stranger):
            if self._images.is_written(what.name):
                raise VolumeBusy(f"{what.name} is being written")
            aside = self._images.unused(what.name)
            self._images.rename(what.name, aside)
            return f"{self._cluster.address}/{aside}"
        layer, aside = self._layer(what), self._images.unused(what)
        self._images.clone(layer.image, layer.snapshot, aside, layer.size_bytes)
        self._departures.forget(what)
        return f"{self._cluster.address}/{aside}"

    def leftovers(self) -> list[str]:
        """See ``port.Pool``."""
        return self._departures.leftovers()

    def sweep(self) -> list[str]:
        """See ``port.Pool``."""
        return self._departures.sweep()

    def verify(self, volume: str) -> list[str]:
        """See ``port.Pool``. Raises VolumeMissing."""
        page = self._directory.read()
        entry = page.entry(volume)
        if not self._is_whole(entry):
            return ["Its image, or the snapshot that it is, is missing."]
        below = entry.parent
        while below is not None:
            under = page.entries.get(below)
            if under is None or not self._is_whole(under):
                return [f"The layer {below} below it is missing."]
            below = under.parent
        return []

    def blockdevs(self, volume: str) -> list[dict[str, Any]]:
        """See ``port.Pool``. Raises VolumeMissing, VolumeBroken."""
        entry = self._entry(volume)
        if entry.parent is not None:
            lineage.require_kin(volume, [entry.parent], self.lineage)
        return [nodes.node(self._cluster, entry)]

    def node(self, volume: str) -> str:
        """See ``port.Pool``. It is that of the image, and stays what it is when a freeze names its end anew."""
        return nodes.name(self._entry(volume))

    def files(self, volume: str) -> tuple[Path, ...]:  # noqa: ARG002 - the port's.
        """See ``port.Pool``."""
        return ()

    def grant(self, volume: str, uid: int | None) -> None:  # noqa: ARG002 - the port's.
        """See ``port.Pool``. QEMU comes to Ceph by a key that it is told, so there is nothing to give to a user."""
        self._writable(volume)

    def cut_off(self, volumes: Collection[str]) -> None:
        """See ``port.Pool``. What the others have not flushed is lost with them, as in a power cut."""
        self._images.cut_off(self._ends(volumes))

    def writers(self, volumes: Collection[str]) -> Mapping[str, frozenset[str]]:
        """See ``port.Pool``. A machine has a client of Ceph for each disk."""
        return self._images.writers({volume: self._entry(volume).image for volume in volumes})

    def shut_out(self, writers: Collection[str]) -> None:
        """See ``port.Pool``."""
        self._images.shut_out(writers)

    def require_sole(self, volumes: Collection[str]) -> None:
        """See ``port.Pool``."""
        self._images.require_sole(self._ends(volumes))

    def take_back(self, volume: str) -> None:
        """See ``port.Pool``."""
        self._entry(volume)

    def unpacked(self, file: BinaryIO, cancelled: Cancel) -> AbstractContextManager[BinaryIO]:
        """See ``port.Pool``."""
        return unpacking.unpacked(self._scratch, file, cancelled)

    def inspect(self, file: BinaryIO, stated: SourceFormat | None) -> Source:
        """See ``port.Pool``."""
        return inspection.inspect(file, stated)

    def bring_in(self, file: BinaryIO, source: Source, volume: str, progress: Progress, cancelled: Cancel) -> None:
        """See ``port.Pool``. Nothing is kept of it here on the way."""
        _require_name(volume)
        if self.exists(volume):
            return

        def work() -> None:
            with self._images.draft(volume) as image:
                self._images.create(image, source.virtual_size)
                try:
                    target = nodes.node(self._cluster, Entry(image, "", None, source.virtual_size))
                    transfers.bring_in(
                        file,
                        source,
                        target,
                        require_room=self._require_room,
                        progress=progress,
                        cancelled=cancelled,
                    )
                    with self._images.snapshot_draft(image, volume) as snapshot:
                        self._name({volume: Entry(image, snapshot, None, snapped(self._cluster, image, snapshot))})
                except BaseException:
                    self._departures.bury(image)
                    raise

        self._with_room(work)

    def encrypt(self, layer: str, volume: str, key: str, progress: Progress, cancelled: Cancel) -> None:  # noqa: ARG002 - the port's.
        """See ``port.Pool``. Raises EncryptionUnsupported."""
        raise EncryptionUnsupported(f"{volume} cannot be encrypted: this pool keeps nothing encrypted")

    def send_out(self, layer: str, path: Path, target: TargetFormat, progress: Progress, cancelled: Cancel) -> None:
        """See ``port.Pool``. Raises VolumeMissing too."""
        with self._departures.reading(layer):
            node = nodes.node(self._cluster, self._entry(layer)) | {"read-only": True}
            transfers.send_out(node, path, target, progress, cancelled)

    def _ends(self, volumes: Collection[str]) -> list[str]:
        return [entry.image for volume in volumes if (entry := self._entry(volume)).is_head]

    def _entry(self, volume: str) -> Entry:
        return self._directory.read().entry(volume)

    def _is_whole(self, entry: Entry) -> bool:
        try:
            self._images.size(entry.image, entry.snapshot)
        except VolumeMissing:
            return False
        return True

    def _born(self, volume: str, parent: str | None, size_bytes: int, make: Callable[[str], None]) -> None:
        """Make an image by *make* and have it be the head of that name. What fails leaves nothing."""
        with self._images.draft(volume) as image:
            try:
                make(image)
                self._name({volume: Entry(image, "", parent, size_bytes)})
            except BaseException:
                self._departures.bury(image)
                raise

    def _clone(self, layer: str, volume: str, size_bytes: int) -> None:
        below = self._layer(layer)
        self._born(
            volume, layer, size_bytes, lambda image: self._images.clone(below.image, below.snapshot, image, size_bytes)
        )

    def _name(self, put: Mapping[str, Entry]) -> None:
        """Give new volumes their names. Raises VolumeBusy where somebody else has given one meanwhile."""

        def decide(page: Page) -> Change:
            if taken := put.keys() & page.entries.keys():
                raise VolumeBusy(f"somebody else made {min(taken)} meanwhile")
            for entry in put.values():
                if entry.parent is not None:
                    page.entry(entry.parent)
            return if_spared(page, put)

        self._directory.change(decide)

    def _layer(self, volume: str) -> Entry:
        """The volume as a snapshot; a head is made one, whose image then has an end that nobody needs."""
        entry = self._entry(volume)
        if not entry.is_head:
            return entry
        self._require_unwritten({volume: entry})
        with self._images.snapshot_draft(entry.image, volume) as snapshot:
            size_bytes = snapped(self._cluster, entry.image, snapshot)
            sealed = replace(entry, snapshot=snapshot, size_bytes=size_bytes)
            self._replace(volume, entry, sealed)
        return sealed

    def _writable(self, volume: str) -> Entry:
        """The volume as a head; a layer on which nothing stands is made one. Raises VolumeMissing, VolumeBusy."""
        page = self._directory.read()
        entry = page.entry(volume)
        if children := page.children(volume):
            raise VolumeBusy(f"{min(children)} stands on {volume}")
        if entry.is_head:
            return entry
        with self._images.draft(volume) as image:
            self._images.clone(entry.image, entry.snapshot, image, entry.size_bytes)
            writable = replace(entry, image=image, snapshot="")
            try:
                self._replace(volume, entry, writable)
            except BaseException:
                self._departures.bury(image)
                raise
        self._departures.forsake([(entry.image, entry.snapshot)])
        return writable

    def _replace(self, volume: str, before: Entry, after: Entry) -> None:
        def decide(page: Page) -> Change:
            if page.entry(volume) != before:
                raise VolumeBusy(f"somebody else changed {volume} meanwhile")
            if after.is_head and (children := page.children(volume)):
                raise VolumeBusy(f"{min(children)} stands on {volume}")
            return if_spared(page, {volume: after})

        self._directory.change(decide)

    def _require_unwritten(self, entries: Mapping[str, Entry]) -> None:
        deadline = time.monotonic() + self._patience_s
        while busy := self._images.written([one.image for one in entries.values()]):
            if time.monotonic() > deadline:
                raise VolumeBusy(f"{next(name for name in entries if entries[name].image in busy)} is being written")
            time.sleep(_LOOK_S)

    def _require_room(self, needed: int) -> None:
        room = self.room()  # Where nobody can tell, Ceph refuses what does not fit, when it is written.
        if room is not None and needed > room.free_bytes:
            missing = needed - room.free_bytes
            raise PoolFull(f"the image may take {needed} bytes, but {room.free_bytes} are free", missing)

    def _with_room(self, work: Callable[[], None]) -> None:
        """Do it, and when there is no room do it once more with what the trash gave back. Raises PoolFull."""
        try:
            work()
        except PoolFull as error:
            if not self.make_room(error.missing_bytes):
                raise
            work()


def _require_name(volume: str) -> None:
    if not NAME.fullmatch(volume):
        raise ValueError(f"{volume!r} cannot name a volume")
