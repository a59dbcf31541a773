"""DescribeDisks, as a caller meets it."""

from __future__ import annotations

import json

import pytest

from kiln.store import tags
from tests.clouds import ACCOUNT, OTHER, REGION
from tests.stock import a_disk, a_snapshot, an_instance


def listed(cloud, params=None, /, **more):
    """The IDs in the answer, in its order."""
    answer = cloud.call("DescribeDisks", params, **more)
    return [one["DiskId"] for one in answer["Disks"]["Disk"]]


def tag(cloud, disk, **pairs):
    cloud.ports.database.write(lambda tx: tags.put(tx, ACCOUNT, "disk", disk.id, pairs))


class TestTheAnswer:
    def test_tells_all_of_a_disk(self, cloud):
        disk = a_disk(
            cloud, name="data", description="tables", instance="i-one", device="/dev/xvdb", status="In_use",
            attached_at=1_795_000_000.0, image="m-one", source_snapshot="s-one", resource_group="rg-tests",
        )  # fmt: skip
        tag(cloud, disk, team="db")

        answer = cloud.call("DescribeDisks")

        (one,) = answer["Disks"]["Disk"]
        attachment = [{"InstanceId": "i-one", "Device": "/dev/xvdb", "AttachedTime": "2026-11-18T11:06:40Z"}]
        assert one == {
            "DiskId": disk.id, "DiskName": "data", "Description": "tables", "Status": "In_use", "Type": "data",
            "Category": "cloud_efficiency", "PerformanceLevel": "", "Size": 20,
            "SerialNumber": disk.id.removeprefix("d-"), "RegionId": REGION, "ZoneId": REGION + "-a",
            "InstanceId": "i-one", "Device": "/dev/xvdb", "Attachments": {"Attachment": attachment},
            "MountInstances": {"MountInstance": attachment}, "MountInstanceNum": 1,
            "CreationTime": one["CreationTime"], "AttachedTime": "2026-11-18T11:06:40Z", "DetachedTime": "",
            "ImageId": "m-one", "SourceSnapshotId": "s-one", "SourceDiskId": "", "DeleteWithInstance": True,
            "Portable": True, "DeleteAutoSnapshot": False, "EnableAutoSnapshot": True,
            "EnableAutomatedSnapshotPolicy": False, "AutoSnapshotPolicyId": "", "Encrypted": False, "KMSKeyId": "",
            "DiskChargeType": "PostPaid", "ExpiredTime": "2999-09-08T16:00Z", "MultiAttach": "Disabled",
            "BurstingEnabled": False, "ProvisionedIops": 0, "IOPS": 0, "IOPSRead": 0, "IOPSWrite": 0,
            "Throughput": 0, "ThroughputRead": 0, "ThroughputWrite": 0, "OperationLocks": {"OperationLock": []},
            "Placement": {"ZoneIds": ""}, "ProductCode": "", "ResourceGroupId": "rg-tests", "StorageClusterId": "",
            "StorageSetId": "", "StorageSetPartitionNumber": 0, "BdfId": "",
            "Tags": {"Tag": [{"TagKey": "team", "TagValue": "db"}]},
        }  # fmt: skip
        assert one["CreationTime"].startswith("2026-11-18T11:06:4")
        assert {k: v for k, v in answer.items() if k != "Disks"} == {
            "TotalCount": 1, "PageNumber": 1, "PageSize": 10, "NextToken": "",
        }  # fmt: skip

    def test_has_empty_containers_for_a_disk_that_nothing_has(self, cloud):
        a_disk(cloud)

        (one,) = cloud.call("DescribeDisks")["Disks"]["Disk"]

        assert (one["InstanceId"], one["Device"], one["Tags"]) == ("", "", {"Tag": []})
        assert (one["Attachments"], one["MountInstances"]) == ({"Attachment": []}, {"MountInstance": []})

    def test_is_empty_lists_when_there_is_nothing(self, cloud):
        assert cloud.call("DescribeDisks")["Disks"] == {"Disk": []}

    def test_shows_nothing_of_another_account(self, cloud):
        disk = a_disk(cloud)

        assert listed(cloud, DiskIds=json.dumps([disk.id]), account=OTHER) == []

    def test_shows_the_system_disk_of_an_instance_alone(self, cloud):
        instance = an_instance(cloud, data_disks=2)

        (one,) = cloud.call("DescribeDisks", InstanceId=instance.id, DiskType="system")["Disks"]["Disk"]

        assert (one["Type"], one["Device"]) == ("system", "/dev/xvda")


