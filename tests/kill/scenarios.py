"""What is killed at every step: a stock that is laid out, what a caller asks, and what must be true afterwards.

``act`` is played again after a crash, with the same ClientTokens. ``check`` is
told what had been answered before it looks, and judges that: what was
answered is there, whole; what was not may be there or not.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kiln.declare.errors import ApiError
from kiln.declare.states import DiskStatus, InstanceStatus, TaskStatus
from kiln.operations.steps.transfer import objects_of
from kiln.service.secrets import Sealer
from kiln.store.accounts import Account, accounts
from kiln.store.disks import disks
from kiln.store.images import disks_of, image_disks, images
from kiln.store.instances import instances
from kiln.store.shares import image_shares
from kiln.store.snapshot_groups import snapshot_groups
from kiln.store.snapshots import snapshots
from kiln.store.tasks import tasks
from kiln.store.trash import discards, tombstones
from kiln.upkeep.restore import NotRestorable, prepare, prepare_to_empty
from kiln.upkeep.scheduled import Scheduler
from kiln.upkeep.sweep import DEEPEST
from tests.clouds import Cloud
from tests.kill.checks import Bytes, disk_holds, image_holds, is_encrypted, snapshot_holds
from tests.kill.kilns import Script, keep, settle
from tests.pools.patterns import BLOCK, put, reads_as
from tests.reading import every, find, the
from tests.stock import a_disk, a_policy, a_snapshot, a_volume, an_instance

Facts = dict[str, Any]
Answers = dict[str, dict[str, Any]]

SYSTEM, DATA, MORE = [11, 12, 0, 13], [21, 0, 22, 23], [0, 31, 32, 33]
LATER = [41, 42, 43, 44]
BUCKET = "images"
FAR = "cn-hangzhou"
RECEIVER = "1000000000000002"


@dataclass(frozen=True)
class Scenario:
    """See the module's docstring."""

    arrange: Callable[[Cloud], Facts] | None  #: None: the folder is empty, and this is the first start.
    act: Callable[[Script, Facts], None]
    check: Callable[[Cloud, Facts, Answers], None]
    every: int = 1  #: Only every so many of the kill points are tried, where the same ones come again and again.
    is_kept: bool = True  #: Whether there is nothing left to sweep when it begins.


def fill(cloud: Cloud, volume: str, blocks: Bytes) -> None:
    """Write a byte into each of a volume's first blocks; 0 leaves it as it is."""
    put(cloud.ports.pool, volume, {at: byte for at, byte in enumerate(blocks) if byte})


def an_instance_with(cloud: Cloud, *wanted: Bytes, **changes: Any) -> Facts:
    """A stopped instance whose disks hold these bytes."""
    instance = an_instance(cloud, data_disks=len(wanted) - 1, **changes)
    ordered = sorted(every(cloud, disks, instance=instance.id), key=lambda disk: disk.device)
    for disk, blocks in zip(ordered, wanted, strict=True):
        fill(cloud, disk.volume, blocks)
    return {"instance": instance.id, "disks": [disk.id for disk in ordered], "bytes": wanted}


def a_snapshot_with(cloud: Cloud, blocks: Bytes, **changes: Any) -> str:
    """A snapshot that holds these bytes."""
    volume = a_volume(cloud, kind="layer").id
    fill(cloud, volume, blocks)
    return a_snapshot(cloud, volume=volume, **changes).id


def an_image_with(cloud: Cloud, *wanted: Bytes) -> str:
    """An Available image whose disks hold these bytes, and whose instance is gone."""
    facts = an_instance_with(cloud, *wanted)
    image_id = cloud.call("CreateImage", InstanceId=facts["instance"])["ImageId"]
    settle(cloud)
    cloud.call("DeleteInstance", InstanceId=facts["instance"])
    settle(cloud)
    keep(cloud)
    return image_id


def check_disks(cloud: Cloud, facts: Facts) -> None:
    """The instance has its disks, and they read as they did."""
    for disk, blocks in zip(facts["disks"], facts["bytes"], strict=True):
        disk_holds(cloud, disk, blocks)


# CreateImage


def create_image(script: Script, facts: Facts) -> None:
    script.ask("image", "CreateImage", InstanceId=facts["instance"], ImageName="web")
    script.settle()


