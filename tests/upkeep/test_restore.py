"""What was deleted comes back as it was, or it is said why it cannot."""

from __future__ import annotations

import json

import pytest

from kiln.calls.grace import Grace
from kiln.store.disks import disks
from kiln.store.images import images
from kiln.store.snapshots import snapshots
from kiln.store.tasks import tasks
from kiln.store.trash import discards, tombstones
from kiln.store.volumes import volumes
from kiln.upkeep.keeper import release_snapshots
from kiln.upkeep.restore import NotRestorable, prepare, prepare_to_empty
from kiln.upkeep.sweep import sweep
from kiln.upkeep.trash import relieve
from kiln.upkeep.waiting import list_waiting
from tests.clouds import ACCOUNT, Cloud
from tests.operations.resource_groups.groups import a_resource_group, default_group
from tests.pools.patterns import holds, put
from tests.reading import every, find, the
from tests.stock import a_disk, a_policy, a_snapshot, an_instance
from tests.upkeep.test_trash import HOUR, PoolOfRoom, Watch, look, serve, trashed


@pytest.fixture
def watch():
    return Watch()


@pytest.fixture
def kept(cloud, watch):
    """A Kiln with a grace of an hour, and enough room."""
    cloud.refit(pool=PoolOfRoom(cloud.folder / "pool"), grace=Grace(HOUR, watch))
    return cloud


def ask(cloud: Cloud, wanted: str) -> None:
    """Restore it."""
    cloud.ports.database.write(lambda tx: prepare(tx, cloud.ports, wanted))
    cloud.settle()
    assert [task for task in cloud.open_tasks() if task.action == "RestoreTrash"] == []


def keep(cloud: Cloud) -> None:
    """Sweep and carry out the merges that it leads to."""
    for _ in range(20):
        sweep(cloud.ports)
        cloud.settle()
        cloud.clock.now += 1  # A merge waits for another's half a second.


def an_image_of_two_disks(cloud: Cloud) -> tuple[str, list[str]]:
    """An image of an instance that is gone, and its snapshots; their volumes hold 1 and 2."""
    instance = an_instance(cloud, data_disks=1)
    ordered = sorted(every(cloud, disks, instance=instance.id), key=lambda disk: disk.device)
    for n, disk in enumerate(ordered, 1):
        put(cloud.ports.pool, disk.volume, {0: n})
    image = cloud.call("CreateImage", {"Tag.1.Key": "a", "Tag.1.Value": "b"}, InstanceId=instance.id, ImageName="web")
    cloud.settle()
    cloud.call("DeleteInstance", InstanceId=instance.id)
    cloud.settle()
    made = {row.source_disk: row.id for row in every(cloud, snapshots)}
    return image["ImageId"], [made[disk.id] for disk in ordered]


def delete_all(cloud: Cloud, image: str, of: list[str]) -> None:
    cloud.call("DeleteImage", ImageId=image)
    for snapshot in of:
        cloud.call("DeleteSnapshot", SnapshotId=snapshot)
    keep(cloud)


def test_brings_an_image_back_with_its_snapshots_and_their_bytes(kept):
    image, of = an_image_of_two_disks(kept)
    before = kept.call("DescribeImages", ImageId=image)["Images"]["Image"]
    delete_all(kept, image, of)
    assert list(kept.ports.pool.volumes()) == every(kept, volumes) == []
    assert kept.call("DescribeImages", ImageId=image)["Images"]["Image"] == []

    ask(kept, image)

    assert kept.call("DescribeImages", ImageId=image)["Images"]["Image"] == before
    for n, snapshot in enumerate(of, 1):
        assert holds(kept.ports.pool, the(kept, snapshots, id=snapshot).volume, {0: n})
    assert trashed(kept) != [] or every(kept, tombstones, noun="image") == []
    keep(kept)
    assert look(kept) == []
    run = kept.call("RunInstances", ImageId=image, InstanceType="ecs.t5-lc1m1.small", Amount=1)
    kept.settle()
    assert run["InstanceIdSets"]["InstanceIdSet"]


def test_lets_what_came_back_be_deleted_again(kept):
    image, of = an_image_of_two_disks(kept)
    for _ in range(2):
        delete_all(kept, image, of)
        ask(kept, image)

    assert the(kept, images, id=image).name == "web"


