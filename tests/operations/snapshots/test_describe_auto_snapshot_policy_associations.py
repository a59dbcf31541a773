"""DescribeAutoSnapshotPolicyAssociations, as a caller meets it."""

from __future__ import annotations

from tests.clouds import OTHER
from tests.stock import a_disk


def listed(cloud, **params):
    answer = cloud.call("DescribeAutoSnapshotPolicyAssociations", params)
    told = answer["AutoSnapshotPolicyAssociations"]["AutoSnapshotPolicyAssociation"]
    return [(one["DiskId"], one["AutoSnapshotPolicyId"]) for one in told]


def test_tells_which_disk_has_which_policy(cloud):
    one, two = a_disk(cloud, snapshot_policy="sp-1"), a_disk(cloud, snapshot_policy="sp-2")
    a_disk(cloud)
    a_disk(cloud, snapshot_policy="sp-1", account=OTHER)

    assert listed(cloud) == [(two.id, "sp-2"), (one.id, "sp-1")]
    assert listed(cloud, AutoSnapshotPolicyId="sp-1") == [(one.id, "sp-1")]
    assert listed(cloud, DiskId=two.id) == [(two.id, "sp-2")]
    assert listed(cloud, DiskId="d-unknown") == []


def test_pages(cloud):
    made = [a_disk(cloud, snapshot_policy="sp-1").id for _ in range(12)]

    first = cloud.call("DescribeAutoSnapshotPolicyAssociations", MaxResults=1)
    rest = listed(cloud, MaxResults=1, NextToken=first["NextToken"])

    assert [disk for disk, _ in rest] == made[1::-1]


def test_refuses_both_filters(cloud):
    given = {"AutoSnapshotPolicyId": "sp-1", "DiskId": "d-1"}

    cloud.refuses("DescribeAutoSnapshotPolicyAssociations", "InvalidParameter", 400, given)