def check_image(cloud: Cloud, facts: Facts, answers: Answers) -> None:
    check_disks(cloud, facts)
    assert len(every(cloud, images)) <= 1
    if "image" in answers:
        image_holds(cloud, answers["image"]["ImageId"], facts["bytes"])


def create_image_and_release(script: Script, facts: Facts) -> None:
    """The instance is to go before its image is made."""
    script.ask("image", "CreateImage", InstanceId=facts["instance"])
    script.ask("delete", "DeleteInstance", InstanceId=facts["instance"], over="InvalidInstanceId.NotFound")
    script.settle()


def check_image_and_release(cloud: Cloud, facts: Facts, answers: Answers) -> None:
    if "image" in answers:
        image_holds(cloud, answers["image"]["ImageId"], facts["bytes"])
    if find(cloud, instances, id=facts["instance"]) is not None:
        assert "delete" not in answers
        check_disks(cloud, facts)


def create_image_and_delete(script: Script, facts: Facts) -> None:
    """The image is to go before it is made; the snapshots stay."""
    image_id = script.ask("image", "CreateImage", InstanceId=facts["instance"])["ImageId"]
    script.ask("delete", "DeleteImage", ImageId=image_id)
    script.settle()


def check_image_and_delete(cloud: Cloud, facts: Facts, answers: Answers) -> None:
    check_disks(cloud, facts)
    for snapshot in every(cloud, snapshots):
        snapshot_holds(cloud, snapshot.id, facts["bytes"][facts["disks"].index(snapshot.source_disk)])
    if "delete" in answers:
        assert every(cloud, images) == []
    elif "image" in answers:
        # The deletion may have been recorded and not been answered.
        for image in every(cloud, images):
            image_holds(cloud, image.id, facts["bytes"])
    assert len(every(cloud, snapshots)) in (0, len(facts["disks"]))


def arrange_snapshot(cloud: Cloud) -> Facts:
    return {"snapshot": a_snapshot_with(cloud, SYSTEM)}


def create_image_of_snapshot(script: Script, facts: Facts) -> None:
    script.ask("image", "CreateImage", SnapshotId=facts["snapshot"], ImageName="web")


def check_image_of_snapshot(cloud: Cloud, facts: Facts, answers: Answers) -> None:
    snapshot_holds(cloud, facts["snapshot"], SYSTEM)
    if "image" in answers:
        image_holds(cloud, answers["image"]["ImageId"], [SYSTEM])


def arrange_snapshots(cloud: Cloud) -> Facts:
    return {
        "system": a_snapshot_with(cloud, SYSTEM),
        "data": a_snapshot_with(cloud, DATA, source_disk_type="data"),
    }


def create_image_of_mappings(script: Script, facts: Facts) -> None:
    mappings = {
        "DiskDeviceMapping.1.SnapshotId": facts["system"],
        "DiskDeviceMapping.2.SnapshotId": facts["data"],
        "DiskDeviceMapping.3.Size": 40,
    }
    script.ask("image", "CreateImage", **mappings)


def check_image_of_mappings(cloud: Cloud, facts: Facts, answers: Answers) -> None:
    snapshot_holds(cloud, facts["system"], SYSTEM)
    snapshot_holds(cloud, facts["data"], DATA)
    if "image" in answers:
        image_holds(cloud, answers["image"]["ImageId"], [SYSTEM, DATA, []])


# CopyImage and CopySnapshot


def copy_image(script: Script, facts: Facts) -> None:
    """To another region, where the copy is shared at once; the source is to go before the copy is made."""
    image = script.ask("copy", "CopyImage", ImageId=facts["image"], DestinationRegionId=FAR)["ImageId"]
    receiver = {"AddAccount.1": RECEIVER}
    script.ask("share", "ModifyImageSharePermission", RegionId=FAR, ImageId=image, **receiver)
    script.ask("delete", "DeleteImage", ImageId=facts["image"])
    for n, snapshot in enumerate(facts["snapshots"]):
        script.ask(f"snapshot-{n}", "DeleteSnapshot", SnapshotId=snapshot, over="InvalidSnapshotId.NotFound")
    script.keep()


def arrange_copy(cloud: Cloud) -> Facts:
    receiver = Account(id=RECEIVER, name="receiver", created_at=cloud.clock())
    cloud.ports.database.write(lambda tx: accounts.insert(tx, receiver))
    return arrange_image_to_delete(cloud)