def test_brings_back_what_was_merged_away_meanwhile(kept):
    """Snapshots of one disk stand on each other; the lower one was taken in by the upper, and both read as they did."""
    disk = a_disk(kept)
    made = []
    for n in (1, 2, 3):
        put(kept.ports.pool, the(kept, disks, id=disk.id).volume, {n: n})
        made.append(kept.call("CreateSnapshot", DiskId=disk.id)["SnapshotId"])
        kept.settle()
    kept.call("DeleteSnapshot", SnapshotId=made[1])
    kept.call("DeleteSnapshot", SnapshotId=made[0])
    keep(kept)
    assert len(every(kept, volumes)) == 2

    ask(kept, made[1])
    ask(kept, made[0])
    keep(kept)

    for n, snapshot in enumerate(made, 1):
        blocks = {at: at for at in range(1, n + 1)}
        assert holds(kept.ports.pool, the(kept, snapshots, id=snapshot).volume, blocks)
    assert holds(kept.ports.pool, the(kept, disks, id=disk.id).volume, {1: 1, 2: 2, 3: 3})
    assert look(kept) == []


def test_brings_back_a_snapshot_whose_volume_others_kept(kept):
    snapshot = a_snapshot(kept, source_disk_type="data")
    kept.call("CreateDisk", SnapshotId=snapshot.id, ZoneId=snapshot.region + "-a")
    kept.call("CreateDisk", SnapshotId=snapshot.id, ZoneId=snapshot.region + "-a")
    kept.settle()
    kept.call("DeleteSnapshot", SnapshotId=snapshot.id, Force=True)
    keep(kept)
    assert trashed(kept) == []

    ask(kept, snapshot.id)

    assert the(kept, snapshots, id=snapshot.id) == snapshot
    assert look(kept) == []


def test_brings_a_disk_back_attached_to_nothing(kept):
    disk = a_disk(kept, name="data")
    put(kept.ports.pool, disk.volume, {3: 3})
    kept.call("DeleteDisk", DiskId=disk.id)
    keep(kept)

    ask(kept, disk.id)

    assert the(kept, disks, id=disk.id) == disk
    assert holds(kept.ports.pool, disk.volume, {3: 3})
    assert look(kept) == []


def test_brings_back_without_what_it_named_and_is_gone(kept):
    """A disk would seem to be backed up by a policy, and to be in a group that no list has."""
    group, policy = a_resource_group(kept), a_policy(kept)
    named = {"resource_group": group, "snapshot_policy": policy.id}
    lost, held = (a_disk(kept, **one) for one in (named, {"resource_group": default_group(kept)}))
    snapshot = a_snapshot(kept, resource_group=group)
    for disk in (lost, held):
        kept.call("DeleteDisk", DiskId=disk.id)
    kept.call("DeleteSnapshot", SnapshotId=snapshot.id)
    kept.call("DeleteResourceGroup", ResourceGroupId=group)
    kept.call("DeleteAutoSnapshotPolicy", {"autoSnapshotPolicyId": policy.id, "regionId": policy.region})
    keep(kept)

    for one in (lost, held, snapshot):
        ask(kept, one.id)

    back = the(kept, disks, id=lost.id)
    assert (back.resource_group, back.snapshot_policy) == ("", "")
    assert the(kept, snapshots, id=snapshot.id).resource_group == ""
    assert the(kept, disks, id=held.id) == held


def test_brings_back_the_disks_of_an_instance_as_those_that_outlived_it(kept):
    instance = an_instance(kept, data_disks=1)
    of = {disk.id: disk for disk in every(kept, disks, instance=instance.id)}
    kept.call("DeleteInstance", InstanceId=instance.id)
    kept.settle()
    keep(kept)

    for disk in of:
        ask(kept, disk)

    for disk in every(kept, disks):
        assert (disk.status, disk.instance, disk.device, disk.type) == ("Available", None, "", "data")
        assert disk.was_system == (of[disk.id].type == "system")
    assert look(kept) == []


def test_brings_back_a_system_disk_that_was_replaced(kept):
    image, _ = an_image_of_two_disks(kept)
    kept.call("ModifyImageAttribute", ImageId=image, ImageName="web")
    snapshot = a_snapshot(kept)
    other = kept.call("CreateImage", SnapshotId=snapshot.id)["ImageId"]
    instance = an_instance(kept)
    old = the(kept, disks, instance=instance.id)
    put(kept.ports.pool, old.volume, {5: 5})
    kept.call("ReplaceSystemDisk", InstanceId=instance.id, ImageId=other)
    kept.settle()
    keep(kept)

    ask(kept, old.id)

    assert the(kept, disks, id=old.id).status == "Available"
    assert holds(kept.ports.pool, old.volume, {5: 5})


def test_brings_back_a_snapshot_that_was_released_by_itself(kept):
    old = a_snapshot(kept, retention_days=1, created_at=kept.clock.now - 2 * 86400)
    assert release_snapshots(kept.ports) == [old.id]
    keep(kept)

    ask(kept, old.id)

    assert the(kept, snapshots, id=old.id) == old


