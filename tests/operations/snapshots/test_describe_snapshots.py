"""DescribeSnapshots, as a caller meets it."""

from __future__ import annotations

import json

import pytest

from kiln.store import tags
from tests.clouds import ACCOUNT, OTHER
from tests.stock import a_disk, a_snapshot


def listed(cloud, params=None, /, **more):
    """The IDs in the answer, in its order."""
    answer = cloud.call("DescribeSnapshots", params, **more)
    return [one["SnapshotId"] for one in answer["Snapshots"]["Snapshot"]]


def tag(cloud, snapshot, **pairs):
    cloud.ports.database.write(lambda tx: tags.put(tx, ACCOUNT, "snapshot", snapshot.id, pairs))


class TestTheAnswer:
    def test_tells_all_of_a_snapshot(self, cloud):
        labels = {"name": "one", "description": "first", "resource_group": "rg-tests", "snapshot_group": "ssg-one"}
        snapshot = a_snapshot(cloud, retention_days=7, **labels)
        tag(cloud, snapshot, team="web")

        answer = cloud.call("DescribeSnapshots")

        (one,) = answer["Snapshots"]["Snapshot"]
        assert one == {
            "SnapshotId": snapshot.id, "SnapshotName": "one", "Description": "first", "Status": "accomplished",
            "Progress": "100%", "Available": True, "RemainTime": 0, "CreationTime": one["CreationTime"],
            "LastModifiedTime": one["CreationTime"], "RegionId": snapshot.region,
            "SourceDiskId": snapshot.source_disk, "SourceDiskType": "system", "SourceDiskSize": "20",
            "SourceStorageType": "disk", "SourceSnapshotId": "", "SourceRegionId": "",
            "SnapshotLinkId": snapshot.source_disk.replace("d-", "sl-"), "SnapshotType": "user", "SnapshotSN": "",
            "SnapshotGroupId": "ssg-one",
            "Category": "standard", "Usage": "none", "FullSnapshotSizeInBytes": 20 * 2**30, "RetentionDays": 7,
            "Encrypted": False, "KMSKeyId": "", "InstantAccess": False, "InstantAccessRetentionDays": 0,
            "ProductCode": "", "ResourceGroupId": "rg-tests",
            "Tags": {"Tag": [{"TagKey": "team", "TagValue": "web"}]},
        }  # fmt: skip
        assert one["CreationTime"].startswith("2026-11-")
        assert one["CreationTime"].endswith("Z")
        assert {k: v for k, v in answer.items() if k != "Snapshots"} == {
            "TotalCount": 1, "PageNumber": 1, "PageSize": 10, "NextToken": "",
        }  # fmt: skip

    def test_is_empty_lists_when_there_is_nothing(self, cloud):
        answer = cloud.call("DescribeSnapshots")

        assert answer["Snapshots"] == {"Snapshot": []}
        assert answer["TotalCount"] == 0

    def test_shows_one_that_is_progressing(self, cloud):
        disk = a_disk(cloud)
        cloud.call("CreateSnapshot", DiskId=disk.id)

        (one,) = cloud.call("DescribeSnapshots")["Snapshots"]["Snapshot"]

        assert (one["Status"], one["Progress"], one["Available"]) == ("progressing", "0%", False)

    def test_shows_nothing_of_another_account(self, cloud):
        snapshot = a_snapshot(cloud)

        assert listed(cloud, SnapshotIds=json.dumps([snapshot.id]), account=OTHER) == []

    def test_says_what_was_made_of_a_snapshot(self, cloud):
        snapshot = a_snapshot(cloud)
        cloud.call("CreateImage", SnapshotId=snapshot.id)
        a_disk(cloud, source_snapshot=snapshot.id)

        (one,) = cloud.call("DescribeSnapshots")["Snapshots"]["Snapshot"]

        assert one["Usage"] == "image_disk"


