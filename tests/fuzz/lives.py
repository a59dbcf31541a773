"""A Kiln that is lived in, and beside it a model that remembers what every disk and snapshot holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from kiln.declare.errors import ApiError
from kiln.declare.states import TaskStatus
from kiln.store.disks import disks
from kiln.store.images import image_disks, images
from kiln.store.instances import instances
from kiln.store.snapshots import snapshots
from kiln.store.tasks import tasks
from kiln.store.volumes import volumes
from kiln.upkeep.fsck import fsck
from kiln.upkeep.sweep import sweep
from tests.clouds import REGION, Cloud
from tests.operations.images.gallery import FAR
from tests.pools.patterns import holds, put
from tests.reading import every, the

Bytes = dict[int, int]  #: What was written: a byte by the number of the block that is full of it.
Chosen = TypeVar("Chosen")

TYPE = "ecs.t5-lc1m1.small"


@dataclass
class Life:
    """Steps take a number, by which they choose among what there is."""

    cloud: Cloud
    disks: dict[str, Bytes] = field(default_factory=dict)
    snapshots: dict[str, Bytes] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)  #: What was not refused, for whoever reads a failure.

    def run_instances(self, number: int) -> None:
        image = self._one(images, number)
        if image and (
            made := self._call("RunInstances", {"DataDisk.1.Size": "20"}, ImageId=image.id, InstanceType=TYPE)
        ):
            (instance,) = made["InstanceIdSets"]["InstanceIdSet"]
            self.settle()
            self._know_disks(instance, image.id)

    def write(self, number: int) -> None:
        self.settle()
        disk = self._one(disks, number)
        if disk and disk.volume:
            block, byte = number % 5, number % 255 + 1
            put(self.cloud.ports.pool, disk.volume, {block: byte})
            self.disks[disk.id][block] = byte
            self.done.append(f"write {byte} to {block} of {disk.id}")

    def create_image(self, number: int) -> None:
        if instance := self._one(instances, number):
            before = {d.id: dict(self.disks[d.id]) for d in every(self.cloud, disks, instance=instance.id)}
            if made := self._call("CreateImage", InstanceId=instance.id):
                for row in every(self.cloud, image_disks, image=made["ImageId"]):
                    source = the(self.cloud, snapshots, id=row.snapshot).source_disk
                    self.snapshots[row.snapshot] = before[source]

    def create_image_of_snapshots(self, number: int) -> None:
        system, data = self._one(snapshots, number), self._one(snapshots, number // 7)
        if system and data:
            mappings = {"DiskDeviceMapping.1.SnapshotId": system.id, "DiskDeviceMapping.1.DiskType": "system"}
            more = {"DiskDeviceMapping.2.SnapshotId": data.id, "DiskDeviceMapping.2.DiskType": "data"}
            self._call("CreateImage", mappings | (more if number % 2 else {}))

    def copy_image(self, number: int) -> None:
        image = self._one(images, number)
        params = {"DestinationRegionId": (REGION, FAR)[number % 2]}
        if image and (made := self._call("CopyImage", params, RegionId=image.region, ImageId=image.id)):
            for row in every(self.cloud, image_disks, image=made["ImageId"]):
                source = the(self.cloud, image_disks, image=image.id, position=row.position)
                self.snapshots[row.snapshot] = dict(self.snapshots[source.snapshot])

    def cancel_copy_image(self, number: int) -> None:
        if image := self._one(images, number):
            self._call("CancelCopyImage", RegionId=image.region, ImageId=image.id)

    def copy_snapshot(self, number: int) -> None:
        snapshot = self._one(snapshots, number)
        params = {"DestinationRegionId": (REGION, FAR)[number % 2]}
        if snapshot and (made := self._call("CopySnapshot", params, RegionId=snapshot.region, SnapshotId=snapshot.id)):
            self.snapshots[made["SnapshotId"]] = dict(self.snapshots[snapshot.id])

    def create_snapshot(self, number: int) -> None:
        disk = self._one(disks, number)
        if disk and (made := self._call("CreateSnapshot", DiskId=disk.id)):
            self.snapshots[made["SnapshotId"]] = dict(self.disks[disk.id])

    def create_disk(self, number: int) -> None:
        snapshot = self._one(snapshots, number)
        source = {"SnapshotId": snapshot.id} if snapshot and number % 3 else {"Size": "20"}
        if made := self._call("CreateDisk", source, ZoneId="cn-qingdao-env17-d01-a"):
            self.disks[made["DiskId"]] = dict(self.snapshots[snapshot.id]) if snapshot and number % 3 else {}

    def reset_disk(self, number: int) -> None:
        there = {disk.id: disk for disk in every(self.cloud, disks)}
        usable = [row for row in every(self.cloud, snapshots) if row.source_disk in there]
        if usable:
            snapshot = usable[number % len(usable)]
            self._stop(there[snapshot.source_disk].instance)
            if self._call("ResetDisk", DiskId=snapshot.source_disk, SnapshotId=snapshot.id) is not None:
                self.disks[snapshot.source_disk] = dict(self.snapshots[snapshot.id])

    def replace_system_disk(self, number: int) -> None:
        instance, image = self._one(instances, number), self._one(images, number // 3)
        if instance and image:
            self._stop(instance.id)
            if self._call("ReplaceSystemDisk", InstanceId=instance.id, ImageId=image.id):
                self.settle()
                self._know_disks(instance.id, image.id)

    def resize_disk(self, number: int) -> None:
        if disk := self._one(disks, number):
            self._call("ResizeDisk", DiskId=disk.id, NewSize=str(disk.size_gib + 10))

    def attach_disk(self, number: int) -> None:
        instance, disk = self._one(instances, number), self._one(disks, number // 3)
        if instance and disk:
            self._call("AttachDisk", InstanceId=instance.id, DiskId=disk.id)

    def detach_disk(self, number: int) -> None:
        if disk := self._one(disks, number):
            self._call("DetachDisk", InstanceId=disk.instance, DiskId=disk.id)

    def start_instance(self, number: int) -> None:
        if instance := self._one(instances, number):
            self._call("StartInstance", InstanceId=instance.id)

    def stop_instance(self, number: int) -> None:
        if instance := self._one(instances, number):
            self._call("StopInstance", InstanceId=instance.id)

    def delete_instance(self, number: int) -> None:
        if instance := self._one(instances, number):
            self._call("DeleteInstance", InstanceId=instance.id, Force="true")

    def delete_disk(self, number: int) -> None:
        if disk := self._one(disks, number):
            self._call("DeleteDisk", DiskId=disk.id)

    def delete_image(self, number: int) -> None:
        if image := self._one(images, number):
            self._call("DeleteImage", RegionId=image.region, ImageId=image.id, Force="true")

    def delete_snapshot(self, number: int) -> None:
        if snapshot := self._one(snapshots, number):
            self._call("DeleteSnapshot", RegionId=snapshot.region, SnapshotId=snapshot.id, Force="true")

    def settle(self, number: int = 0) -> None:
        """Carry out all there is to do, also what waits for a better time."""
        self.cloud.settle()
        while self.cloud.open_tasks():
            self.cloud.clock.now += 60
            self.cloud.settle()

    def carry_out_one(self, number: int) -> None:
        for task in self.cloud.worker.claim(self.cloud.clock())[:1]:
            self.cloud.worker.attempt(task)
        # What else was claimed comes due again when its lease has run out.
        self.cloud.clock.now += 120

    def sweep(self, number: int) -> None:
        sweep(self.cloud.ports)

    def check(self) -> None:
        """That everything is what it should be, and holds what was written to it."""
        self.settle()
        failed = {(t.action, t.error_code) for t in every(self.cloud, tasks, status=TaskStatus.FAILED)}
        assert failed <= {("CopyImage", "TaskCancelled")}, self.done
        pool = self.cloud.ports.pool
        for known, rows in ((self.disks, disks), (self.snapshots, snapshots)):
            for row in every(self.cloud, rows):
                assert holds(pool, row.volume, known[row.id], count=5), (row.id, known[row.id], self.done)
        findings = fsck(self.cloud.ports, repair=False, say=lambda _: None)
        assert [one for one in findings if one.sort == "broken"] == [], self.done

    def end(self) -> None:
        """Delete everything; then nothing is left, not even in the pool."""
        for rows, action, name in (
            (instances, "DeleteInstance", "InstanceId"),
            (disks, "DeleteDisk", "DiskId"),
            (images, "DeleteImage", "ImageId"),
            (snapshots, "DeleteSnapshot", "SnapshotId"),
        ):
            for row in every(self.cloud, rows):
                self._call(action, {name: row.id}, RegionId=row.region, Force="true")
            self.settle()
        for _ in range(30):
            sweep(self.cloud.ports)
            self.settle()
        left = [list(map(str, every(self.cloud, rows))) for rows in (instances, disks, images, snapshots, volumes)]
        assert left == [[], [], [], [], []], self.done
        assert list(self.cloud.ports.pool.volumes()) == [], self.done

    def _call(self, action: str, params: Mapping[str, str] | None = None, /, **more: Any) -> dict[str, Any] | None:
        """The answer, or None when the request was refused as declared."""
        try:
            answer = self.cloud.call(action, params, **more)
        except ApiError as error:
            if error.status < 500:
                return None
            raise
        self.done.append(f"{action} {json.dumps(params)} {json.dumps(more)} -> {json.dumps(answer)}")
        return answer

    def _stop(self, instance: str | None) -> None:
        """Some things need an instance that is Stopped; most of the time they get one."""
        if instance and len(self.done) % 4:
            self._call("StopInstance", InstanceId=instance)
            self.settle()

    def _one(self, rows: Any, number: int) -> Any:
        found: Sequence[Any] = sorted(every(self.cloud, rows), key=lambda row: (row.created_at, row.id))
        return found[number % len(found)] if found else None

    def _know_disks(self, instance: str, image: str) -> None:
        """Note what the new disks of an instance hold: what the image's snapshots do."""
        by_device = {row.device: row.snapshot for row in every(self.cloud, image_disks, image=image)}
        for disk in every(self.cloud, disks, instance=instance):
            if disk.id not in self.disks:
                self.disks[disk.id] = dict(self.snapshots.get(by_device.get(disk.device, ""), {}))


#: What may happen, the frequent things more than once.
STEPS: tuple[Callable[[Life, int], None], ...] = (
    Life.write, Life.write, Life.write, Life.write, Life.settle, Life.carry_out_one, Life.sweep, Life.sweep,
    Life.create_image, Life.create_image, Life.create_image_of_snapshots, Life.create_snapshot, Life.create_snapshot,
    Life.run_instances, Life.create_disk, Life.create_disk, Life.reset_disk, Life.reset_disk, Life.replace_system_disk,
    Life.resize_disk, Life.attach_disk, Life.detach_disk, Life.start_instance, Life.stop_instance,
    Life.delete_instance, Life.delete_disk, Life.delete_image, Life.delete_image, Life.delete_snapshot,
    Life.delete_snapshot, Life.copy_image, Life.copy_image, Life.cancel_copy_image, Life.copy_snapshot,
)  # fmt: skip