def check_copy(cloud: Cloud, facts: Facts, answers: Answers) -> None:
    for image in every(cloud, images):
        image_holds(cloud, image.id, [SYSTEM, DATA])
    ids = {image.id for image in every(cloud, images)}
    if "copy" in answers:
        assert answers["copy"]["ImageId"] in ids
    if "share" in answers:
        assert [share.account for share in every(cloud, image_shares)] == [RECEIVER]
    assert (facts["image"] not in ids) >= ("delete" in answers)
    for snapshot, blocks in zip(facts["snapshots"], (SYSTEM, DATA), strict=True):
        if find(cloud, snapshots, id=snapshot) is not None:
            snapshot_holds(cloud, snapshot, blocks)


def copy_image_encrypted(script: Script, facts: Facts) -> None:
    """Within the region; the source is to go before the copy is made."""
    script.ask("copy", "CopyImage", ImageId=facts["image"], Encrypted="true")
    script.ask("delete", "DeleteImage", ImageId=facts["image"])
    for n, snapshot in enumerate(facts["snapshots"]):
        script.ask(f"snapshot-{n}", "DeleteSnapshot", SnapshotId=snapshot, over="InvalidSnapshotId.NotFound")
    script.keep()


def check_copy_encrypted(cloud: Cloud, facts: Facts, answers: Answers) -> None:
    for image in every(cloud, images):
        image_holds(cloud, image.id, [SYSTEM, DATA])
    ids = {image.id for image in every(cloud, images)}
    if "copy" in answers:
        assert answers["copy"]["ImageId"] in ids
    layers = {row.volume: row.kms_key for row in every(cloud, snapshots)}
    assert all(bool(key) == is_encrypted(cloud, layer or "") for layer, key in layers.items())


def copy_and_cancel(script: Script, facts: Facts) -> None:
    image = script.ask("copy", "CopyImage", ImageId=facts["image"], DestinationRegionId=FAR)["ImageId"]
    if "cancel" not in script.answers:
        try:
            script.ask("cancel", "CancelCopyImage", RegionId=FAR, ImageId=image, over="InvalidImageId.NotFound")
        except ApiError as error:
            # The start after a kill has finished the copy.
            assert error.code == "IncorrectImageStatus", error  # noqa: PT017 - other errors are failures.
    script.keep()


def check_copy_cancelled(cloud: Cloud, facts: Facts, answers: Answers) -> None:
    image_holds(cloud, facts["image"], [SYSTEM, DATA])
    copies = [image for image in every(cloud, images) if image.id != facts["image"]]
    assert len(copies) <= ("cancel" not in answers)
    for copy in copies:
        image_holds(cloud, copy.id, [SYSTEM, DATA])
    assert len(every(cloud, snapshots)) == 2 * (1 + len(copies))


# CreateSnapshot, and ResetDisk back to it


def create_snapshots(script: Script, facts: Facts) -> None:
    disk = facts["disks"][0]
    script.ask("first", "CreateSnapshot", DiskId=disk)
    script.settle()
    script.ask("second", "CreateSnapshot", DiskId=disk)
    script.settle()


def check_snapshots(cloud: Cloud, facts: Facts, answers: Answers) -> None:
    check_disks(cloud, facts)
    for answer in answers.values():
        snapshot_holds(cloud, answer["SnapshotId"], SYSTEM)


def arrange_written_disk(cloud: Cloud) -> Facts:
    """An instance of two disks, a snapshot of its system disk, and bytes written after it."""
    facts = an_instance_with(cloud, SYSTEM, DATA)
    facts["snapshot"] = cloud.call("CreateSnapshot", DiskId=facts["disks"][0])["SnapshotId"]
    settle(cloud)
    fill(cloud, the(cloud, disks, id=facts["disks"][0]).volume, LATER)
    return facts


def reset_disk(script: Script, facts: Facts) -> None:
    script.ask("reset", "ResetDisk", DiskId=facts["disks"][0], SnapshotId=facts["snapshot"])
    script.settle()


def check_reset(cloud: Cloud, facts: Facts, answers: Answers) -> None:
    system, data = facts["disks"]
    snapshot_holds(cloud, facts["snapshot"], SYSTEM)
    disk_holds(cloud, data, DATA)
    if "reset" in answers:
        disk_holds(cloud, system, SYSTEM)


# Snapshots in a group, and automatic ones