class TestFilters:
    def test_takes_ids_as_a_json_array(self, cloud):
        one, two, _ = (a_snapshot(cloud) for _ in range(3))

        assert listed(cloud, SnapshotIds=json.dumps([one.id, two.id, "s-unknown"])) == [two.id, one.id]
        assert listed(cloud, SnapshotIds=f"['{one.id}']") == [one.id]
        assert listed(cloud, SnapshotIds="[]") == []

    @pytest.mark.parametrize(
        ("filters", "fields"),
        [
            ({"DiskId": "d-one"}, {"source_disk": "d-one"}),
            ({"InstanceId": "i-one"}, {"instance": "i-one"}),
            ({"SnapshotName": "one"}, {"name": "one"}),
            ({"Status": "failed"}, {"status": "failed"}),
            ({"SourceDiskType": "DATA"}, {"source_disk_type": "data"}),
            ({"ResourceGroupId": "rg-tests"}, {"resource_group": "rg-tests"}),
            ({"SnapshotLinkId": "sl-one"}, {"source_disk": "d-one"}),
            ({"SnapshotType": "auto"}, {"snapshot_policy": "sp-one"}),
        ],
    )
    def test_keeps_what_matches(self, cloud, filters, fields):
        a_snapshot(cloud)
        wanted = a_snapshot(cloud, **fields)

        assert listed(cloud, **filters) == [wanted.id]

    def test_keeps_all_where_a_filter_says_so(self, cloud):
        wanted = a_snapshot(cloud)

        answer = listed(cloud, Status="all", SnapshotType="all", Category="standard", Encrypted=False)

        assert answer == [wanted.id]

    @pytest.mark.parametrize("filters", [{"Encrypted": True}, {"KMSKeyId": "k"}, {"Category": "flash"}])
    def test_finds_nothing_of_what_there_is_none_of(self, cloud, filters):
        a_snapshot(cloud)

        assert listed(cloud, **filters) == []

    def test_tells_apart_what_was_made_of_them(self, cloud):
        unused, imaged, cloned, both = (a_snapshot(cloud) for _ in range(4))
        for snapshot in (imaged, both):
            cloud.call("CreateImage", SnapshotId=snapshot.id)
        for snapshot in (cloned, both):
            a_disk(cloud, source_snapshot=snapshot.id)

        found = {usage: listed(cloud, Usage=usage) for usage in ("none", "image", "disk", "image_disk")}

        assert found == {"none": [unused.id], "image": [imaged.id], "disk": [cloned.id], "image_disk": [both.id]}

    def test_keeps_what_has_all_the_tags(self, cloud):
        one, two, _ = (a_snapshot(cloud) for _ in range(3))
        tag(cloud, one, team="web", stage="")
        tag(cloud, two, team="web")

        assert listed(cloud, {"Tag.1.Key": "team"}) == [two.id, one.id]
        assert listed(cloud, {"Tag.1.Key": "team", "Tag.1.Value": "web", "Tag.2.Key": "stage"}) == [one.id]
        assert listed(cloud, {"Tag.1.Key": "stage", "Tag.1.Value": ""}) == [one.id]
        assert listed(cloud, {"Tag.1.Key": "team", "Tag.1.Value": "db"}) == []

    def test_keeps_what_was_made_between_two_times(self, cloud):
        a_snapshot(cloud, created_at=1_795_000_000.0 - 86_400)
        wanted = a_snapshot(cloud, created_at=1_795_000_000.0)
        a_snapshot(cloud, created_at=1_795_000_000.0 + 86_400)

        between = {
            "Filter.1.Key": "CreationStartTime", "Filter.1.Value": "2026-11-18T00:00Z",
            "Filter.2.Key": "CreationEndTime", "Filter.2.Value": "2026-11-19T00:00Z",
        }  # fmt: skip

        assert listed(cloud, between) == [wanted.id]


