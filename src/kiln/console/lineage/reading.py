"""Makes a lineage of what DescribeImages, DescribeSnapshots, DescribeDisks and DescribeInstances answer.

A disk that an instance has is part of the instance. So an instance may be made
of what was made of itself, as when a snapshot of its disk became another of its
disks: the graph has a cycle then, which is the truth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kiln.console.lineage.graph import Edge, Kind, Lineage, Node
from kiln.ground.units import GiB

Row = Mapping[str, Any]

_KINDS = {"i": Kind.INSTANCE, "d": Kind.DISK, "s": Kind.SNAPSHOT, "m": Kind.IMAGE}


def read(
    *,
    images: Iterable[Row] = (),
    snapshots: Iterable[Row] = (),
    disks: Iterable[Row] = (),
    instances: Iterable[Row] = (),
) -> Lineage:
    """The lineage of these elements of the API's listings. What they name and is not among them is missing."""
    reading = _Reading()
    for row in disks:
        reading.take_disk(row)
    for row in instances:
        reading.take_instance(row)
    for row in images:
        reading.take_image(row)
    for row in snapshots:
        reading.take_snapshot(row)
    return reading.lineage()


class _Reading:
    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._sources: dict[tuple[str, str], None] = {}  #: What was made of what: the later one stands first.
        self._owner: dict[str, str] = {}  #: The instance that has a disk.
        self._bytes: dict[str, int] = {}  #: Of an instance: all its disks'.
        self._mapped: dict[str, set[str]] = {}  #: The snapshots of an image.
        self._disk_sources: list[tuple[str, str, str]] = []  #: A disk, its image and its snapshot.
        self._taken_of: list[tuple[str, str]] = []  #: A snapshot and its disk.

    def take_instance(self, row: Row) -> None:
        one = _text(row, "InstanceId")
        self._nodes[one] = Node(
            one,
            Kind.INSTANCE,
            _text(row, "InstanceName"),
            _text(row, "Status"),
            _text(row, "CreationTime"),
            size_bytes=self._bytes.get(one, 0),
        )
        self._made_of(one, _text(row, "ImageId"))

    def take_image(self, row: Row) -> None:
        one = _text(row, "ImageId")
        mapped = row.get("DiskDeviceMappings", {}).get("DiskDeviceMapping", ())
        self._mapped[one] = {_text(disk, "SnapshotId") for disk in mapped}
        self._nodes[one] = Node(
            one,
            Kind.IMAGE,
            _text(row, "ImageName"),
            _text(row, "Status"),
            _text(row, "CreationTime"),
            _text(row, "ImageFamily"),
            sum(_number(disk, "Size") for disk in mapped) * GiB,
            is_others=_text(row, "ImageOwnerAlias") not in ("", "self"),
        )
        for disk in mapped:
            self._made_of(one, _text(disk, "SnapshotId"))

    def take_snapshot(self, row: Row) -> None:
        one = _text(row, "SnapshotId")
        self._nodes[one] = Node(
            one,
            Kind.SNAPSHOT,
            _text(row, "SnapshotName"),
            _text(row, "Status"),
            _text(row, "CreationTime"),
            size_bytes=_number(row, "FullSnapshotSizeInBytes") or _number(row, "SourceDiskSize") * GiB,
        )
        if source := _text(row, "SourceSnapshotId"):
            self._made_of(one, source)
        elif disk := _text(row, "SourceDiskId"):
            self._taken_of.append((one, disk))

    def take_disk(self, row: Row) -> None:
        one, owner = _text(row, "DiskId"), _text(row, "InstanceId")
        size_bytes = _number(row, "Size") * GiB
        if owner:
            self._owner[one] = owner
            self._bytes[owner] = self._bytes.get(owner, 0) + size_bytes
        else:
            self._nodes[one] = Node(
                one,
                Kind.DISK,
                _text(row, "DiskName"),
                _text(row, "Status"),
                _text(row, "CreationTime"),
                size_bytes=size_bytes,
            )
        self._disk_sources.append((one, _text(row, "ImageId"), _text(row, "SourceSnapshotId")))

    def lineage(self) -> Lineage:
        """All that was taken."""
        for snapshot, disk in self._taken_of:
            self._made_of(snapshot, self._owner.get(disk, disk))
        for disk, image, snapshot in self._disk_sources:
            # A disk of an image also names the image's snapshot, which the image stands on already.
            self._made_of(self._owner.get(disk, disk), image)
            if snapshot not in self._mapped.get(image, ()):
                self._made_of(self._owner.get(disk, disk), snapshot)
        for _, source in self._sources:
            if source not in self._nodes:
                self._nodes[source] = Node(source, _kind_of(source), is_missing=True)
        return Lineage(self._nodes, [Edge(source, made) for made, source in self._sources])

    def _made_of(self, made: str, source: str) -> None:
        if source and made and source != made:
            self._sources[made, source] = None


def _kind_of(resource: str) -> Kind:
    return _KINDS.get(resource.partition("-")[0], Kind.DISK)


def _text(row: Row, name: str) -> str:
    return str(row.get(name) or "")


def _number(row: Row, name: str) -> int:
    return int(row.get(name) or 0)