def create_snapshot_group(script: Script, facts: Facts) -> None:
    script.ask("group", "CreateSnapshotGroup", InstanceId=facts["instance"], Name="nightly")
    script.settle()


def check_snapshot_group(cloud: Cloud, facts: Facts, answers: Answers) -> None:
    check_disks(cloud, facts)
    assert len(every(cloud, snapshot_groups)) <= 1
    if "group" in answers:
        taken = every(cloud, snapshots, snapshot_group=answers["group"]["SnapshotGroupId"])
        assert sorted(one.source_disk for one in taken) == sorted(facts["disks"])
        for one in taken:
            snapshot_holds(cloud, one.id, facts["bytes"][facts["disks"].index(one.source_disk)])


def arrange_due_snapshots(cloud: Cloud) -> Facts:
    """Two disks with a policy whose hour has come."""
    facts = an_instance_with(cloud, SYSTEM, DATA)
    policy = a_policy(cloud)
    given = {"snapshot_policy": policy.id}
    cloud.ports.database.write(lambda tx: disks.update(tx, given, instance=facts["instance"]))
    return facts | {"policy": policy.id, "now": cloud.clock()}


def take_snapshots(script: Script, facts: Facts) -> None:
    """The hour stays the same, whatever the clock says by now."""
    Scheduler()(replace(script.cloud.ports, clock=lambda: facts["now"]))
    script.note("taken", {})
    script.settle()


def check_taken(cloud: Cloud, facts: Facts, answers: Answers) -> None:
    check_disks(cloud, facts)
    taken = every(cloud, snapshots, snapshot_policy=facts["policy"])
    of = [one.source_disk for one in taken]
    assert len(set(of)) == len(of), "a disk's hour was done twice"
    assert "taken" not in answers or sorted(of) == sorted(facts["disks"])
    for one in taken:
        snapshot_holds(cloud, one.id, facts["bytes"][facts["disks"].index(one.source_disk)])


# ReInitDisk


def arrange_image_and_instance(cloud: Cloud) -> Facts:
    """An image, and an instance whose system disk was made of it and written since."""
    facts = arrange_replacement(cloud)
    made_of = {"image": facts["image"]}
    cloud.ports.database.write(lambda tx: disks.update(tx, made_of, id=facts["disks"][0]))
    return facts


def re_init_disk(script: Script, facts: Facts) -> None:
    script.ask("back", "ReInitDisk", DiskId=facts["disks"][0])
    script.settle()


def check_re_init(cloud: Cloud, facts: Facts, answers: Answers) -> None:
    system, data = facts["disks"]
    image_holds(cloud, facts["image"], [MORE])
    disk_holds(cloud, data, DATA)
    assert the(cloud, disks, id=system).status == DiskStatus.IN_USE
    if "back" in answers:
        disk_holds(cloud, system, MORE)


# ImportImage and ExportImage


def arrange_raw(cloud: Cloud) -> Facts:
    return _an_object(cloud, "disk.raw")


def arrange_qcow2(cloud: Cloud) -> Facts:
    facts = _an_object(cloud, "disk.raw")
    path = Path(facts["path"])
    packed = path.with_name("disk.qcow2")
    subprocess.run(["qemu-img", "convert", "-q", "-c", "-O", "qcow2", "-f", "raw", path, packed], check=True)
    return facts | {"object": packed.name}


def _an_object(cloud: Cloud, name: str) -> Facts:
    path = cloud.folder / "buckets" / BUCKET / name
    path.parent.mkdir()
    path.write_bytes(b"".join(bytes([byte]) * BLOCK for byte in SYSTEM))
    return {"object": name, "path": str(path)}


def import_image(script: Script, facts: Facts) -> None:
    mapping = {"DiskDeviceMapping.1.OSSBucket": BUCKET, "DiskDeviceMapping.1.OSSObject": facts["object"]}
    script.ask("image", "ImportImage", ImageName="brought", **mapping)
    script.settle()


def check_import(cloud: Cloud, facts: Facts, answers: Answers) -> None:
    assert len(every(cloud, images)) <= 1
    if "image" in answers:
        image = answers["image"]["ImageId"]
        image_holds(cloud, image, [SYSTEM])
        told = {"disk.raw": "RAW", "disk.qcow2": "QCOW2"}[facts["object"]]
        assert [one.format for one in every(cloud, image_disks, image=image)] == [told]
        assert the(cloud, tasks, id=answers["image"]["TaskId"]).status == TaskStatus.FINISHED


