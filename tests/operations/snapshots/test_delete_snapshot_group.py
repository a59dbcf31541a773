"""DeleteSnapshotGroup, as a caller meets it."""

from __future__ import annotations

from kiln.calls.grace import Grace
from kiln.store import tags
from kiln.store.snapshot_groups import snapshot_groups
from kiln.store.snapshots import snapshots
from kiln.upkeep.restore import prepare
from kiln.upkeep.sweep import sweep
from tests.clouds import ACCOUNT, OTHER
from tests.reading import every, find, the
from tests.stock import a_disk, a_snapshot, a_snapshot_group, an_instance


def a_group_of(cloud, *kinds):
    group = a_snapshot_group(cloud)
    return group, [a_snapshot(cloud, snapshot_group=group.id, source_disk_type=kind) for kind in kinds]


def deleted(cloud, group):
    """What became of each snapshot."""
    answer = cloud.call("DeleteSnapshotGroup", SnapshotGroupId=group.id)
    told = answer["OperationProgressSet"]["OperationProgress"]
    return {
        one["RelatedItemSet"]["RelatedItem"][0]["Value"]: (one["OperationStatus"], one["ErrorCode"]) for one in told
    }


def test_deletes_the_group_its_snapshots_and_their_tags(cloud):
    group, taken = a_group_of(cloud, "system", "data")
    other = a_snapshot(cloud)
    for noun, resource in (("snapshotgroup", group.id), ("snapshot", taken[0].id)):
        cloud.ports.database.write(lambda tx, n=noun, r=resource: tags.put(tx, ACCOUNT, n, r, {"a": "b"}))

    assert deleted(cloud, group) == {one.id: ("Success", "") for one in taken}

    assert every(cloud, snapshot_groups) == []
    assert [one.id for one in every(cloud, snapshots)] == [other.id]
    assert every(cloud, tags.tags) == []


def test_leaves_what_an_image_or_a_disk_was_made_of_and_says_so(cloud):
    group, (system, data, free) = a_group_of(cloud, "system", "data", "data")
    cloud.call("CreateImage", SnapshotId=system.id)
    a_disk(cloud, source_snapshot=data.id)

    assert deleted(cloud, group) == {
        system.id: ("Failed", "SnapshotCreatedImage"),
        data.id: ("Failed", "SnapshotCreatedDisk"),
        free.id: ("Success", ""),
    }

    assert every(cloud, snapshot_groups) == []
    assert {one.id: one.snapshot_group for one in every(cloud, snapshots)} == {system.id: "", data.id: ""}


def test_refuses_when_all_would_stay(cloud):
    group, (system,) = a_group_of(cloud, "system")
    cloud.call("CreateImage", SnapshotId=system.id)

    cloud.refuses("DeleteSnapshotGroup", "SnapshotCreatedImage", 403, SnapshotGroupId=group.id)


def test_refuses_when_disks_were_made_of_all(cloud):
    group, (data,) = a_group_of(cloud, "data")
    a_disk(cloud, source_snapshot=data.id)

    cloud.refuses("DeleteSnapshotGroup", "SnapshotCreatedDisk", 403, SnapshotGroupId=group.id)


def test_cancels_a_group_that_is_progressing(cloud):
    instance = an_instance(cloud, data_disks=1)
    group = cloud.call("CreateSnapshotGroup", InstanceId=instance.id)["SnapshotGroupId"]

    cloud.call("DeleteSnapshotGroup", SnapshotGroupId=group)
    cloud.settle()

    assert every(cloud, snapshots) == []
    assert cloud.open_tasks() == []


def test_deletes_a_group_that_is_empty(cloud):
    assert deleted(cloud, a_snapshot_group(cloud)) == {}


def test_its_snapshots_can_be_had_back_and_are_in_no_group_then(cloud):
    cloud.refit(grace=Grace(3600.0))
    group, (one,) = a_group_of(cloud, "data")
    deleted(cloud, group)
    sweep(cloud.ports)

    cloud.ports.database.write(lambda tx: prepare(tx, cloud.ports, one.id))
    cloud.settle()

    assert the(cloud, snapshots, id=one.id).snapshot_group == ""


def test_refuses_an_unknown_group(cloud):
    cloud.refuses("DeleteSnapshotGroup", "InvalidSnapshotGroup.NotFound", 404, SnapshotGroupId="ssg-unknown")


def test_refuses_the_group_of_another_account(cloud):
    group = a_snapshot_group(cloud, account=OTHER)

    cloud.refuses("DeleteSnapshotGroup", "InvalidSnapshotGroup.NotFound", 404, SnapshotGroupId=group.id)
    assert find(cloud, snapshot_groups, id=group.id) is not None