class TestFilters:
    def test_takes_ids_as_a_json_array(self, cloud):
        one, two, _ = (a_disk(cloud) for _ in range(3))

        assert listed(cloud, DiskIds=json.dumps([one.id, two.id, "d-unknown"])) == [two.id, one.id]
        assert listed(cloud, DiskIds="[]") == []

    @pytest.mark.parametrize(
        ("filters", "fields"),
        [
            ({"InstanceId": "i-one"}, {"instance": "i-one"}),
            ({"SnapshotId": "s-one"}, {"source_snapshot": "s-one"}),
            ({"DiskName": "one"}, {"name": "one"}),
            ({"DiskType": "system"}, {"type": "system"}),
            ({"Category": "cloud_ssd"}, {"category": "cloud_ssd"}),
            ({"Status": "In_use"}, {"status": "In_use"}),
            ({"Status": "REINITING"}, {"status": "ReIniting"}),
            ({"Portable": False}, {"portable": False}),
            ({"DeleteWithInstance": False}, {"delete_with_instance": False}),
            ({"PerformanceLevel": "PL2"}, {"performance_level": "PL2"}),
            ({"ResourceGroupId": "rg-tests"}, {"resource_group": "rg-tests"}),
            ({"AutoSnapshotPolicyId": "sp-1"}, {"snapshot_policy": "sp-1"}),
            ({"EnableAutomatedSnapshotPolicy": True}, {"snapshot_policy": "sp-1"}),
            ({"EnableAutoSnapshot": False}, {"ignores_policy": True}),
            ({"DeleteAutoSnapshot": True}, {"drops_auto_snapshots": True}),
        ],
    )
    def test_keeps_what_matches(self, cloud, filters, fields):
        a_disk(cloud)
        wanted = a_disk(cloud, **fields)

        assert listed(cloud, **filters) == [wanted.id]

    @pytest.mark.parametrize(
        "filters",
        [
            {"Status": "All", "DiskType": "all", "Category": "all"},
            {"ZoneId": REGION + "-a"},
            {"DiskChargeType": "PostPaid"},
            {"MultiAttach": "Disabled"},
            {"Encrypted": False, "EnableShared": False, "EnableAutoSnapshot": True, "DeleteAutoSnapshot": False},
            {"EnableAutomatedSnapshotPolicy": False},
            {"AdditionalAttributes.1": "IOPS"},
        ],
    )
    def test_keeps_all_where_a_filter_says_what_all_are(self, cloud, filters):
        wanted = a_disk(cloud)

        assert listed(cloud, filters) == [wanted.id]

    @pytest.mark.parametrize(
        "filters",
        [
            {"Encrypted": True},
            {"KMSKeyId": "k"},
            {"DiskChargeType": "PrePaid"},
            {"LockReason": "security"},
            {"MultiAttach": "Enabled"},
            {"EnableShared": True},
            {"AutoSnapshotPolicyId": "sp-1"},
            {"EnableAutoSnapshot": False},
            {"EnableAutomatedSnapshotPolicy": True},
            {"DeleteAutoSnapshot": True},
            {"Category": "local_ssd_pro"},
        ],
    )
    def test_finds_nothing_of_what_there_is_none_of(self, cloud, filters):
        a_disk(cloud)

        assert listed(cloud, filters) == []

    def test_keeps_what_has_all_the_tags(self, cloud):
        one, two, _ = (a_disk(cloud) for _ in range(3))
        tag(cloud, one, team="web", stage="")
        tag(cloud, two, team="web")

        assert listed(cloud, {"Tag.1.Key": "team", "Tag.1.Value": "web"}) == [two.id, one.id]
        assert listed(cloud, {"Tag.1.key": "team", "Tag.2.Key": "stage"}) == [one.id]

    def test_keeps_what_was_made_between_two_times(self, cloud):
        a_disk(cloud, created_at=1_795_000_000.0 - 86_400)
        wanted = a_disk(cloud, created_at=1_795_000_000.0)

        assert listed(cloud, {"Filter.1.Key": "CreationStartTime", "Filter.1.Value": "2026-11-18T00:00Z"}) == [
            wanted.id
        ]


