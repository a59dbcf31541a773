"""DescribeStorage, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.calls.grace import Grace
from kiln.upkeep.sweep import sweep
from tests.clouds import OTHER
from tests.stock import a_disk, an_instance
from tests.waiting import wait_for

#: A look at a pool on Ceph takes long, after which the next one is put off, and a blank disk takes nothing there.
pytestmark = pytest.mark.qcow2


def storage(cloud, account=None):
    """Volumes by use, bytes by use, and disks by depth."""
    told = cloud.call("DescribeStorage", account=account)
    uses = told["Uses"]["Use"]
    return (
        {one["Use"]: one["Volumes"] for one in uses if one["Volumes"]},
        {one["Use"]: one["Bytes"] for one in uses},
        {one["Depth"]: one["Disks"] for one in told["ChainDepths"]["ChainDepth"]},
    )


def seen(cloud, volumes, account=None):
    """What is told when those *volumes* are, which is looked at now and then."""
    return wait_for(lambda: (found := storage(cloud, account))[0] == volumes and found)


def test_tells_what_an_account_has_by_kind_and_how_deep_its_disks_stand(cloud):
    instance = an_instance(cloud)
    a_disk(cloud)
    cloud.call("CreateImage", InstanceId=instance.id)
    cloud.settle()

    _, taken, depths = seen(cloud, {"head": 2, "named": 1})

    assert taken["head"] > 0
    assert taken["named"] > 0
    assert depths == {1: 1, 2: 1}


def test_tells_what_nothing_names_and_what_can_be_had_back(cloud):
    cloud.refit(grace=Grace(3600.0))
    instance = an_instance(cloud)
    snapshot = cloud.call("CreateSnapshot", DiskId=disk_of(cloud, instance))["SnapshotId"]
    cloud.settle()
    cloud.call("DeleteSnapshot", SnapshotId=snapshot, Force=True)
    seen(cloud, {"head": 1, "unnamed": 1})

    cloud.call("DeleteInstance", InstanceId=instance.id, Force=True)
    cloud.settle()
    seen(cloud, {"doomed": 2})
    sweep(cloud.ports)
    sweep(cloud.ports)

    _, taken, depths = seen(cloud, {"trash": 2})
    assert taken["trash"] > 0
    assert depths == {}


def test_tells_an_account_nothing_of_what_another_has(cloud):
    instance = an_instance(cloud)
    image = cloud.call("CreateImage", InstanceId=instance.id)["ImageId"]
    cloud.settle()
    seen(cloud, {"head": 1, "named": 1})

    assert storage(cloud, OTHER) == ({}, dict.fromkeys(("head", "named", "unnamed", "doomed", "trash"), 0), {})

    cloud.call("ModifyImageSharePermission", {"AddAccount.1": OTHER}, ImageId=image)
    cloud.call("RunInstances", ImageId=image, InstanceType="ecs.t5-lc2m1.nano", account=OTHER)
    cloud.settle()
    seen(cloud, {"head": 1}, OTHER)
    seen(cloud, {"head": 1, "named": 1})

    # Disks of both stand on what nothing names any more.
    (snapshot,) = cloud.call("DescribeSnapshots")["Snapshots"]["Snapshot"]
    cloud.call("ModifyImageSharePermission", {"RemoveAccount.1": OTHER}, ImageId=image)
    cloud.call("DeleteImage", ImageId=image, Force=True)
    cloud.settle()
    cloud.call("DeleteSnapshot", SnapshotId=snapshot["SnapshotId"], Force=True)
    cloud.settle()
    seen(cloud, {"head": 1})
    seen(cloud, {"head": 1}, OTHER)


def disk_of(cloud, instance):
    (disk,) = cloud.call("DescribeDisks", InstanceId=instance.id)["Disks"]["Disk"]
    return disk["DiskId"]
