"""A resource is found from its own region, and from any where none is named."""

from __future__ import annotations

import pytest

from kiln.declare.deployment import Deployment
from tests.clouds import REGION, make_cloud
from tests.stock import a_disk, a_snapshot, a_snapshot_group, an_instance

ELSEWHERE = "cn-hangzhou"


@pytest.fixture
def cloud(tmp_path, sqlite):
    return make_cloud(tmp_path, sqlite, deployment=Deployment(regions=(REGION, ELSEWHERE)))


@pytest.mark.parametrize(
    ("action", "code", "more"),
    [
        ("AttachDisk", "InvalidInstanceId.NotFound", ("InstanceId", "DiskId")),
        ("DetachDisk", "InvalidInstanceId.NotFound", ("InstanceId", "DiskId")),
        ("DeleteDisk", "InvalidDiskId.NotFound", ("DiskId",)),
        ("ReInitDisk", "InvalidDiskId.NotFound", ("DiskId",)),
        ("ResetDisk", "InvalidDiskId.NotFound", ("DiskId", "SnapshotId")),
        ("ModifyDiskAttribute", "InvalidDiskId.NotFound", ("DiskId", "DiskName")),
        ("DescribeUserData", "InvalidInstanceId.NotFound", ("InstanceId",)),
        ("ResizeDisk", "InvalidDiskId.NotFound", ("DiskId", "NewSize")),
        ("CreateSnapshot", "InvalidDiskId.NotFound", ("DiskId",)),
        ("ModifySnapshotGroup", "InvalidSnapshotGroup.NotFound", ("SnapshotGroupId", "Name")),
        ("DeleteSnapshotGroup", "InvalidSnapshotGroup.NotFound", ("SnapshotGroupId",)),
        ("StartInstance", "InvalidInstanceId.NotFound", ("InstanceId",)),
        ("StopInstance", "InvalidInstanceId.NotFound", ("InstanceId",)),
        ("RebootInstance", "InvalidInstanceId.NotFound", ("InstanceId",)),
        ("DeleteInstance", "InvalidInstanceId.NotFound", ("InstanceId",)),
        ("ModifyInstanceAttribute", "InvalidInstanceId.NotFound", ("InstanceId",)),
        ("ReplaceSystemDisk", "InvalidInstanceId.NotFound", ("InstanceId", "ImageId")),
    ],
)
def test_what_is_in_one_region_is_not_found_from_another(cloud, action, code, more):
    there = {
        "InstanceId": an_instance(cloud).id,
        "DiskId": a_disk(cloud).id,
        "SnapshotId": a_snapshot(cloud).id,
        "ImageId": "m-any",
        "NewSize": 100,
        "DiskName": "other",
        "SnapshotGroupId": a_snapshot_group(cloud).id,
        "Name": "other",
    }
    params = {name: there[name] for name in more}

    cloud.refuses(action, code, 404, params, RegionId=ELSEWHERE)


@pytest.mark.parametrize("region", [None, REGION])
def test_is_found_from_its_own_region_and_without_one(cloud, region):
    disk = a_disk(cloud)

    cloud.call("DeleteDisk", DiskId=disk.id, RegionId=region)