def refuses(cloud: Cloud, wanted: str, words: str) -> None:
    before = cloud.contents()
    with pytest.raises(NotRestorable, match=words):
        cloud.ports.database.write(lambda tx: prepare(tx, cloud.ports, wanted))
    assert cloud.contents() == before


def test_refuses_a_name_that_is_taken_by_now(kept):
    image, of = an_image_of_two_disks(kept)
    kept.call("DeleteImage", ImageId=image)
    kept.call("CreateImage", SnapshotId=of[0], ImageName="web")

    refuses(kept, image, "named web")


def test_refuses_what_is_not_deleted_or_was_never_there(kept):
    disk = a_disk(kept)

    refuses(kept, disk.id, "is not deleted")
    refuses(kept, "m-never", "no ID m-never in the trash")


def test_refuses_what_is_being_restored_already(kept):
    disk = a_disk(kept)
    kept.call("DeleteDisk", DiskId=disk.id)
    keep(kept)
    kept.ports.database.write(lambda tx: prepare(tx, kept.ports, disk.id))

    refuses(kept, disk.id, "already")
    kept.settle()
    refuses(kept, disk.id, "is not deleted")


@pytest.mark.parametrize("first", ["restore", "empty"])
def test_brings_back_what_was_promised_though_all_is_emptied_meanwhile(kept, first):
    image, of = an_image_of_two_disks(kept)
    delete_all(kept, image, of)
    orders = {
        "restore": lambda tx: prepare(tx, kept.ports, image),
        "empty": lambda tx: prepare_to_empty(tx, kept.ports, (), None),
    }
    for order in sorted(orders, key=lambda order: order != first):
        kept.ports.database.write(orders[order])
    # The emptying comes first, whichever was asked for first.
    for task in sorted(kept.open_tasks(), key=lambda task: task.action):
        kept.worker.attempt(task)

    assert {row.status for row in every(kept, tasks)} == {"Finished"}
    assert the(kept, images, id=image).status == "Available"
    assert [holds(kept.ports.pool, the(kept, snapshots, id=one).volume, {0: n}) for n, one in enumerate(of, 1)] == [
        True,
        True,
    ]


def test_brings_back_what_was_promised_though_its_grace_ends_meanwhile(kept, watch):
    image, of = an_image_of_two_disks(kept)
    delete_all(kept, image, of)
    kept.ports.database.write(lambda tx: prepare(tx, kept.ports, image))

    serve(kept, watch, 2 * HOUR)
    kept.settle()

    assert the(kept, images, id=image).status == "Available"


def test_refuses_to_empty_what_is_being_restored(kept):
    image, of = an_image_of_two_disks(kept)
    delete_all(kept, image, of)
    kept.ports.database.write(lambda tx: prepare(tx, kept.ports, image))

    with pytest.raises(NotRestorable, match="is being restored"):
        kept.ports.database.write(lambda tx: prepare_to_empty(tx, kept.ports, [image], None))


def test_refuses_what_is_being_given_back_or_was(kept):
    disk = a_disk(kept)
    kept.call("DeleteDisk", DiskId=disk.id)
    keep(kept)
    kept.ports.database.write(lambda tx: discards.update(tx, {"is_leaving": True}, id=disk.volume))
    refuses(kept, disk.id, "given back")

    relieve(kept.ports, 1)

    refuses(kept, disk.id, "given back")
    with kept.ports.database.read() as tx:
        (entry,) = list_waiting(tx, kept.ports).entries
    assert (entry.id, entry.is_restorable, entry.allocated_bytes) == (disk.id, False, 0)


def test_refuses_what_a_newer_kiln_deleted(kept):
    disk = a_disk(kept)
    kept.call("DeleteDisk", DiskId=disk.id)
    rows = json.dumps({"version": 2, "rows": {}})
    kept.ports.database.write(lambda tx: tombstones.update(tx, {"rows": rows}, id=disk.id))

    refuses(kept, disk.id, "newer Kiln")


def test_leaves_what_cannot_come_back_as_it_was(kept):
    """Somebody has taken the file away: the task fails, and nothing is half there."""
    disk = a_disk(kept)
    kept.call("DeleteDisk", DiskId=disk.id)
    keep(kept)
    (kept.folder / "pool" / "trash" / f"{disk.volume}.qcow2").unlink()

    kept.ports.database.write(lambda tx: prepare(tx, kept.ports, disk.id))
    for _ in range(20):
        kept.clock.now += 60
        kept.settle()
    keep(kept)

    assert find(kept, disks, id=disk.id) is None
    assert every(kept, volumes) == []
    assert look(kept) == []


