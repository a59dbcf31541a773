"""ApplyAutoSnapshotPolicy, as a caller meets it."""

from __future__ import annotations

import json

import pytest

from kiln.store.disks import disks
from tests.clouds import OTHER
from tests.reading import the
from tests.stock import a_disk, a_policy, a_snapshot


def named(policy, *ids):
    return {"autoSnapshotPolicyId": policy, "diskIds": json.dumps(ids)}


def test_gives_disks_the_policy_in_place_of_the_one_that_they_had(cloud):
    one, two, other = (a_disk(cloud) for _ in range(3))
    first, second = a_policy(cloud), a_policy(cloud)
    cloud.call("ApplyAutoSnapshotPolicy", named(first.id, one.id))

    assert cloud.call("ApplyAutoSnapshotPolicy", named(second.id, one.id, two.id, one.id)) == {}

    assert [the(cloud, disks, id=disk.id).snapshot_policy for disk in (one, two, other)] == [second.id, second.id, ""]
    (shown,) = cloud.call("DescribeDisks", DiskIds=json.dumps([one.id]))["Disks"]["Disk"]
    assert (shown["AutoSnapshotPolicyId"], shown["EnableAutomatedSnapshotPolicy"]) == (second.id, True)


def test_leaves_a_disk_that_has_it_already_as_it_is(cloud):
    disk, policy = a_disk(cloud), a_policy(cloud)
    cloud.call("ApplyAutoSnapshotPolicy", named(policy.id, disk.id))
    before = the(cloud, disks, id=disk.id)
    cloud.clock.now += 60

    cloud.call("ApplyAutoSnapshotPolicy", named(policy.id, disk.id))

    assert the(cloud, disks, id=disk.id) == before


@pytest.mark.parametrize(
    ("ids", "code", "status"),
    [
        ('["d-unknown"]', "InvalidDiskId.NotFound", 404),
        ("[]", "ParameterInvalid", 403),
        ('{"d-1": 1}', "ParameterInvalid", 403),
    ],
)
def test_refuses_disks_that_are_not_right(cloud, ids, code, status):
    given = {"autoSnapshotPolicyId": a_policy(cloud).id, "diskIds": ids}

    cloud.refuses("ApplyAutoSnapshotPolicy", code, status, given)


def test_refuses_all_when_one_disk_is_another_accounts(cloud):
    given = named(a_policy(cloud).id, a_disk(cloud).id, a_disk(cloud, account=OTHER).id)

    cloud.refuses("ApplyAutoSnapshotPolicy", "InvalidDiskId.NotFound", 404, given)


@pytest.mark.parametrize("owner", [None, OTHER])
def test_refuses_a_policy_that_is_not_the_callers(cloud, owner):
    policy = "sp-unknown" if owner is None else a_policy(cloud, account=owner).id

    cloud.refuses("ApplyAutoSnapshotPolicy", "ParameterInvalid", 404, named(policy, a_disk(cloud).id))


def test_a_new_instance_has_its_disks_policies_from_the_beginning(cloud):
    policy = a_policy(cloud)
    image = cloud.call("CreateImage", SnapshotId=a_snapshot(cloud).id)["ImageId"]
    given = {"SystemDisk.AutoSnapshotPolicyId": policy.id, "DataDisk.1.Size": 20, "DataDisk.2.Size": 20}
    chosen = {"DataDisk.2.AutoSnapshotPolicyId": policy.id, "ImageId": image, "InstanceType": "ecs.t5-lc1m1.small"}

    answer = cloud.call("RunInstances", given | chosen)

    (instance,) = answer["InstanceIdSets"]["InstanceIdSet"]
    found = [the(cloud, disks, instance=instance, device=f"/dev/xvd{letter}") for letter in "abc"]
    assert [disk.snapshot_policy for disk in found] == [policy.id, "", policy.id]
    assert {disk.snapshots_until for disk in found} == {found[0].created_at}


def test_a_new_instance_is_refused_a_policy_that_there_is_not(cloud):
    image = cloud.call("CreateImage", SnapshotId=a_snapshot(cloud).id)["ImageId"]
    given = {"SystemDisk.AutoSnapshotPolicyId": "sp-unknown", "ImageId": image, "InstanceType": "ecs.t5-lc1m1.small"}

    cloud.refuses("RunInstances", "ParameterInvalid", 404, given)
