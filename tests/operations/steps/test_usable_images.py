"""Images that are shared, as those use them whom they are shared with."""

from __future__ import annotations

import pytest

from kiln.store.disks import disks
from kiln.store.images import image_disks
from kiln.store.instances import instances
from kiln.store.snapshots import snapshots
from kiln.upkeep.sweep import sweep
from tests.clouds import OTHER
from tests.kill.checks import disk_holds
from tests.kill.scenarios import DATA, SYSTEM, an_image_with
from tests.operations.images.gallery import an_image, share, unshare
from tests.reading import every, the
from tests.stock import an_instance

SMALL = "ecs.t5-lc1m1.small"


@pytest.mark.parametrize("action", ["RunInstances", "CreateInstance"])
def test_instances_are_made_of_it_and_go_on_without_it(cloud, action):
    image_id = an_image_with(cloud, SYSTEM, DATA)
    share(cloud, image_id)

    cloud.call(action, ImageId=image_id, InstanceType=SMALL, account=OTHER)
    cloud.settle()
    unshare(cloud, image_id)
    made_of = [disk.snapshot for disk in every(cloud, image_disks, image=image_id)]
    cloud.call("DeleteImage", ImageId=image_id, Force=True)
    for snapshot in made_of:
        cloud.call("DeleteSnapshot", SnapshotId=snapshot)
    sweep(cloud.ports)
    cloud.settle()

    (instance,) = every(cloud, instances)
    assert (instance.account, instance.image) == (OTHER, image_id)
    system, data = sorted(every(cloud, disks, instance=instance.id), key=lambda disk: disk.device)
    disk_holds(cloud, system.id, SYSTEM)
    disk_holds(cloud, data.id, DATA)
    cloud.refuses(action, "InvalidImageId.NotFound", 404, ImageId=image_id, InstanceType=SMALL, account=OTHER)


def test_its_disks_do_not_tell_of_the_owners_snapshots(cloud):
    image_id = an_image_with(cloud, SYSTEM, DATA)
    share(cloud, image_id)

    cloud.call("RunInstances", ImageId=image_id, InstanceType=SMALL, account=OTHER)
    cloud.settle()

    told = cloud.call("DescribeDisks", account=OTHER)["Disks"]["Disk"]
    assert [disk["SourceSnapshotId"] for disk in told] == ["", ""]
    for snapshot in every(cloud, snapshots):
        usage = cloud.call("DescribeSnapshots", SnapshotIds=f'["{snapshot.id}"]')["Snapshots"]["Snapshot"][0]["Usage"]
        assert usage == "image"


def test_a_system_disk_is_replaced_by_it(cloud):
    image_id = an_image_with(cloud, SYSTEM)
    instance = an_instance(cloud, account=OTHER)
    given = {"InstanceId": instance.id, "ImageId": image_id}
    cloud.refuses("ReplaceSystemDisk", "InvalidImageId.NotFound", 404, given, account=OTHER)
    share(cloud, image_id)

    made = cloud.call("ReplaceSystemDisk", given, account=OTHER)["DiskId"]
    cloud.settle()

    disk_holds(cloud, made, SYSTEM)
    assert the(cloud, disks, id=made).source_snapshot == ""


def test_a_family_is_its_owners_alone(cloud):
    image = an_image(cloud, family="webs")
    share(cloud, image.id)

    code = "InvalidImageFamily.MissingAvailableImage"
    cloud.refuses("RunInstances", code, 403, ImageFamily="webs", InstanceType=SMALL, account=OTHER)