def arrange_import_and_cancel(cloud: Cloud) -> Facts:
    return arrange_raw(cloud)


def import_and_cancel(script: Script, facts: Facts) -> None:
    mapping = {"DiskDeviceMapping.1.OSSBucket": BUCKET, "DiskDeviceMapping.1.OSSObject": facts["object"]}
    task = script.ask("image", "ImportImage", **mapping)["TaskId"]
    script.ask("cancel", "CancelTask", TaskId=task, over="InvalidTaskId.IncorrectTaskStatus")
    script.settle()


def check_cancelled(cloud: Cloud, facts: Facts, answers: Answers) -> None:
    for task in every(cloud, tasks, action="ImportImage"):
        if task.status == TaskStatus.FINISHED:
            # A kill before the cancellation was recorded.
            image_holds(cloud, task.resource, [SYSTEM])
        else:
            assert (task.status, task.error_code) == (TaskStatus.FAILED, "TaskCancelled")
            assert every(cloud, images) == []


def arrange_image(cloud: Cloud) -> Facts:
    image_id = an_image_with(cloud, SYSTEM, DATA)
    (cloud.folder / "buckets" / BUCKET).mkdir()
    return {"image": image_id}


def export_image(script: Script, facts: Facts) -> None:
    # There is no ClientToken: whoever was not answered asks again, and has the files twice.
    if "export" not in script.answers:
        script.ask("export", "ExportImage", ImageId=facts["image"], OSSBucket=BUCKET, ImageFormat="qcow2")
    script.settle()


def check_export(cloud: Cloud, facts: Facts, answers: Answers) -> None:
    image_holds(cloud, facts["image"], [SYSTEM, DATA])
    stored = sorted((cloud.folder / "buckets" / BUCKET).iterdir())
    for task in every(cloud, tasks, action="ExportImage"):
        assert task.status == TaskStatus.FINISHED, task
        names = objects_of(task)
        assert {path.name for path in stored} >= set(names)
        for name, blocks in zip(names, (SYSTEM, DATA), strict=True):
            path = cloud.folder / "buckets" / BUCKET / name
            assert reads_as(str(path), dict(enumerate(blocks)), len(blocks), ("-f", "qcow2")), name
    if "export" in answers:
        assert the(cloud, tasks, id=answers["export"]["TaskId"]).status == TaskStatus.FINISHED


# Instances


def run_instances(script: Script, facts: Facts) -> None:
    params = {"ImageId": facts["image"], "InstanceType": "ecs.t5-lc1m1.small", "Amount": 2}
    script.ask("run", "RunInstances", **params, **{"DataDisk.1.Size": 20})
    script.settle()


def check_run(cloud: Cloud, facts: Facts, answers: Answers) -> None:
    image_holds(cloud, facts["image"], [SYSTEM, DATA])
    # Those that nobody was told of are there whole, too.
    for instance in every(cloud, instances):
        assert instance.status == InstanceStatus.RUNNING, instance
        assert cloud.ports.machines.is_running(instance.id)
        attached = sorted(every(cloud, disks, instance=instance.id), key=lambda disk: disk.device)
        for disk, blocks in zip(attached, (SYSTEM, DATA, [0]), strict=True):
            disk_holds(cloud, disk.id, blocks)
    if "run" in answers:
        ids = answers["run"]["InstanceIdSets"]["InstanceIdSet"]
        assert {row.id for row in every(cloud, instances)} == set(ids)
        assert len(ids) == 2


def arrange_stopped(cloud: Cloud) -> Facts:
    return an_instance_with(cloud, SYSTEM, DATA)


def start_stop_delete(script: Script, facts: Facts) -> None:
    instance = facts["instance"]
    if "start" not in script.answers:
        script.ask("start", "StartInstance", InstanceId=instance, over="IncorrectInstanceStatus")
        script.settle()
    if "stop" not in script.answers:
        script.ask("stop", "StopInstance", InstanceId=instance, over="IncorrectInstanceStatus")
        script.settle()
    script.ask("delete", "DeleteInstance", InstanceId=instance, over="InvalidInstanceId.NotFound")
    script.settle()


