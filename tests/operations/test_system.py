"""What is known of the system on a disk goes with its bytes, wherever they go."""

from __future__ import annotations

from dataclasses import fields

import pytest

from kiln.declare.system import System
from kiln.store.disks import disks
from kiln.store.images import images
from kiln.store.instances import instances
from kiln.store.snapshots import snapshots
from tests.clouds import Cloud
from tests.operations.images.gallery import an_image
from tests.stock import a_disk, a_snapshot, an_instance

#: No fact is what it would be if nobody had said it.
TOLD = System(
    platform="Windows Server 2022",
    architecture="i386",
    os_type="windows",
    boot_mode="UEFI",
    imds_support="v2",
    nvme_support="supported",
    secure_boot="supported",
    license_type="BYOL",
)


def find(cloud: Cloud, rows, **equal) -> System:
    with cloud.ports.database.read() as tx:
        return rows.find(tx, **equal).system


def run(cloud: Cloud, image: str) -> str:
    (instance,) = cloud.call("RunInstances", ImageId=image, InstanceType="ecs.t5-lc2m1.nano")["InstanceIdSets"][
        "InstanceIdSet"
    ]
    cloud.settle()
    cloud.call("StopInstance", InstanceId=instance)
    cloud.settle()
    return instance


def test_every_fact_is_told_apart_from_silence():
    assert all(getattr(TOLD, f.name) not in ("", f.default) for f in fields(System))


def test_an_instance_and_its_system_disk_have_it_from_the_image(cloud):
    instance = run(cloud, an_image(cloud, system=TOLD).id)

    assert find(cloud, instances, id=instance) == TOLD
    assert find(cloud, disks, instance=instance, type="system") == TOLD


def test_an_image_of_the_instance_has_it(cloud):
    instance = run(cloud, an_image(cloud, system=TOLD).id)

    image = cloud.call("CreateImage", InstanceId=instance)["ImageId"]
    cloud.settle()

    assert find(cloud, images, id=image) == TOLD
    assert find(cloud, snapshots, made_for=image) == TOLD


@pytest.mark.parametrize("source", ["SnapshotId", "DiskDeviceMapping.1.SnapshotId"])
def test_an_image_of_its_snapshot_has_it_but_for_the_metadata_mode(cloud, source):
    """ecs-api.md 5.1: the default of Features.ImdsSupport is v1 where the source is a snapshot."""
    snapshot = a_snapshot(cloud, system=TOLD)

    image = cloud.call("CreateImage", **{source: snapshot.id})["ImageId"]

    found = find(cloud, images, id=image)
    assert found.imds_support == "v1"
    assert {**vars(found), "imds_support": "v2"} == vars(TOLD)


def test_a_snapshot_has_it_of_the_disk(cloud):
    instance = an_instance(cloud, system_disk=False)
    disk = a_disk(cloud, type="system", instance=instance.id, device="/dev/xvda", status="In_use", system=TOLD)

    snapshot = cloud.call("CreateSnapshot", DiskId=disk.id)["SnapshotId"]
    cloud.settle()

    assert find(cloud, snapshots, id=snapshot) == TOLD


def test_a_data_disk_has_what_its_snapshot_knows(cloud):
    snapshot = a_snapshot(cloud, source_disk_type="data", system=TOLD)

    disk = cloud.call("CreateDisk", ZoneId=f"{snapshot.region}-a", SnapshotId=snapshot.id)["DiskId"]

    assert find(cloud, disks, id=disk) == TOLD


def test_a_new_system_disk_brings_its_own(cloud):
    instance = run(cloud, an_image(cloud).id)

    cloud.call("ReplaceSystemDisk", InstanceId=instance, ImageId=an_image(cloud, system=TOLD).id)
    cloud.settle()

    assert find(cloud, instances, id=instance) == TOLD
    assert find(cloud, disks, instance=instance, type="system") == TOLD


def test_an_image_with_a_bios_inherits_no_secure_boot(cloud):
    snapshot = a_snapshot(cloud, system=TOLD)

    image = cloud.call("CreateImage", SnapshotId=snapshot.id, BootMode="BIOS")["ImageId"]

    assert find(cloud, images, id=image).secure_boot == ""
