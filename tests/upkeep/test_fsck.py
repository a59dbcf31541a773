"""fsck: names what is wrong, mends what a crash may leave, and says of the rest what is lost."""

from __future__ import annotations

from kiln.declare.ids import new_id
from kiln.store.disks import disks
from kiln.store.volumes import volumes
from kiln.upkeep.findings import is_well
from kiln.upkeep.fsck import fsck
from kiln.upkeep.sweep import sweep
from tests.clouds import Cloud
from tests.stock import a_disk, a_snapshot, an_instance


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