class TestPages:
    def test_pages_by_number(self, cloud):
        made = [a_disk(cloud).id for _ in range(3)][::-1]

        assert [listed(cloud, PageNumber=n, PageSize=2) for n in (1, 2)] == [made[:2], made[2:]]

    def test_pages_by_token(self, cloud):
        made = [a_disk(cloud).id for _ in range(12)][::-1]

        first = cloud.call("DescribeDisks", MaxResults=1)
        second = cloud.call("DescribeDisks", MaxResults=1, NextToken=first["NextToken"])

        got = [one["DiskId"] for page in (first, second) for one in page["Disks"]["Disk"]]
        assert (got, first["PageSize"], second["NextToken"]) == (made, 10, "")

    def test_counts_more_than_500_results_as_500(self, cloud):
        assert cloud.call("DescribeDisks", MaxResults=501)["PageSize"] == 500


class TestDryRun:
    def test_says_that_all_is_well(self, cloud):
        cloud.refuses("DescribeDisks", "DryRunOperation", 400, DryRun=True)

    def test_says_what_is_not(self, cloud):
        cloud.refuses("DescribeDisks", "InvalidTag.Mismatch", 400, {"Tag.1.Value": "lonely"}, DryRun=True)


class TestRefusals:
    def test_refuses_no_region(self, cloud):
        cloud.refuses("DescribeDisks", "MissingParamter.RegionId", 400, RegionId=None)

    @pytest.mark.parametrize(
        ("filters", "code", "status"),
        [
            ({"RegionId": "nowhere"}, "InvalidRegion.NotFound", 400),
            ({"ZoneId": "nowhere-a"}, "InvalidZoneId.NotFound", 400),
            ({"DiskType": "floppy"}, "InvalidDiskType.ValueNotSupported", 400),
            ({"Category": "floppy"}, "InvalidCategory.ValueNotSupported", 400),
            ({"Status": "Lost"}, "InvalidStatus.ValueNotSupported", 400),
            ({"DiskChargeType": "Free"}, "InvalidDiskChargeType.NotFound", 404),
            ({"LockReason": "whim"}, "InvalidLockReason.NotFound", 404),
            ({"MultiAttach": "Perhaps"}, "InvalidParameter.MultiAttach", 403),
            ({"DiskIds": json.dumps([f"d-{n}" for n in range(101)])}, "InvalidDiskIds.Malformed", 403),
            ({"DiskIds": '{"a": 1}'}, "InvalidParameter.DiskIds", 400),
            ({"PageSize": 101}, "InvalidParameter", 400),
            ({"NextToken": "nonsense"}, "InvalidParameter", 400),
            ({"Filter.1.Key": "Colour", "Filter.1.Value": "red"}, "InvalidFilterKey.NotFound", 404),
            ({"Filter.1.Key": "CreationEndTime", "Filter.1.Value": "noon"}, "InvalidFilterValue", 404),
            ({"Tag.1.Value": "lonely"}, "InvalidTag.Mismatch", 400),
            ({f"Tag.{n}.Key": "k" for n in range(1, 22)}, "InvalidTagCount", 400),
        ],
    )
    def test_refuses_filters_that_make_no_sense(self, cloud, filters, code, status):
        cloud.refuses("DescribeDisks", code, status, filters)


def test_shows_what_was_asked_for_and_changes_nothing(cloud):
    """What only costs is accepted by everything that makes a disk, and comes back."""
    asked = {"BurstingEnabled": True, "ProvisionedIops": 500, "StorageClusterId": "dbsc-1"}
    of_set = {"StorageSetId": "ss-1", "StorageSetPartitionNumber": 2}
    made = cloud.call("CreateDisk", {**asked, **of_set}, ZoneId=REGION + "-a", Size=20)["DiskId"]
    image = cloud.call("CreateImage", SnapshotId=a_snapshot(cloud).id)["ImageId"]
    system = {f"SystemDisk.{name}": value for name, value in asked.items()}
    data = {f"DataDisk.1.{name}": value for name, value in {**asked, "Size": 20}.items()}
    cloud.call("RunInstances", {**system, **data, **of_set}, ImageId=image, InstanceType="ecs.t5-lc2m1.nano")

    rows = cloud.call("DescribeDisks")["Disks"]["Disk"]

    assert len(rows) == 3
    assert made in {row["DiskId"] for row in rows}
    for row in rows:
        assert {name: row[name] for name in (*asked, *of_set)} == {**asked, **of_set}
