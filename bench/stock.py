"""Puts into a data folder, before it is served, what the measurements need: instances, snapshots, thousands of images.

Rows are written as operations would have left them, and volumes are made by the
pool itself; going through the API would take minutes and measure nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.server import KEY_ID, REGION, SECRET
from kiln.declare.ids import new_id
from kiln.declare.states import DiskStatus, ImageStatus, InstanceStatus, SnapshotStatus
from kiln.declare.system import NO_SYSTEM, System
from kiln.ground.units import GiB
from kiln.service.accounts import ensure_first_account
from kiln.service.assemble import Assembly, assemble
from kiln.service.claim import hold_data_folder
from kiln.service.pairing import advance
from kiln.service.settings import Settings, read_settings
from kiln.store import deployment as deployments
from kiln.store import documents
from kiln.store.database import Transaction
from kiln.store.disks import Disk, disks
from kiln.store.images import Image, ImageDisk, image_disks, images
from kiln.store.instances import Instance, instances
from kiln.store.snapshots import Snapshot, snapshots
from kiln.store.volumes import Volume, volumes
from kiln.upkeep.placing import place_all

INSTANCE_TYPE = "ecs.t5-lc2m1.nano"
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_BATCH = 1000
_DEEP = 16  #: Layers of a chain, at the most.
_DEBIAN = System(
    platform="Debian", architecture="x86_64", os_type="linux", boot_mode="BIOS", imds_support="v1",
    nvme_support="unsupported",
)  # fmt: skip


def settings_of(data: Path, more: Mapping[str, str]) -> Settings:
    """The settings with which *data* is stocked and served; *more* are those that a cluster's have beside."""
    keys = {"server_access_key_id": KEY_ID, "server_access_key_secret": SECRET}
    return read_settings({}, data=data, machines="none", **keys, **more)


