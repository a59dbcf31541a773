"""fsck: names what is wrong, mends what a crash may leave, and says of the rest what is lost."""

from __future__ import annotations

import os

import pytest

from kiln.declare.ids import new_id
from kiln.ground import killpoints
from kiln.ground.units import KiB
from kiln.store.accounts import accounts, resource_groups
from kiln.store.disks import disks
from kiln.store.snapshot_groups import snapshot_groups
from kiln.store.snapshot_policies import snapshot_policies
from kiln.store.snapshots import snapshots
from kiln.store.tasks import tasks
from kiln.store.volumes import Volume, volumes
from kiln.tasks.worker import TRIES
from kiln.upkeep.findings import is_well
from kiln.upkeep.fsck import fsck
from kiln.upkeep.sweep import sweep
from tests.clouds import ACCOUNT, REGION, Cloud
from tests.operations.resource_groups.groups import a_resource_group
from tests.pools.patterns import put
from tests.reading import every
from tests.ring import another
from tests.stock import a_disk, a_policy, a_snapshot, an_instance


def look(cloud: Cloud, *, repair: bool = True) -> list[tuple[str, str]]:
    return [(f.sort, f.subject) for f in fsck(cloud.ports, repair=repair, say=lambda _: None)]


def test_finds_nothing_when_all_is_well(cloud):
    an_instance(cloud, data_disks=1)
    a_snapshot(cloud)

    assert look(cloud) == []


def test_removes_what_was_half_made(cloud):
    draft = cloud.folder / "pool" / ".tmp-left"
    draft.touch()

    assert look(cloud, repair=False) == [("repairable", ".tmp-left")]
    assert draft.exists()
    assert look(cloud) == [("repaired", ".tmp-left")]
    assert not draft.exists()


def test_says_what_is_lost_with_a_missing_volume(cloud):
    disk = a_disk(cloud)
    (cloud.folder / "pool" / f"{disk.volume}.qcow2").unlink()

    found = fsck(cloud.ports, repair=True, say=lambda _: None)

    assert {f.subject for f in found if f.sort == "broken"} == {disk.volume, disk.id}
    assert not is_well(found)


def test_sees_a_damaged_volume(cloud):
    disk = a_disk(cloud)
    path = cloud.folder / "pool" / f"{disk.volume}.qcow2"
    with path.open("r+b") as file:
        file.seek(0)
        file.write(b"not a volume")

    assert ("broken", disk.volume) in look(cloud)


def test_sees_an_image_whose_snapshot_is_gone(cloud):
    snapshot = a_snapshot(cloud)
    image_id = cloud.call("CreateImage", SnapshotId=snapshot.id)["ImageId"]
    (cloud.folder / "pool" / f"{snapshot.volume}.qcow2").unlink()

    assert ("broken", snapshot.id) in look(cloud)
    assert image_id


def test_takes_away_what_was_planned_and_nobody_makes(cloud):
    disk = a_disk(cloud)
    cloud.ports.database.write(lambda tx: disks.delete(tx, id=disk.id))
    cloud.ports.database.write(
        lambda tx: volumes.update(tx, {"state": "planned", "task": new_id("task")}, id=disk.volume)
    )

    assert look(cloud, repair=False) == [("repairable", disk.volume)]
    assert look(cloud) == [("repaired", disk.volume)]
    sweep(cloud.ports)
    assert not cloud.ports.pool.exists(disk.volume)


def test_leaves_what_was_planned_and_is_named(cloud):
    """The sweeper drops what is doomed without asking who names it."""
    disk = a_disk(cloud)
    cloud.ports.database.write(lambda tx: volumes.update(tx, {"state": "planned"}, id=disk.volume))

    assert look(cloud) == [("broken", disk.volume)]
    sweep(cloud.ports)
    assert cloud.ports.pool.exists(disk.volume)


@pytest.mark.parametrize("namer", ["a volume", "a snapshot", "a disk"])
def test_keeps_what_was_to_be_given_back_and_is_needed(cloud, namer):
    """The sweeper never finishes that, and nothing is merged with it or made of it any more."""
    if namer == "a disk":
        needed = a_disk(cloud).volume
    else:
        needed, _ = two_layers(cloud)
        if namer == "a snapshot":
            a_snapshot(cloud, volume=needed)
    cloud.ports.database.write(lambda tx: volumes.update(tx, {"state": "doomed"}, id=needed))
    cloud.ports.database.write(tasks.delete)

    assert ("repairable", needed) in look(cloud, repair=False)
    assert ("repaired", needed) in look(cloud)
    with cloud.ports.database.read() as tx:
        row = volumes.find(tx, id=needed)
    assert (row.state, row.kind) == ("ready", "head" if namer == "a disk" else "layer")
    assert look(cloud) == []
    sweep(cloud.ports)
    assert cloud.ports.pool.exists(needed)