def check_deleted(cloud: Cloud, facts: Facts, answers: Answers) -> None:
    found = find(cloud, instances, id=facts["instance"])
    if "delete" in answers:
        assert found is None
    if found is None:
        assert every(cloud, disks) == []
        assert not (cloud.folder / "run" / facts["instance"]).exists()
        return
    check_disks(cloud, facts)
    is_on = found.status == InstanceStatus.RUNNING
    assert cloud.ports.machines.is_running(facts["instance"]) == is_on
    if "start" in answers and "stop" not in answers:
        # Killed before its answer, the stop may have been recorded all the same.
        assert is_on or found.started_at is not None
    if "stop" in answers:
        assert not is_on


def arrange_replacement(cloud: Cloud) -> Facts:
    image_id = an_image_with(cloud, MORE)
    return an_instance_with(cloud, SYSTEM, DATA) | {"image": image_id}


def replace_system_disk(script: Script, facts: Facts) -> None:
    script.ask("replace", "ReplaceSystemDisk", InstanceId=facts["instance"], ImageId=facts["image"])
    script.settle()


def check_replaced(cloud: Cloud, facts: Facts, answers: Answers) -> None:
    system, data = facts["disks"]
    image_holds(cloud, facts["image"], [MORE])
    disk_holds(cloud, data, DATA)
    (now,) = every(cloud, disks, instance=facts["instance"], type="system")
    assert now.status == DiskStatus.IN_USE
    disk_holds(cloud, now.id, SYSTEM if now.id == system else MORE)
    if "replace" in answers:
        assert now.id == answers["replace"]["DiskId"]


# Disks


def arrange_disks(cloud: Cloud) -> Facts:
    free = a_disk(cloud)
    fill(cloud, free.volume, DATA)
    snapshot = a_snapshot_with(cloud, MORE, source_disk_type="data")
    return an_instance_with(cloud, SYSTEM) | {"snapshot": snapshot, "free": free.id}


def make_and_move_disks(script: Script, facts: Facts) -> None:
    """A disk is made of a snapshot; another is attached, grown, detached and, after a snapshot, deleted."""
    disk, instance = facts["free"], facts["instance"]
    zone = "cn-qingdao-env17-d01-a"
    script.ask("made", "CreateDisk", ZoneId=zone, SnapshotId=facts["snapshot"], Size=30)
    steps = [
        ("attach", "AttachDisk", {"InstanceId": instance, "DiskId": disk}, "IncorrectDiskStatus"),
        ("grow", "ResizeDisk", {"DiskId": disk, "NewSize": 25}, ""),
        ("detach", "DetachDisk", {"InstanceId": instance, "DiskId": disk}, "InvalidDisk.AlreadyDetached"),
        ("snapshot", "CreateSnapshot", {"DiskId": disk}, ""),
        ("delete", "DeleteDisk", {"DiskId": disk}, "InvalidDiskId.NotFound"),
    ]
    for key, action, params, over in steps:
        if key not in script.answers:
            script.ask(key, action, over=over, **params)
        script.settle()


def check_moved(cloud: Cloud, facts: Facts, answers: Answers) -> None:
    check_disks(cloud, facts)
    snapshot_holds(cloud, facts["snapshot"], MORE)
    disk = find(cloud, disks, id=facts["free"])
    if disk is not None:
        disk_holds(cloud, disk.id, DATA)
        assert disk.size_gib == 25 or "grow" not in answers
        if "detach" in answers:
            assert disk.status == DiskStatus.AVAILABLE
    if "made" in answers:
        disk_holds(cloud, answers["made"]["DiskId"], MORE)
    if "snapshot" in answers:
        snapshot_holds(cloud, answers["snapshot"]["SnapshotId"], DATA)
    if "delete" in answers:
        assert disk is None


# Deleting, and the sweeper's merges


def arrange_layers(cloud: Cloud) -> Facts:
    """A disk above three snapshots, each of which added something; an instance of an image above the second."""
    facts = an_instance_with(cloud, SYSTEM)
    disk, taken = facts["disks"][0], []
    for n in range(3):
        taken.append(cloud.call("CreateSnapshot", DiskId=disk)["SnapshotId"])
        settle(cloud)
        head = the(cloud, disks, id=disk).volume
        put(cloud.ports.pool, head, {n: 50 + n})
    return facts | {"snapshots": taken, "bytes": [[50, 51, 52, 13]]}


