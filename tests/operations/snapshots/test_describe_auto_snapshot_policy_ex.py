"""DescribeAutoSnapshotPolicyEx, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.store import tags
from tests.clouds import ACCOUNT, OTHER, REGION
from tests.stock import a_disk, a_policy


def listed(cloud, params=None, /, **more):
    answer = cloud.call("DescribeAutoSnapshotPolicyEx", params, **more)
    return [one["AutoSnapshotPolicyId"] for one in answer["AutoSnapshotPolicies"]["AutoSnapshotPolicy"]]


def test_tells_all_of_a_policy(cloud):
    cloud.clock.now = 1_795_000_000.0
    policy = a_policy(cloud, name="nightly", hours="0,12", weekdays="1,7", resource_group="rg-tests")
    a_disk(cloud, snapshot_policy=policy.id)
    cloud.ports.database.write(lambda tx: tags.put(tx, ACCOUNT, "snapshotpolicy", policy.id, {"team": "web"}))

    answer = cloud.call("DescribeAutoSnapshotPolicyEx")

    assert answer["AutoSnapshotPolicies"]["AutoSnapshotPolicy"] == [
        {
            "AutoSnapshotPolicyId": policy.id, "AutoSnapshotPolicyName": "nightly", "RegionId": REGION,
            "Status": "Normal", "Type": "Custom", "AssociationType": "AssociatedWithDisk",
            "TimePoints": '["0", "12"]', "RepeatWeekdays": '["1", "7"]', "RetentionDays": 7, "DiskNums": 1,
            "VolumeNums": 0, "CreationTime": "2026-11-18T11:06:40Z", "EnableCrossRegionCopy": False,
            "TargetCopyRegions": "", "CopiedSnapshotsRetentionDays": -1,
            "CopyEncryptionConfiguration": {"Encrypted": False, "KMSKeyId": ""}, "TargetTags": {"TargetTag": []},
            "ResourceGroupId": "rg-tests", "Tags": {"Tag": [{"TagKey": "team", "TagValue": "web"}]},
        }
    ]  # fmt: skip
    assert (answer["TotalCount"], answer["PageNumber"], answer["PageSize"]) == (1, 1, 10)


def test_has_the_newest_first_and_nothing_of_another_account(cloud):
    one, two = a_policy(cloud), a_policy(cloud)
    a_policy(cloud, account=OTHER)

    assert listed(cloud) == [two.id, one.id]
    assert listed(cloud, PageSize=1, PageNumber=2) == [one.id]


@pytest.mark.parametrize(
    ("filters", "fields"),
    [
        ({"AutoSnapshotPolicyId": "sp-one"}, {"id": "sp-one"}),
        ({"AutoSnapshotPolicyName": "nightly"}, {"name": "nightly"}),
        ({"ResourceGroupId": "rg-tests"}, {"resource_group": "rg-tests"}),
    ],
)
def test_keeps_what_matches(cloud, filters, fields):
    a_policy(cloud)
    wanted = a_policy(cloud, **fields)

    assert listed(cloud, filters) == [wanted.id]


def test_keeps_what_has_all_the_tags(cloud):
    wanted = a_policy(cloud)
    a_policy(cloud)
    cloud.call("TagResources", {"ResourceType": "snapshotpolicy", "ResourceId.1": wanted.id, "Tag.1.Key": "kept"})

    assert listed(cloud, {"Tag.1.Key": "kept"}) == [wanted.id]


def test_refuses_a_tag_without_a_key(cloud):
    cloud.refuses("DescribeAutoSnapshotPolicyEx", "InvalidTag.Mismatch", 400, {"Tag.1.Value": "x"})