def test_says_what_is_lost_with_a_missing_volume_that_was_to_be_given_back_and_is_needed(cloud):
    disk = a_disk(cloud)
    cloud.ports.database.write(lambda tx: volumes.update(tx, {"state": "doomed"}, id=disk.volume))
    (cloud.folder / "pool" / f"{disk.volume}.qcow2").unlink()

    assert ("broken", disk.volume) in look(cloud)


def test_leaves_to_the_sweeper_what_is_needed_by_what_goes_too(cloud):
    lower, upper = two_layers(cloud)
    cloud.ports.database.write(tasks.delete)
    cloud.ports.database.write(lambda tx: volumes.update(tx, {"state": "doomed"}, volumes.c.id.in_([lower, upper])))
    cloud.ports.database.write(lambda tx: (snapshots.delete(tx), volumes.delete(tx, parent=upper), disks.delete(tx)))

    found = look(cloud, repair=False)

    assert ("pending", lower) in found
    assert ("pending", upper) in found


def test_lists_work_that_was_cut_short(cloud):
    instance = an_instance(cloud)
    image_id = cloud.call("CreateImage", InstanceId=instance.id)["ImageId"]

    assert look(cloud) == [("pending", image_id)]
    cloud.settle()
    assert look(cloud) == []


def test_lists_a_disk_that_is_still_to_grow(cloud):
    """Its row tells the new size from the start, and one task after the other makes it true."""
    disk = a_disk(cloud)
    cloud.call("ResizeDisk", DiskId=disk.id, NewSize=disk.size_gib + 5)
    cloud.call("ResizeDisk", DiskId=disk.id, NewSize=disk.size_gib + 10)

    assert look(cloud) == [("pending", disk.id)] * 2
    cloud.worker.attempt(cloud.worker.claim(cloud.clock())[0])
    assert look(cloud) == [("pending", disk.id)]
    cloud.settle()
    assert look(cloud) == []


def test_sees_a_disk_that_is_smaller_than_before_it_was_to_grow(cloud):
    disk = a_disk(cloud)
    cloud.call("ResizeDisk", DiskId=disk.id, NewSize=disk.size_gib + 5)
    path = cloud.folder / "pool" / f"{disk.volume}.qcow2"
    path.unlink()
    cloud.ports.pool.create(disk.volume, 1024 * 1024)

    assert look(cloud) == [("pending", disk.id), ("broken", disk.volume)]


def a_layer(cloud: Cloud, made: str) -> Volume:
    """A layer of an Available image, which was captured or imported."""
    if made == "captured":
        cloud.call("CreateImage", InstanceId=an_instance(cloud).id)
    else:
        bucket = cloud.folder / "buckets" / "images"
        bucket.mkdir(parents=True)
        (bucket / "disk.raw").write_bytes(b"kiln" * 256 * KiB)
        ask = {"DiskDeviceMapping.1.OSSBucket": "images", "DiskDeviceMapping.1.OSSObject": "disk.raw"}
        cloud.call("ImportImage", ask)
    cloud.settle()
    with cloud.ports.database.read() as tx:
        (layer,) = volumes.all(tx, kind="layer")
    return layer


@pytest.mark.parametrize("made", ["captured", "imported"])
@pytest.mark.parametrize("change", [-130_000, -512, -1, 1, 128 * KiB])
def test_sees_a_layer_whose_file_is_shorter_or_longer_than_it_was(cloud, made, change):
    """What qemu-img finds nothing amiss with: clusters beyond the end read as zeros."""
    layer = a_layer(cloud, made)
    path = cloud.folder / "pool" / f"{layer.id}.qcow2"
    length = path.stat().st_size
    assert look(cloud) == []
    path.chmod(0o600)
    os.truncate(path, length + change)

    found = fsck(cloud.ports, repair=True, say=lambda _: None)

    assert (found[0].sort, found[0].subject) == ("broken", layer.id)
    assert found[0].text == f"its file has {length + change} bytes, not {length}"


def test_knows_nothing_of_the_length_of_an_older_kilns_layer(cloud):
    layer = a_layer(cloud, "captured")
    cloud.ports.database.write(lambda tx: volumes.update(tx, {"file_bytes": None}, id=layer.id))
    path = cloud.folder / "pool" / f"{layer.id}.qcow2"
    path.chmod(0o600)
    os.truncate(path, path.stat().st_size + 1)

    assert look(cloud) == []