class TestPages:
    def test_pages_by_number(self, cloud):
        made = [a_snapshot(cloud).id for _ in range(5)][::-1]

        pages = [listed(cloud, PageNumber=n, PageSize=2) for n in (1, 2, 3, 4)]

        assert pages == [made[:2], made[2:4], made[4:], []]
        answer = cloud.call("DescribeSnapshots", PageNumber=2, PageSize=2)
        assert (answer["TotalCount"], answer["PageNumber"], answer["PageSize"]) == (5, 2, 2)

    def test_pages_by_token_while_the_list_changes(self, cloud):
        made = [a_snapshot(cloud).id for _ in range(5)][::-1]

        first = cloud.call("DescribeSnapshots", MaxResults=2)
        a_snapshot(cloud)
        second = cloud.call("DescribeSnapshots", MaxResults=2, NextToken=first["NextToken"])
        third = cloud.call("DescribeSnapshots", MaxResults=2, NextToken=second["NextToken"])

        got = [one["SnapshotId"] for page in (first, second, third) for one in page["Snapshots"]["Snapshot"]]
        assert got == made
        assert third["NextToken"] == ""

    def test_counts_more_than_100_results_as_100(self, cloud):
        assert cloud.call("DescribeSnapshots", MaxResults=500)["PageSize"] == 100

    @pytest.mark.parametrize("token", ["nonsense", "W10", "WyJhIiwiYiJd"])
    def test_refuses_a_token_that_is_not_ours(self, cloud, token):
        cloud.refuses("DescribeSnapshots", "InvalidParameter", 400, NextToken=token)


class TestDryRun:
    def test_says_that_all_is_well(self, cloud):
        cloud.refuses("DescribeSnapshots", "DryRunOperation", 400, DryRun=True)

    def test_says_what_is_not(self, cloud):
        cloud.refuses("DescribeSnapshots", "InvalidTag.Mismatch", 400, {"Tag.1.Value": "lonely"}, DryRun=True)


class TestRefusals:
    def test_refuses_no_region(self, cloud):
        cloud.refuses("DescribeSnapshots", "MissingParameter", 400, RegionId=None)

    def test_refuses_an_unknown_region(self, cloud):
        cloud.refuses("DescribeSnapshots", "InvalidRegionId.NotFound", 404, RegionId="nowhere")

    def test_refuses_more_than_100_ids(self, cloud):
        ids = json.dumps([f"s-{n}" for n in range(101)])

        cloud.refuses("DescribeSnapshots", "InvalidSnapshotIds.Malformed", 403, SnapshotIds=ids)

    @pytest.mark.parametrize(
        ("filters", "code", "status"),
        [
            ({"Status": "done"}, "InvalidStatus.NotFound", 404),
            ({"SnapshotType": "weekly"}, "InvalidSnapshotType.NotFound", 404),
            ({"Usage": "door-stop"}, "InvalidUsage", 404),
            ({"SourceDiskType": "floppy"}, "InvalidSourceDiskType", 404),
            ({"Category": "warm"}, "InvalidSnapshotCategory.Malformed", 403),
            ({"SnapshotLinkId": "sl-unknown"}, "InvalidSnapshotLinkId.NotFound", 404),
            ({"SnapshotLinkId": "sl-"}, "InvalidSnapshotLinkId.NotFound", 404),
            ({"PageSize": 101}, "InvalidParameter", 400),
            ({"Filter.1.Key": "Colour", "Filter.1.Value": "red"}, "InvalidFilterKey.NotFound", 404),
            ({"Filter.11.Key": "CreationStartTime"}, "InvalidFilterKey.NotFound", 404),
            ({"Filter.1.Key": "CreationEndTime", "Filter.1.Value": "noon"}, "InvalidFilterValue", 404),
            ({"Tag.1.Value": "lonely"}, "InvalidTag.Mismatch", 400),
            ({f"Tag.{n}.Key": "k" for n in range(1, 22)}, "InvalidTagCount", 400),
        ],
    )
    def test_refuses_filters_that_make_no_sense(self, cloud, filters, code, status):
        cloud.refuses("DescribeSnapshots", code, status, filters)