def test_reads_tombstones_of_an_older_kiln_leniently(kept):
    disk = a_disk(kept)
    kept.call("DeleteDisk", DiskId=disk.id)
    stone = the(kept, tombstones, id=disk.id)
    facts = json.loads(stone.rows)
    (row,) = facts["rows"]["disks"]
    del row["performance_level"], row["home"]
    row["of_a_newer_one"] = 1
    kept.ports.database.write(lambda tx: tombstones.update(tx, {"rows": json.dumps(facts)}, id=disk.id))
    keep(kept)

    ask(kept, disk.id)

    assert the(kept, disks, id=disk.id) == disk


def test_forgets_with_the_grace_and_lists_until_then(kept, watch):
    image, of = an_image_of_two_disks(kept)
    keep(kept)
    delete_all(kept, image, of)

    with kept.ports.database.read() as tx:
        waiting = list_waiting(tx, kept.ports)
    listed = {entry.id: entry for entry in waiting.entries}
    assert {image, *of} <= listed.keys()
    assert listed[image].name == "web"
    assert listed[image].account == ACCOUNT
    assert listed[image].is_restorable
    assert listed[image].allocated_bytes == sum(listed[one].allocated_bytes for one in of) > 0
    assert waiting.allocated_bytes == sum(e.allocated_bytes for e in waiting.entries if e.noun != "image")
    assert abs(listed[image].until - kept.clock.now - HOUR) < 60
    serve(kept, watch, HOUR + 240)

    assert every(kept, tombstones) == every(kept, discards) == []
    assert trashed(kept) == []


def test_keeps_nothing_without_a_grace(kept, watch):
    kept.refit(grace=Grace(0.0, watch))
    disk = a_disk(kept)

    kept.call("DeleteDisk", DiskId=disk.id)
    sweep(kept.ports)

    assert every(kept, tombstones) == []
    assert trashed(kept) == []


def test_empties_what_is_asked_for(kept):
    first, second = a_disk(kept), a_disk(kept)
    kept.call("DeleteDisk", DiskId=first.id)
    keep(kept)
    kept.clock.now += 100
    kept.call("DeleteDisk", DiskId=second.id)
    keep(kept)

    def empty(ids=(), older_than=None):
        kept.ports.database.write(lambda tx: prepare_to_empty(tx, kept.ports, ids, older_than))
        kept.settle()

    with pytest.raises(NotRestorable, match="so long"):
        empty([second.id], 50.0)
    empty((), 50.0)
    assert trashed(kept) == [second.volume]
    with pytest.raises(NotRestorable):
        empty(["d-never"])
    empty([second.id])
    assert trashed(kept) == []
    assert every(kept, tombstones) == []
    empty()


def test_answers_not_found_until_it_is_back(kept):
    disk = a_disk(kept)
    kept.call("DeleteDisk", DiskId=disk.id)

    kept.refuses("DeleteDisk", "InvalidDiskId.NotFound", 404, DiskId=disk.id)


class TestACopyAndItsSource:
    """A snapshot and its copy name one layer, which waits for as long as one of them does."""

    @pytest.fixture
    def both(self, kept):
        """The two, deleted."""
        source = a_snapshot(kept)
        put(kept.ports.pool, source.volume, {0: 7})
        copy = kept.call("CopySnapshot", SnapshotId=source.id)["SnapshotId"]
        for one in (source.id, copy):
            kept.call("DeleteSnapshot", SnapshotId=one)
        keep(kept)
        assert trashed(kept) == [source.volume]
        return [source.id, copy]

    @pytest.mark.parametrize("first", [0, 1])
    def test_come_back_one_after_the_other(self, kept, both, first):
        for one in (both[first], both[1 - first]):
            ask(kept, one)
            assert holds(kept.ports.pool, the(kept, snapshots, id=one).volume, {0: 7})

        assert len(every(kept, snapshots)) == 2
        assert every(kept, discards) == []

    @pytest.mark.parametrize("first", [0, 1])
    def test_one_comes_back_though_the_other_was_given_up(self, kept, both, first):
        kept.ports.database.write(lambda tx: prepare_to_empty(tx, kept.ports, [both[first]], None))
        kept.settle()
        refuses(kept, both[first], "no ID")

        ask(kept, both[1 - first])

        assert holds(kept.ports.pool, the(kept, snapshots, id=both[1 - first]).volume, {0: 7})

    def test_both_given_up_leave_nothing(self, kept, both):
        kept.ports.database.write(lambda tx: prepare_to_empty(tx, kept.ports, both, None))
        kept.settle()

        assert trashed(kept) == []
        assert every(kept, tombstones) == []
