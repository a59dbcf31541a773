"""CancelAutoSnapshotPolicy, as a caller meets it."""

from __future__ import annotations

import json

import pytest

from kiln.store.disks import disks
from kiln.store.snapshots import snapshots
from tests.reading import every, the
from tests.stock import a_disk, a_policy, a_snapshot


def test_takes_the_policy_from_disks_and_leaves_snapshots(cloud):
    policy = a_policy(cloud)
    one, two, three = a_disk(cloud, snapshot_policy=policy.id), a_disk(cloud), a_disk(cloud, snapshot_policy=policy.id)
    a_snapshot(cloud, snapshot_policy=policy.id, source_disk=one.id)

    assert cloud.call("CancelAutoSnapshotPolicy", {"diskIds": json.dumps([one.id, two.id])}) == {}

    assert [the(cloud, disks, id=disk.id).snapshot_policy for disk in (one, two, three)] == ["", "", policy.id]
    assert len(every(cloud, snapshots)) == 1


def test_takes_only_the_policy_that_is_named(cloud):
    policy, other = a_policy(cloud), a_policy(cloud)
    one, two = a_disk(cloud, snapshot_policy=policy.id), a_disk(cloud, snapshot_policy=other.id)
    given = {"diskIds": json.dumps([one.id, two.id]), "autoSnapshotPolicyId": policy.id}

    cloud.call("CancelAutoSnapshotPolicy", given)

    assert [the(cloud, disks, id=disk.id).snapshot_policy for disk in (one, two)] == ["", other.id]


@pytest.mark.parametrize(
    ("params", "code", "status"),
    [
        ({"diskIds": '["d-unknown"]'}, "InvalidDiskId.NotFound", 404),
        ({"diskIds": "[]"}, "ParameterInvalid", 403),
        ({"autoSnapshotPolicyId": "sp-unknown"}, "ParameterInvalid", 404),
    ],
)
def test_refuses_what_is_not_right(cloud, params, code, status):
    cloud.refuses("CancelAutoSnapshotPolicy", code, status, {"diskIds": json.dumps([a_disk(cloud).id])} | params)
