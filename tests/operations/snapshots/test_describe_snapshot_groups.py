"""DescribeSnapshotGroups, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.store import tags
from tests.clouds import ACCOUNT, OTHER
from tests.stock import a_snapshot, a_snapshot_group


def listed(cloud, params=None, /, **more):
    answer = cloud.call("DescribeSnapshotGroups", params, **more)
    return [group["SnapshotGroupId"] for group in answer["SnapshotGroups"]["SnapshotGroup"]]


def in_group(cloud, group, status="accomplished", **changes):
    return a_snapshot(cloud, snapshot_group=group.id, status=status, **changes)


def tag(cloud, noun, resource, **pairs):
    cloud.ports.database.write(lambda tx: tags.put(tx, ACCOUNT, noun, resource, pairs))


class TestTheAnswer:
    def test_tells_all_that_is_known(self, cloud):
        cloud.clock.now = 1_795_000_000.0
        group = a_snapshot_group(
            cloud, name="nightly", description="as it was", instance="i-1", resource_group="rg-tests"
        )
        data = in_group(cloud, group, source_disk_type="data")
        system = in_group(cloud, group)
        tag(cloud, "snapshotgroup", group.id, team="web")
        tag(cloud, "snapshot", data.id, kept="yes")

        (shown,) = cloud.call("DescribeSnapshotGroups")["SnapshotGroups"]["SnapshotGroup"]

        members = shown.pop("Snapshots")["Snapshot"]
        assert shown == {
            "SnapshotGroupId": group.id, "Name": "nightly", "Description": "as it was", "Status": "accomplished",
            "ProgressStatus": "", "InstanceId": "i-1", "CreationTime": "2026-11-18T11:06:40Z",
            "ResourceGroupId": "rg-tests", "Tags": {"Tag": [{"Key": "team", "Value": "web"}]},
        }  # fmt: skip
        assert [one["SnapshotId"] for one in members] == [system.id, data.id]
        assert members[1] == {
            "SnapshotId": data.id, "SourceDiskId": data.source_disk, "SourceDiskType": "data", "Progress": "100%",
            "Available": True, "InstantAccess": False, "InstantAccessRetentionDays": 0,
            "Tags": {"Tag": [{"Key": "kept", "Value": "yes"}]},
        }  # fmt: skip

    def test_has_the_newest_first_and_pages(self, cloud):
        groups = [a_snapshot_group(cloud).id for _ in range(3)]

        first = cloud.call("DescribeSnapshotGroups", MaxResults=2)
        rest = listed(cloud, MaxResults=2, NextToken=first["NextToken"])

        assert [one["SnapshotGroupId"] for one in first["SnapshotGroups"]["SnapshotGroup"]] == groups[:0:-1]
        assert rest == groups[:1]

    def test_has_nothing_of_another_account(self, cloud):
        a_snapshot_group(cloud, account=OTHER)

        assert listed(cloud) == []


class TestTheStatus:
    @pytest.mark.parametrize(
        ("members", "status"),
        [
            ((), "accomplished"),
            (("accomplished", "accomplished"), "accomplished"),
            (("accomplished", "failed"), "failed"),
            (("progressing", "failed"), "progressing"),
        ],
    )
    def test_is_what_the_snapshots_say(self, cloud, members, status):
        group = a_snapshot_group(cloud)
        for one in members:
            in_group(cloud, group, one)
        others = [one for one in ("progressing", "accomplished", "failed") if one != status]

        (shown,) = cloud.call("DescribeSnapshotGroups")["SnapshotGroups"]["SnapshotGroup"]

        assert shown["Status"] == status
        assert listed(cloud, {"Status.1": status}) == [group.id]
        assert listed(cloud, {f"Status.{n}": one for n, one in enumerate(others, 1)}) == []


class TestFilters:
    @pytest.mark.parametrize(
        ("filters", "fields"),
        [
            ({"Name": "nightly"}, {"name": "nightly"}),
            ({"InstanceId": "i-1"}, {"instance": "i-1"}),
            ({"ResourceGroupId": "rg-tests"}, {"resource_group": "rg-tests"}),
        ],
    )
    def test_keep_what_matches(self, cloud, filters, fields):
        a_snapshot_group(cloud)
        wanted = a_snapshot_group(cloud, **fields)

        assert listed(cloud, filters) == [wanted.id]

    def test_keep_the_groups_that_are_named(self, cloud):
        one, _, three = (a_snapshot_group(cloud).id for _ in range(3))

        assert listed(cloud, {"SnapshotGroupId.1": one, "SnapshotGroupId.2": three}) == [three, one]

    def test_keep_what_has_all_the_tags(self, cloud):
        wanted, _ = a_snapshot_group(cloud), a_snapshot_group(cloud)
        tag(cloud, "snapshotgroup", wanted.id, team="web")

        assert listed(cloud, {"Tag.1.Key": "team", "Tag.1.Value": "web"}) == [wanted.id]

    @pytest.mark.parametrize(
        ("params", "code", "status"),
        [
            ({"Status.1": "done"}, "InvalidStatus.ValueNotSupported", 403),
            ({"Tag.1.Value": "x"}, "InvalidTag.Mismatch", 400),
            ({"SnapshotGroupId.11": "ssg-1"}, "InvalidParameter", 400),
        ],
    )
    def test_are_refused_where_they_are_not_right(self, cloud, params, code, status):
        cloud.refuses("DescribeSnapshotGroups", code, status, params)