def delete_snapshots(script: Script, facts: Facts) -> None:
    """Of three layers in a row: the middle one, which its layer above absorbs; then the others, by the head."""
    first, second, third = facts["snapshots"]
    for key, snapshot in (("second", second), ("first", first), ("third", third)):
        script.ask(key, "DeleteSnapshot", SnapshotId=snapshot, over="InvalidSnapshotId.NotFound")
        script.keep()


def check_layers(cloud: Cloud, facts: Facts, answers: Answers) -> None:
    check_disks(cloud, facts)
    held = [SYSTEM, [50, *SYSTEM[1:]], [50, 51, *SYSTEM[2:]]]
    for snapshot, blocks in zip(facts["snapshots"], held, strict=True):
        if find(cloud, snapshots, id=snapshot) is not None:
            snapshot_holds(cloud, snapshot, blocks)
    for key, snapshot in zip(("first", "second", "third"), facts["snapshots"], strict=True):
        assert key not in answers or find(cloud, snapshots, id=snapshot) is None
    if len(answers) == 3:
        assert len(list(cloud.ports.pool.volumes())) == 1


def arrange_long_chain(cloud: Cloud) -> Facts:
    """A disk on which as many snapshots were taken as a chain may be deep, with a byte of its own in each."""
    facts = an_instance_with(cloud, SYSTEM)
    disk, taken = facts["disks"][0], []
    for n in range(DEEPEST):
        taken.append(cloud.call("CreateSnapshot", DiskId=disk)["SnapshotId"])
        settle(cloud)
        put(cloud.ports.pool, the(cloud, disks, id=disk).volume, {n: 100 + n})
    return facts | {"snapshots": taken, "bytes": [[100 + n for n in range(DEEPEST)]]}


def shorten(script: Script, facts: Facts) -> None:
    """The sweeper finds the chain too long, and the disk's head absorbs layers that all have a name."""
    script.keep()


def check_long_chain(cloud: Cloud, facts: Facts, answers: Answers) -> None:
    check_disks(cloud, facts)
    before = SYSTEM + [0] * (DEEPEST - len(SYSTEM))
    for n, snapshot in enumerate(facts["snapshots"]):
        snapshot_holds(cloud, snapshot, [100 + k for k in range(n)] + before[n:])


def delete_image(script: Script, facts: Facts) -> None:
    """An image and its snapshots, all of which are the last to name their layers."""
    script.ask("image", "DeleteImage", ImageId=facts["image"])
    for n, snapshot in enumerate(facts["snapshots"]):
        script.ask(f"snapshot-{n}", "DeleteSnapshot", SnapshotId=snapshot, over="InvalidSnapshotId.NotFound")
    script.keep()


def arrange_image_to_delete(cloud: Cloud) -> Facts:
    image_id = an_image_with(cloud, SYSTEM, DATA)
    with cloud.ports.database.read() as tx:
        of_image = disks_of(tx, [image_id])[image_id]
    return {"image": image_id, "snapshots": [disk.snapshot for disk in of_image]}


def check_image_deleted(cloud: Cloud, facts: Facts, answers: Answers) -> None:
    if find(cloud, images, id=facts["image"]) is not None:
        assert "image" not in answers
        image_holds(cloud, facts["image"], [SYSTEM, DATA])
    for snapshot, blocks in zip(facts["snapshots"], (SYSTEM, DATA), strict=True):
        if find(cloud, snapshots, id=snapshot) is not None:
            snapshot_holds(cloud, snapshot, blocks)
    if len(answers) == 3:
        assert list(cloud.ports.pool.volumes()) == []


# The trash


def arrange_trash(cloud: Cloud) -> Facts:
    """An image that was deleted with its snapshots, and waits."""
    facts = arrange_image_to_delete(cloud)
    cloud.call("DeleteImage", ImageId=facts["image"])
    for snapshot in facts["snapshots"]:
        cloud.call("DeleteSnapshot", SnapshotId=snapshot)
    keep(cloud)
    assert len([one for one in cloud.ports.pool.discarded() if one.volume]) >= len(facts["snapshots"])
    return facts


def restore_image(script: Script, facts: Facts) -> None:
    ports = script.cloud.ports
    if "restore" not in script.answers:
        # What was written down and not answered is refused the second time, because it is under way or done.
        with contextlib.suppress(NotRestorable):
            ports.database.write(lambda tx: prepare(tx, ports, facts["image"]))
        script.note("restore", {})
    script.settle()