def two_layers(cloud: Cloud) -> tuple[str, str]:
    """The lower of two layers, which nothing names and which holds a MiB, and the one that is to take it in."""
    instance = an_instance(cloud)
    with cloud.ports.database.read() as tx:
        (disk,) = disks.all(tx, instance=instance.id)
    put(cloud.ports.pool, disk.volume, dict.fromkeys(range(16), 7))
    for _ in range(2):
        cloud.call("CreateSnapshot", DiskId=disk.id)
        cloud.settle()
    with cloud.ports.database.read() as tx:
        (upper,) = volumes.all(tx, parent=disk.volume)
    cloud.ports.database.write(lambda tx: snapshots.delete(tx, volume=disk.volume))
    sweep(cloud.ports)
    return disk.volume, upper.id


def file_bytes(cloud: Cloud, volume: str) -> int | None:
    with cloud.ports.database.read() as tx:
        return volumes.find(tx, id=volume).file_bytes


def test_knows_how_long_a_layer_is_that_took_another_in(cloud):
    _, upper = two_layers(cloud)
    before = file_bytes(cloud, upper)

    cloud.settle()
    sweep(cloud.ports)

    assert file_bytes(cloud, upper) == cloud.ports.pool.length(upper)
    assert file_bytes(cloud, upper) != before
    assert look(cloud) == []


def test_expects_no_length_of_a_layer_whose_merge_was_given_up(cloud):
    """QEMU may have copied some of it by then."""
    _, upper = two_layers(cloud)

    def fail(point: str) -> None:
        if point == "merge.begun":
            raise RuntimeError

    killpoints.listen(fail)
    try:
        for _ in range(TRIES):
            cloud.clock.now += 60
            cloud.settle()
    finally:
        killpoints.listen(None)

    assert cloud.open_tasks() == []
    path = cloud.folder / "pool" / f"{upper}.qcow2"
    path.chmod(0o600)
    os.truncate(path, path.stat().st_size + 128 * KiB)
    assert look(cloud) == []


def test_forgets_the_length_of_a_layer_whose_merge_it_records(cloud):
    lower, upper = two_layers(cloud)
    cloud.ports.pool.absorb(upper, None)
    cloud.ports.database.write(lambda tx: tasks.delete(tx, resource=upper))

    found = fsck(cloud.ports, repair=True, say=lambda _: None)

    assert ("repaired", f"was merged with {lower}, which was not recorded; recorded now") in [
        (finding.sort, finding.text) for finding in found
    ]
    assert look(cloud) == []


def test_makes_owners_again_whose_records_are_lost_and_has_nobody_name_a_plan_that_is(cloud):
    """Only a rebuild did: all was well, and the resources were in no list."""
    group = a_resource_group(cloud)
    policy = a_policy(cloud).id
    instance = an_instance(cloud, resource_group=group)
    captured = cloud.call("CreateSnapshotGroup", InstanceId=instance.id, Name="nightly")["SnapshotGroupId"]
    cloud.settle()
    database = cloud.ports.database
    database.write(lambda tx: disks.update(tx, {"snapshot_policy": policy}, instance=instance.id))
    database.write(lambda tx: resource_groups.delete(tx, id=group))
    database.write(lambda tx: snapshot_groups.delete(tx, id=captured))
    database.write(lambda tx: snapshot_policies.delete(tx, id=policy))
    database.write(lambda tx: accounts.delete(tx, id=ACCOUNT))
    lost = [ACCOUNT, captured, group]

    assert look(cloud, repair=False) == [*(("repairable", one) for one in lost), ("broken", policy)]
    assert look(cloud, repair=False) != []
    assert look(cloud) == [*(("repaired", one) for one in lost), ("broken", policy)]
    assert look(cloud) == []
    with database.read() as tx:
        assert accounts.find(tx, id=ACCOUNT) is not None
        assert {disk.snapshot_policy for disk in disks.all(tx, instance=instance.id)} == {""}
        assert snapshot_groups.find(tx, id=captured).instance == instance.id


def test_counts_the_volumes_that_it_has_looked_at(cloud):
    an_instance(cloud)
    counted = []

    fsck(cloud.ports, repair=False, say=lambda _: None, count=lambda done, total: counted.append((done, total)))

    total = len(set(cloud.ports.pool.volumes()))
    assert total > 0
    assert counted == [(done, total) for done in range(total + 1)]


def test_says_what_cannot_be_read_without_its_key_and_leaves_it(cloud):
    cloud.call("CreateDisk", ZoneId=f"{REGION}-a", Size=20, Encrypted=True)
    cloud.settle()
    (volume,) = every(cloud, volumes)
    right, cloud.ports.pool.keys = cloud.ports.pool.keys, another

    found = look(cloud)

    assert {subject for sort, subject in found if sort == "broken"} == {volume.id}
    sweep(cloud.ports)
    cloud.ports.pool.keys = right
    assert look(cloud) == []
