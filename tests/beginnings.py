"""For each action with a task: how it comes to be half done, with bytes in everything that it is about.

    facts = BEGINNINGS["CreateImage"](cloud)    # one task of that action is open, and no other

The steps that fail or are passed twice, the tasks that nobody understands and the
folders of old schemas begin here. A new operation with a ``carry_out`` needs an entry, and so does a new chore of the
upkeep: a test names the one that is missing.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from kiln.calls.grace import Grace
from kiln.declare.states import InstanceStatus
from kiln.operations.instances.parts import passwords
from kiln.store.database import Transaction
from kiln.store.disks import disks
from kiln.store.hosts import Room, come, set_draining
from kiln.store.instances import instances
from kiln.store.invocations import invocations
from kiln.store.snapshots import snapshots
from kiln.store.tokens import tokens
from kiln.upkeep.moment import ask_for
from kiln.upkeep.moves import ask_for as ask_for_move
from kiln.upkeep.restore import prepare, prepare_to_empty
from kiln.upkeep.sweep import sweep
from tests.clouds import Cloud
from tests.kill.kilns import settle
from tests.kill.scenarios import (
    BUCKET,
    DATA,
    FAR,
    MORE,
    SYSTEM,
    a_snapshot_with,
    an_image_with,
    an_instance_with,
    arrange_trash,
    arrange_written_disk,
    fill,
)
from tests.pools.patterns import BLOCK
from tests.reading import the
from tests.stock import a_disk

Facts = dict[str, Any]
Beginning = Callable[[Cloud], Facts]

_TYPE = "ecs.t5-lc1m1.small"


def create_image(cloud: Cloud) -> Facts:
    facts = an_instance_with(cloud, SYSTEM, DATA)
    return facts | cloud.call("CreateImage", InstanceId=facts["instance"], ImageName="web")


def create_snapshot(cloud: Cloud) -> Facts:
    facts = an_instance_with(cloud, SYSTEM)
    return facts | cloud.call("CreateSnapshot", DiskId=facts["disks"][0])


def create_snapshot_group(cloud: Cloud) -> Facts:
    facts = an_instance_with(cloud, SYSTEM, DATA)
    return facts | cloud.call("CreateSnapshotGroup", InstanceId=facts["instance"])


def keep_moment(cloud: Cloud) -> Facts:
    facts = an_instance_with(cloud, SYSTEM, DATA)

    def ask(tx: Transaction) -> str:
        row = instances.find(tx, id=facts["instance"])
        assert row is not None
        return ask_for(tx, row, cloud.clock())

    return facts | {"task": cloud.ports.database.write(ask)}


def _serve_far(cloud: Cloud) -> None:
    """Some clouds of tests have one region alone."""
    served = cloud.ports.deployment
    if FAR not in served.regions:
        cloud.refit(deployment=replace(served, regions=(*served.regions, FAR)))


def copy_image(cloud: Cloud) -> Facts:
    image = an_image_with(cloud, SYSTEM, DATA)
    _serve_far(cloud)
    return cloud.call("CopyImage", ImageId=image, DestinationRegionId=FAR)


def copy_snapshot(cloud: Cloud) -> Facts:
    snapshot = a_snapshot_with(cloud, MORE)
    _serve_far(cloud)
    return cloud.call("CopySnapshot", SnapshotId=snapshot, DestinationRegionId=FAR)


def import_image(cloud: Cloud) -> Facts:
    """Of two files: the pool names the format of the first, and the caller that of the second."""
    bucket = _a_bucket(cloud)
    raw, packed = bucket / "disk.raw", bucket / "disk.qcow2"
    raw.write_bytes(b"".join(bytes([byte]) * BLOCK for byte in SYSTEM))
    subprocess.run(["qemu-img", "convert", "-q", "-c", "-O", "qcow2", "-f", "raw", raw, packed], check=True)
    mapping = {
        "DiskDeviceMapping.1.OSSBucket": BUCKET,
        "DiskDeviceMapping.1.OSSObject": packed.name,
        "DiskDeviceMapping.2.OSSBucket": BUCKET,
        "DiskDeviceMapping.2.OSSObject": raw.name,
        "DiskDeviceMapping.2.Format": "RAW",
    }
    return cloud.call("ImportImage", mapping, ImageName="brought")


def export_image(cloud: Cloud) -> Facts:
    image = an_image_with(cloud, SYSTEM, DATA)
    _a_bucket(cloud)
    return cloud.call("ExportImage", ImageId=image, OSSBucket=BUCKET, ImageFormat="qcow2")


def create_disk(cloud: Cloud) -> Facts:
    """Of a snapshot, for an instance that runs."""
    instance = _running(cloud)
    snapshot = a_snapshot_with(cloud, MORE, source_disk_type="data")
    return cloud.call("CreateDisk", InstanceId=instance, SnapshotId=snapshot)


def reset_disk(cloud: Cloud) -> Facts:
    facts = arrange_written_disk(cloud)
    return facts | cloud.call("ResetDisk", DiskId=facts["disks"][0], SnapshotId=facts["snapshot"])


def re_init_disk(cloud: Cloud) -> Facts:
    """A system disk that was written since it was made of an image."""
    image = an_image_with(cloud, MORE)
    facts = an_instance_with(cloud, SYSTEM, DATA, image=image)
    system = facts["disks"][0]
    cloud.ports.database.write(lambda tx: disks.update(tx, {"image": image}, id=system))
    return facts | cloud.call("ReInitDisk", DiskId=system)


def resize_disk(cloud: Cloud) -> Facts:
    disk = _a_free_disk(cloud)
    return {"disk": disk} | cloud.call("ResizeDisk", DiskId=disk, NewSize=40)


def attach_disk(cloud: Cloud) -> Facts:
    instance, disk = _running(cloud), _a_free_disk(cloud)
    return {"disk": disk} | cloud.call("AttachDisk", InstanceId=instance, DiskId=disk)


def detach_disk(cloud: Cloud) -> Facts:
    instance, disk = _running(cloud), _a_free_disk(cloud)
    cloud.call("AttachDisk", InstanceId=instance, DiskId=disk)
    settle(cloud)
    return {"disk": disk} | cloud.call("DetachDisk", InstanceId=instance, DiskId=disk)


def run_instances(cloud: Cloud) -> Facts:
    image = an_image_with(cloud, SYSTEM, DATA)
    return cloud.call("RunInstances", {"DataDisk.1.Size": 20}, ImageId=image, InstanceType=_TYPE)


def create_instance(cloud: Cloud) -> Facts:
    image = an_image_with(cloud, SYSTEM, DATA)
    return cloud.call("CreateInstance", {"DataDisk.1.Size": 20}, ImageId=image, InstanceType=_TYPE)


def start_instance(cloud: Cloud) -> Facts:
    instance = an_instance_with(cloud, SYSTEM, DATA)["instance"]
    return {"instance": instance} | cloud.call("StartInstance", InstanceId=instance)


def stop_instance(cloud: Cloud) -> Facts:
    instance = _running(cloud)
    return {"instance": instance} | cloud.call("StopInstance", InstanceId=instance)


def reboot_instance(cloud: Cloud) -> Facts:
    instance = _running(cloud)
    return {"instance": instance} | cloud.call("RebootInstance", InstanceId=instance)


def move_instance(cloud: Cloud) -> Facts:
    """From a host that is drained, while another has room."""
    instance, room = _running(cloud), Room(cpus=64, memory_mib=1 << 17)

    def ask(tx: Transaction) -> str:
        for name in (cloud.ports.host, "another"):
            come(tx, name, f"of-{name}", room, cloud.clock())
        set_draining(tx, cloud.ports.host, is_draining=True)
        row = instances.find(tx, id=instance)
        assert row is not None
        return ask_for_move(tx, row, cloud.clock()).id

    return {"instance": instance, "task": cloud.ports.database.write(ask)}


def delete_instance(cloud: Cloud) -> Facts:
    """One disk goes with it, the other stays."""
    facts = an_instance_with(cloud, SYSTEM, DATA)
    kept = facts["disks"][1]
    cloud.ports.database.write(lambda tx: disks.update(tx, {"delete_with_instance": False}, id=kept))
    return facts | cloud.call("DeleteInstance", InstanceId=facts["instance"], Force=True)


def replace_system_disk(cloud: Cloud) -> Facts:
    image = an_image_with(cloud, MORE)
    facts = an_instance_with(cloud, SYSTEM, DATA)
    return facts | cloud.call("ReplaceSystemDisk", InstanceId=facts["instance"], ImageId=image)


def merge(cloud: Cloud) -> Facts:
    """A disk above two snapshots, of which the later was deleted: its head is to absorb the layer."""
    facts = _a_layer_to_merge(cloud)
    sweep(cloud.ports)
    return facts


def restore_trash(cloud: Cloud) -> Facts:
    cloud.refit(grace=Grace(3600.0))
    facts = arrange_trash(cloud)
    cloud.ports.database.write(lambda tx: prepare(tx, cloud.ports, facts["image"]))
    return facts


def empty_trash(cloud: Cloud) -> Facts:
    cloud.refit(grace=Grace(3600.0))
    facts = arrange_trash(cloud)
    cloud.ports.database.write(lambda tx: prepare_to_empty(tx, cloud.ports, (), None))
    return facts


def a_living_machine(cloud: Cloud) -> None:
    """An instance that is said to be off, whose machine lives."""
    stopped, instance = {"status": InstanceStatus.STOPPED, "host": ""}, _running(cloud)
    cloud.ports.database.write(lambda tx: instances.update(tx, stopped, id=instance))


def a_dead_machine(cloud: Cloud) -> None:
    """An instance that is said to run, whose machine is gone."""
    (cloud.folder / "run" / _running(cloud) / "running").unlink()


def a_machine_that_is_left(cloud: Cloud) -> None:
    """A machine whose guest has gone to another host, whose the instance is by now."""
    instance = _running(cloud)
    (cloud.folder / "run" / instance / "leaving").touch()
    cloud.ports.database.write(lambda tx: instances.update(tx, {"host": "another"}, id=instance))


def things_to_sweep(cloud: Cloud) -> None:
    """A layer that is to be merged away, and a volume that nothing names."""
    _a_layer_to_merge(cloud)
    cloud.call("DeleteDisk", DiskId=_a_free_disk(cloud))


def a_snapshot_past_its_days(cloud: Cloud) -> None:
    snapshot = a_snapshot_with(cloud, MORE, source_disk_type="data", retention_days=1)
    cloud.ports.database.write(lambda tx: snapshots.update(tx, {"created_at": 1.0}, id=snapshot))


def an_instance_past_its_release(cloud: Cloud) -> None:
    instance = _running(cloud)
    cloud.ports.database.write(lambda tx: instances.update(tx, {"auto_release_at": 1.0}, id=instance))


def an_old_token(cloud: Cloud) -> None:
    facts = an_instance_with(cloud, SYSTEM)
    cloud.call("CreateSnapshot", DiskId=facts["disks"][0], ClientToken="of-long-ago")
    settle(cloud)
    cloud.ports.database.write(lambda tx: tokens.update(tx, {"created_at": 1.0}))


def an_invocation_of_long_ago(cloud: Cloud) -> None:
    run_command(cloud)
    settle(cloud)
    cloud.ports.database.write(lambda tx: invocations.update(tx, {"created_at": 1.0}))


def run_command(cloud: Cloud) -> Facts:
    given = {"InstanceId.1": _running(cloud), "Type": "RunShellScript", "CommandContent": "true"}
    return cloud.call("RunCommand", given)


def invoke_command(cloud: Cloud) -> Facts:
    instance = _running(cloud)
    kept = {"Name": "kept", "Type": "RunShellScript", "CommandContent": "dHJ1ZQ=="}
    command = cloud.call("CreateCommand", kept)["CommandId"]
    return cloud.call("InvokeCommand", {"InstanceId.1": instance}, CommandId=command)


def send_file(cloud: Cloud) -> Facts:
    return cloud.call("SendFile", {"InstanceId.1": _running(cloud)}, Name="a", TargetDir="/tmp", Content="x")


def give_password(cloud: Cloud) -> Facts:
    """Of a guest that has no agent, as none has of machines that are only states."""
    instance, due = _running(cloud), {"password": "sealed:Pass-word-1", "password_due": True}

    def begin_to(tx: Transaction) -> None:
        instances.update(tx, due, id=instance)
        passwords.begin(tx, cloud.ports, instance)

    cloud.ports.database.write(begin_to)
    return {"instance": instance}


def _running(cloud: Cloud) -> str:
    instance: str = an_instance_with(cloud, SYSTEM)["instance"]
    cloud.call("StartInstance", InstanceId=instance)
    settle(cloud)
    return instance


def _a_layer_to_merge(cloud: Cloud) -> Facts:
    facts = an_instance_with(cloud, SYSTEM)
    disk = facts["disks"][0]
    first = cloud.call("CreateSnapshot", DiskId=disk)["SnapshotId"]
    settle(cloud)
    fill(cloud, the(cloud, disks, id=disk).volume, [51, 52])
    second = cloud.call("CreateSnapshot", DiskId=disk)["SnapshotId"]
    settle(cloud)
    fill(cloud, the(cloud, disks, id=disk).volume, [61])
    cloud.call("DeleteSnapshot", SnapshotId=second)
    return facts | {"snapshot": first}


def _a_bucket(cloud: Cloud) -> Path:
    bucket = cloud.folder / "buckets" / BUCKET
    bucket.mkdir(exist_ok=True)
    return bucket


def _a_free_disk(cloud: Cloud) -> str:
    free = a_disk(cloud)
    fill(cloud, free.volume, DATA)
    return free.id


BEGINNINGS: dict[str, Beginning] = {
    "CreateImage": create_image,
    "CopyImage": copy_image,
    "CopySnapshot": copy_snapshot,
    "ImportImage": import_image,
    "ExportImage": export_image,
    "CreateSnapshot": create_snapshot,
    "CreateSnapshotGroup": create_snapshot_group,
    "KeepMoment": keep_moment,
    "CreateDisk": create_disk,
    "AttachDisk": attach_disk,
    "DetachDisk": detach_disk,
    "ResizeDisk": resize_disk,
    "ResetDisk": reset_disk,
    "ReInitDisk": re_init_disk,
    "RunInstances": run_instances,
    "CreateInstance": create_instance,
    "StartInstance": start_instance,
    "StopInstance": stop_instance,
    "RebootInstance": reboot_instance,
    "MoveInstance": move_instance,
    "DeleteInstance": delete_instance,
    "ReplaceSystemDisk": replace_system_disk,
    "RunCommand": run_command,
    "InvokeCommand": invoke_command,
    "SendFile": send_file,
    "GivePassword": give_password,
    "Merge": merge,
    "RestoreTrash": restore_trash,
    "EmptyTrash": empty_trash,
}

#: For each chore of the upkeep: something for it to do.
CHORE_BEGINNINGS: dict[str, Callable[[Cloud], object]] = {
    "adopt": a_living_machine,
    "watch": a_dead_machine,
    "end_left": a_machine_that_is_left,
    "wake": _running,
    "variables": _running,
    "prepare": _running,
    "help_along": _running,
    "sweep": things_to_sweep,
    "release_snapshots": a_snapshot_past_its_days,
    "release_instances": an_instance_past_its_release,
    "forget_tokens": an_old_token,
    "forget_invocations": an_invocation_of_long_ago,
}
