"""DeleteAutoSnapshotPolicy, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.store import tags
from kiln.store.disks import disks
from kiln.store.snapshot_policies import snapshot_policies
from kiln.store.snapshots import snapshots
from tests.clouds import ACCOUNT, OTHER
from tests.reading import every, the
from tests.stock import a_disk, a_policy, a_snapshot


def test_goes_with_its_tags_and_from_its_disks_and_leaves_its_snapshots(cloud):
    policy, other = a_policy(cloud), a_policy(cloud)
    one, two = a_disk(cloud, snapshot_policy=policy.id), a_disk(cloud, snapshot_policy=other.id)
    snapshot = a_snapshot(cloud, snapshot_policy=policy.id)
    cloud.ports.database.write(lambda tx: tags.put(tx, ACCOUNT, "snapshotpolicy", policy.id, {"a": "b"}))

    assert cloud.call("DeleteAutoSnapshotPolicy", autoSnapshotPolicyId=policy.id) == {}

    assert [row.id for row in every(cloud, snapshot_policies)] == [other.id]
    assert [the(cloud, disks, id=disk.id).snapshot_policy for disk in (one, two)] == ["", other.id]
    assert the(cloud, snapshots) == snapshot
    assert every(cloud, tags.tags) == []


@pytest.mark.parametrize("owner", [None, OTHER])
def test_refuses_a_policy_that_is_not_the_callers(cloud, owner):
    policy = "sp-unknown" if owner is None else a_policy(cloud, account=owner).id

    cloud.refuses("DeleteAutoSnapshotPolicy", "ParameterInvalid", 404, autoSnapshotPolicyId=policy)