def check_restored(cloud: Cloud, facts: Facts, answers: Answers) -> None:
    if "restore" in answers or find(cloud, images, id=facts["image"]) is not None:
        image_holds(cloud, facts["image"], [SYSTEM, DATA])
    else:
        assert {row.id for row in every(cloud, tombstones)} >= {facts["image"], *facts["snapshots"]}


def empty_trash(script: Script, facts: Facts) -> None:
    ports = script.cloud.ports
    if "empty" not in script.answers:
        ports.database.write(lambda tx: prepare_to_empty(tx, ports, (), None))
        script.note("empty", {})
    script.settle()


def check_emptied(cloud: Cloud, facts: Facts, answers: Answers) -> None:
    if "empty" in answers:
        assert list(cloud.ports.pool.discarded()) == every(cloud, discards) == every(cloud, tombstones) == []
    assert every(cloud, images) == []


# The first start


def seal_something(script: Script, facts: Facts) -> None:
    ports = script.cloud.ports
    if "sealed" not in script.answers:
        script.note("sealed", {"text": ports.seal("a secret")})


def check_sealed(cloud: Cloud, facts: Facts, answers: Answers) -> None:
    if "sealed" in answers:
        assert Sealer.in_folder(cloud.folder).open(answers["sealed"]["text"]) == "a secret"


SCENARIOS = {
    "first_start": Scenario(None, seal_something, check_sealed),
    "create_image": Scenario(lambda cloud: an_instance_with(cloud, SYSTEM), create_image, check_image),
    "create_image_of_three_disks": Scenario(
        lambda cloud: an_instance_with(cloud, SYSTEM, DATA, MORE), create_image, check_image
    ),
    "create_image_and_release": Scenario(
        lambda cloud: an_instance_with(cloud, SYSTEM, DATA), create_image_and_release, check_image_and_release
    ),
    "create_image_and_delete": Scenario(
        lambda cloud: an_instance_with(cloud, SYSTEM, DATA), create_image_and_delete, check_image_and_delete
    ),
    "create_image_of_snapshot": Scenario(arrange_snapshot, create_image_of_snapshot, check_image_of_snapshot),
    "create_image_of_mappings": Scenario(arrange_snapshots, create_image_of_mappings, check_image_of_mappings),
    "copy_image": Scenario(arrange_copy, copy_image, check_copy),
    "copy_image_encrypted": Scenario(arrange_image_to_delete, copy_image_encrypted, check_copy_encrypted),
    "copy_and_cancel": Scenario(arrange_image_to_delete, copy_and_cancel, check_copy_cancelled),
    "create_snapshots": Scenario(lambda cloud: an_instance_with(cloud, SYSTEM), create_snapshots, check_snapshots),
    "reset_disk": Scenario(arrange_written_disk, reset_disk, check_reset),
    "create_snapshot_group": Scenario(
        lambda cloud: an_instance_with(cloud, SYSTEM, DATA), create_snapshot_group, check_snapshot_group
    ),
    "take_snapshots": Scenario(arrange_due_snapshots, take_snapshots, check_taken),
    "re_init_disk": Scenario(arrange_image_and_instance, re_init_disk, check_re_init),
    "import_raw": Scenario(arrange_raw, import_image, check_import),
    "import_qcow2": Scenario(arrange_qcow2, import_image, check_import),
    "import_and_cancel": Scenario(arrange_import_and_cancel, import_and_cancel, check_cancelled),
    "export_image": Scenario(arrange_image, export_image, check_export),
    "run_instances": Scenario(arrange_image, run_instances, check_run),
    "start_stop_delete": Scenario(arrange_stopped, start_stop_delete, check_deleted),
    "replace_system_disk": Scenario(arrange_replacement, replace_system_disk, check_replaced),
    "make_and_move_disks": Scenario(arrange_disks, make_and_move_disks, check_moved),
    "delete_snapshots": Scenario(arrange_layers, delete_snapshots, check_layers),
    "shorten_chain": Scenario(arrange_long_chain, shorten, check_long_chain, every=29, is_kept=False),
    "delete_image": Scenario(arrange_image_to_delete, delete_image, check_image_deleted),
    "restore_image": Scenario(arrange_trash, restore_image, check_restored),
    "empty_trash": Scenario(arrange_trash, empty_trash, check_emptied),
}