@dataclass(frozen=True)
class Stock:
    """A data folder that nobody serves yet."""

    assembly: Assembly
    account: str

    def snapshot(self, size_gib: int = 20) -> str:
        """An accomplished snapshot of a system disk, blank; returns its ID."""
        row = self._of_disk(self._volume("layer", size_gib), "", size_gib)
        self.assembly.database.write(lambda tx: snapshots.insert(tx, row))
        return row.id

    def images(self, snapshot: str, count: int, first: int = 0, size_gib: int = 20) -> list[str]:
        """So many Available images of one disk of the snapshot's size, named by numbers from *first* on; their IDs."""
        made: list[str] = []
        while len(made) < count:
            batch = [
                self._image(snapshot, first + len(made) + n, size_gib) for n in range(min(_BATCH, count - len(made)))
            ]
            rows = [_image_disk(image.id, snapshot, size_gib) for image in batch]

            def insert(tx: Transaction, batch: list[Image] = batch, rows: list[ImageDisk] = rows) -> None:
                images.insert(tx, *batch)
                image_disks.insert(tx, *rows)

            self.assembly.database.write(insert)
            made += [image.id for image in batch]
        return made

    def layers(self, count: int, size_gib: int = 20) -> None:
        """So many layers, each with the snapshot that names it, in chains of sixteen.

        Their files are links to one blank disk: what is measured beside them counts and lists them, and opens none.
        """
        folder = self.assembly.settings.data / "pool"
        parent = None
        for first in range(0, count, _BATCH):
            blank = self._volume("layer", size_gib)  # Another one each time: a file has 65,000 links at the most.
            rows, named = [], []
            for number in range(first, min(first + _BATCH, count)):
                volume = new_id("volume")
                os.link(folder / f"{blank}.qcow2", folder / f"{volume}.qcow2")
                rows.append(self._layer(volume, parent if number % _DEEP else None, size_gib))
                named.append(self._of_disk(volume, f"snapshot-{number}", size_gib))
                parent = volume

            def insert(tx: Transaction, rows: list[Volume] = rows, named: list[Snapshot] = named) -> None:
                volumes.insert(tx, *rows)
                snapshots.insert(tx, *named)

            self.assembly.database.write(insert)

    def instance(self, sizes_gib: Sequence[int], boot: Path | None = None) -> str:
        """A Stopped instance whose disks have these sizes, the system disk first; returns its ID.

        The disks are blank, but that the system disk has the bytes of the qcow2 file *boot* where there is one.
        """
        heads = [self._volume("head", size_gib, boot if n == 0 else None) for n, size_gib in enumerate(sizes_gib)]
        row = self._instance()
        attached = [
            self._disk(row.id, letter, size_gib, head)
            for letter, size_gib, head in zip(_LETTERS, sizes_gib, heads, strict=False)
        ]

        def insert(tx: Transaction) -> None:
            instances.insert(tx, row)
            disks.insert(tx, *attached)

        self.assembly.database.write(insert)
        return row.id

    def files(self, instance: str) -> list[Path]:
        """The files that an instance's disks are now, the system disk's first; of a pool in the data folder."""
        return [self.assembly.settings.data / "pool" / f"{head}.qcow2" for head in self.heads(instance)]

    def heads(self, instance: str) -> list[str]:
        """The volumes that an instance's disks are now, the system disk's first."""
        with self.assembly.database.read() as tx:
            attached = disks.all(tx, instance=instance)
        return [str(disk.volume) for disk in sorted(attached, key=lambda disk: disk.device)]

    def _now(self) -> float:
        return self.assembly.ports.clock()

    def _volume(self, kind: str, size_gib: int, boot: Path | None = None) -> str:
        parent = None
        if boot is not None:
            parent = new_id("volume")
            with boot.open("rb") as file:
                source = self.assembly.pool.inspect(file, "qcow2")
                self.assembly.pool.bring_in(file, source, parent, lambda _: None, lambda: False)
            self._record(parent, "layer", None, source.virtual_size)
        volume = new_id("volume")
        if parent is None:
            self.assembly.pool.create(volume, size_gib * GiB)
        else:
            self.assembly.pool.clone(parent, volume, size_gib * GiB)
        self._record(volume, kind, parent, size_gib * GiB)
        return volume

    def _record(self, volume: str, kind: str, parent: str | None, size_bytes: int) -> None:
        row = Volume(
            id=volume,
            state="ready",
            kind=kind,
            parent=parent,
            size_bytes=size_bytes,
            task=None,
            created_at=self._now(),
        )
        self.assembly.database.write(lambda tx: volumes.insert(tx, row))

    def _of_disk(self, volume: str, name: str, size_gib: int) -> Snapshot:
        return Snapshot(
            id=new_id("snapshot"),
            account=self.account,
            region=REGION,
            name=name,
            description="",
            status=SnapshotStatus.ACCOMPLISHED,
            progress=100,
            created_at=self._now(),
            volume=volume,
            source_disk=new_id("disk"),
            source_disk_type="system",
            source_disk_size_gib=size_gib,
            category="cloud_essd",
            device="/dev/xvda",
            instance="",
            size_bytes=size_gib * GiB,
            resource_group="",
            retention_days=0,
            consistency="",
            from_released_system=False,
            made_for="",
            system=_DEBIAN,
        )

    def _layer(self, volume: str, parent: str | None, size_gib: int) -> Volume:
        return Volume(
            id=volume,
            state="ready",
            kind="layer",
            parent=parent,
            size_bytes=size_gib * GiB,
            task=None,
            created_at=self._now(),
        )

    def _image(self, snapshot: str, number: int, size_gib: int) -> Image:
        return Image(
            id=new_id("image"),
            account=self.account,
            region=REGION,
            name=f"image-{number}",
            family="",
            version="",
            description="",
            status=ImageStatus.AVAILABLE,
            progress=100,
            created_at=self._now(),
            system=_DEBIAN,
            size_gib=size_gib,
            resource_group="",
            consistency="",
            source=snapshot,
            task=new_id("task"),
            error_code="",
            error_message="",
        )

    def _instance(self) -> Instance:
        return Instance(
            id=new_id("instance"),
            account=self.account,
            region=REGION,
            zone=REGION + "-a",
            name="",
            description="",
            host_name="",
            status=InstanceStatus.STOPPED,
            instance_type=INSTANCE_TYPE,
            image="",
            created_at=self._now(),
            started_at=None,
            public_ip="",
            key_pair="",
            user_data="",
            password="",
            resource_group="",
            deletion_protection=False,
            charge_type="PostPaid",
            lock_reason="",
            http_tokens="optional",
            system=_DEBIAN,
            ever_started=False,
        )

    def _disk(self, instance: str, letter: str, size_gib: int, head: str) -> Disk:
        is_system = letter == "a"
        return Disk(
            id=new_id("disk"),
            account=self.account,
            region=REGION,
            zone=REGION + "-a",
            name="",
            description="",
            status=DiskStatus.IN_USE,
            type="system" if is_system else "data",
            category="cloud_essd",
            size_gib=size_gib,
            volume=head,
            instance=instance,
            device=f"/dev/xvd{letter}",
            image="",
            source_snapshot="",
            delete_with_instance=True,
            portable=not is_system,
            ever_attached=True,
            was_system=False,
            resource_group="",
            created_at=self._now(),
            attached_at=self._now(),
            detached_at=None,
            system=_DEBIAN if is_system else NO_SYSTEM,
        )


@contextmanager
def open_stock(data: Path, **more: str) -> Iterator[Stock]:
    """*data*, made when it is not there, for stocking; nobody can serve it meanwhile.

    *more* are settings by their names, such as the database and the pool of a cluster. In the end the pool's records
    know all of it, as if a Kiln had made it: the first start would write them while it is measured.
    """
    settings = settings_of(data, more)
    with hold_data_folder(data), assemble(settings) as assembly:
        keys = ensure_first_account(assembly.database, assembly.sealer, settings, assembly.ports.clock())
        yield Stock(assembly, keys.account)
        place_all(assembly.ports)
        deployment = advance(assembly.database, assembly.pool, assembly.ports.clock())
        _record_all(assembly, deployment.id)


def _record_all(assembly: Assembly, deployment: str) -> None:
    """As the recorder does, which leaves pauses to others: here there are none."""
    records = assembly.pool.records
    with assembly.database.read() as tx:
        for kind in documents.KINDS:
            after = ""
            while page := documents.names(tx, kind, after, _BATCH):
                for name, said in documents.some(tx, kind, page).items():
                    if said is not None:
                        records.put(kind, name, said, documents.volumes_of(kind, said))
                after = page[-1]
    records.flush(assembly.database.write(deployments.next_batch), deployment)


def _image_disk(image: str, snapshot: str, size_gib: int) -> ImageDisk:
    return ImageDisk(
        image=image,
        position=0,
        type="system",
        device="/dev/xvda",
        size_gib=size_gib,
        category="cloud_essd",
        snapshot=snapshot,
        format="",
        bucket="",
        object="",
    )
