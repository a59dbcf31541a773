"""The trash: what is dropped waits for its grace, reads as before when it is back, and goes sooner for want of room."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from kiln.calls.grace import Grace
from kiln.declare.ids import new_id
from kiln.ground.units import GiB
from kiln.pools.port import Room, Succession
from kiln.pools.qcow2 import Qcow2Pool
from kiln.store.disks import disks
from kiln.store.snapshots import snapshots
from kiln.store.trash import discards
from kiln.store.volumes import Volume, volumes
from kiln.upkeep.fsck import fsck
from kiln.upkeep.sweep import sweep
from kiln.upkeep.trash import relieve
from tests.clouds import Cloud
from tests.pools.patterns import SIZE, holds, put
from tests.reading import every, find, the
from tests.stock import a_disk, a_snapshot

HOUR = 3600.0


@dataclass
class Watch:
    """A monotonic clock that goes on when it is told to."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


class PoolOfRoom(Qcow2Pool):
    """A pool whose disk has as much free as a test says, whatever this machine has."""

    free_bytes = 1024 * GiB

    def room(self):
        return Room(free_bytes=self.free_bytes, total_bytes=2048 * GiB)


@pytest.fixture
def watch():
    return Watch()


@pytest.fixture
def kept(cloud, watch):
    """A Kiln with a grace of an hour, and enough room."""
    pool = PoolOfRoom(cloud.folder / "pool")
    cloud.refit(pool=pool, grace=Grace(HOUR, watch))
    return cloud


def trashed(cloud: Cloud) -> list[str]:
    return sorted(one.volume for one in cloud.ports.pool.discarded())


def unnamed(cloud: Cloud) -> str:
    """A volume that nothing names any more."""
    disk = a_disk(cloud)
    cloud.ports.database.write(lambda tx: disks.delete(tx, id=disk.id))
    return disk.volume


def look(cloud: Cloud, *, repair: bool = True) -> list[tuple[str, str]]:
    return [(f.sort, f.subject) for f in fsck(cloud.ports, repair=repair, say=lambda _: None)]


def serve(cloud: Cloud, watch: Watch, seconds: float) -> None:
    """Let Kiln sweep for so long."""
    until = watch.now + seconds
    while watch.now < until:
        watch.now = min(watch.now + 30, until)
        sweep(cloud.ports)


def test_keeps_what_was_dropped_until_its_grace_is_over(kept, watch):
    volume = unnamed(kept)

    assert sweep(kept.ports) == [volume]
    assert trashed(kept) == [volume]
    assert every(kept, volumes) == []
    assert the(kept, discards, id=volume).kind == "head"
    assert look(kept) == []
    serve(kept, watch, HOUR - 120)
    assert trashed(kept) == [volume]
    serve(kept, watch, 240)

    assert trashed(kept) == []
    assert every(kept, discards) == []


def test_counts_no_time_before_there_was_anything_to_wait_for(kept, watch):
    serve(kept, watch, 2 * HOUR)
    volume = unnamed(kept)
    assert sweep(kept.ports) == [volume]

    serve(kept, watch, HOUR - 120)

    assert trashed(kept) == [volume]
    serve(kept, watch, 240)
    assert trashed(kept) == []


def test_drops_at_once_without_a_grace(kept, watch):
    first = unnamed(kept)
    sweep(kept.ports)
    kept.refit(grace=Grace(0.0, watch))
    second = unnamed(kept)

    assert sweep(kept.ports) == [second]
    assert trashed(kept) == []
    assert not kept.ports.pool.exists(first)


@pytest.mark.parametrize("leap", [-86400.0, 86400.0, 40 * 365 * 86400.0])
def test_gives_nothing_back_early_for_a_clock_that_leaps(kept, watch, leap):
    volume = unnamed(kept)
    sweep(kept.ports)

    kept.clock.now += leap
    serve(kept, watch, HOUR / 2)
    assert trashed(kept) == [volume]
    kept.clock.now -= leap
    serve(kept, watch, HOUR / 2 + 120)

    assert trashed(kept) == []


def test_counts_no_time_in_which_nobody_served(kept, watch):
    volume = unnamed(kept)
    sweep(kept.ports)
    watch.now += 10 * HOUR

    kept.refit(grace=Grace(HOUR, watch))
    sweep(kept.ports)

    assert trashed(kept) == [volume]


def test_gives_the_oldest_back_while_the_pool_is_short(kept, watch):
    first = unnamed(kept)
    sweep(kept.ports)
    serve(kept, watch, 120)
    second = unnamed(kept)
    kept.ports.pool.free_bytes = 19 * GiB

    assert sweep(kept.ports) == [second]

    assert trashed(kept) == []
    assert every(kept, discards) == []
    assert not kept.ports.pool.exists(first)


def test_gives_nothing_back_for_what_all_of_it_would_not_be_enough(kept):
    volume = unnamed(kept)
    sweep(kept.ports)

    assert relieve(kept.ports, 100 * GiB) == []
    assert trashed(kept) == [volume]
    assert relieve(kept.ports, 1) == [volume]


def test_makes_room_for_what_found_none(kept):
    """What a pool asks when there is no room is answered with what waits."""
    volume = unnamed(kept)
    sweep(kept.ports)
    kept.ports.pool.make_room = lambda missing: bool(relieve(kept.ports, missing))
    kept.ports.pool.free_bytes = 0

    assert kept.ports.pool.make_room(None)
    assert trashed(kept) == []
    assert not kept.ports.pool.make_room(None)
    assert volume


def test_gives_nothing_back_that_is_named_again(kept, watch):
    volume = unnamed(kept)
    sweep(kept.ports)
    disk = a_disk(kept, volume=volume)

    serve(kept, watch, 2 * HOUR)

    assert trashed(kept) == [volume]
    kept.ports.database.write(lambda tx: disks.delete(tx, id=disk.id))
    serve(kept, watch, 60)
    assert trashed(kept) == []


def test_gives_a_layer_back_after_what_stands_on_it(kept, watch):
    pool, snapshot = kept.ports.pool, a_snapshot(kept)
    disk = a_disk(kept, volume=new_id("volume"))
    pool.clone(snapshot.volume, disk.volume, 20 * GiB)
    row = Volume(
        id=disk.volume,
        state="ready",
        kind="head",
        parent=snapshot.volume,
        size_bytes=20 * GiB,
        task=None,
        created_at=0.0,
    )
    kept.ports.database.write(lambda tx: volumes.insert(tx, row))
    put(pool, snapshot.volume, {0: 1})
    put(pool, disk.volume, {1: 2})
    kept.ports.database.write(lambda tx: (disks.delete(tx, id=disk.id), snapshots.delete(tx, id=snapshot.id)))
    sweep(kept.ports)
    assert trashed(kept) == sorted([disk.volume, snapshot.volume])

    pool.retrieve(snapshot.volume)
    pool.retrieve(disk.volume)
    assert holds(pool, disk.volume, {0: 1, 1: 2})
    pool.discard([disk.volume])
    pool.discard([snapshot.volume])
    serve(kept, watch, 2 * HOUR)

    assert trashed(kept) == []


def test_drops_an_heir_that_no_disk_ever_stood_on_at_once(kept):
    """What it stands on is a head again, and is written on."""
    disk = a_disk(kept)
    heir = new_id("volume")
    kept.ports.pool.freeze([Succession(disk.volume, heir)], None)
    size = kept.ports.pool.size(heir)
    row = Volume(id=heir, state="doomed", kind="head", parent=disk.volume, size_bytes=size, task=None, created_at=0.0)
    kept.ports.database.write(lambda tx: volumes.insert(tx, row))

    assert sweep(kept.ports) == [heir]
    assert trashed(kept) == []


def test_keeps_nothing_of_a_volume_that_was_never_made(kept):
    row = Volume(
        id=new_id("volume"), state="planned", kind="head", parent=None, size_bytes=SIZE, task=None, created_at=0.0
    )
    kept.ports.database.write(lambda tx: volumes.insert(tx, row))

    assert sweep(kept.ports) == [row.id]
    assert every(kept, discards) == every(kept, volumes) == []


def record(cloud: Cloud, snapshot: str, volume: str) -> None:
    """Have the pool's records say that the snapshot is the volume."""
    cloud.ports.pool.records.put("snapshot", snapshot, {"id": snapshot, "volume": volume}, [volume])


@pytest.mark.parametrize("grace", [0.0, HOUR])
def test_keeps_what_the_pools_records_name_and_the_database_has_lost(kept, watch, grace):
    kept.refit(grace=Grace(grace, watch))
    snapshot = a_snapshot(kept)
    record(kept, snapshot.id, snapshot.volume)
    kept.ports.database.write(lambda tx: snapshots.delete(tx, id=snapshot.id))
    other = unnamed(kept)

    assert sweep(kept.ports) == [other]

    assert kept.ports.pool.exists(snapshot.volume)
    (found,) = [f for f in fsck(kept.ports, repair=True, say=lambda _: None) if f.subject == snapshot.volume]
    assert found.sort == "broken"
    assert f"snapshot {snapshot.id} names it" in found.text


@pytest.mark.parametrize("grace", [0.0, HOUR])
def test_drops_what_was_deleted_though_the_records_are_behind(kept, watch, grace):
    """On a full disk they cannot be written anew, and deleting has to give space back all the same."""
    kept.refit(grace=Grace(grace, watch))
    snapshot = a_snapshot(kept)
    record(kept, snapshot.id, snapshot.volume)
    kept.call("DeleteSnapshot", SnapshotId=snapshot.id)

    assert sweep(kept.ports) == [snapshot.volume]


def test_gives_nothing_back_that_the_pools_records_name(kept):
    volume = unnamed(kept)
    sweep(kept.ports)
    record(kept, "s-lost", volume)

    assert relieve(kept.ports, 1) == []
    assert trashed(kept) == [volume]


def test_leaves_what_cannot_be_moved_aside_in_the_pool(kept, watch):
    (kept.folder / "elsewhere").mkdir()
    (kept.folder / "pool" / "trash").symlink_to(kept.folder / "elsewhere")
    volume = unnamed(kept)

    assert sweep(kept.ports) == []
    assert kept.ports.pool.exists(volume)
    kept.ports.pool.free_bytes = 0
    assert sweep(kept.ports) == [volume]

    assert not kept.ports.pool.exists(volume)
    assert list((kept.folder / "elsewhere").iterdir()) == []


def test_one_that_cannot_be_moved_holds_up_no_other(kept):
    first, second = unnamed(kept), unnamed(kept)
    kept.ports.pool.discard([first])
    kept.ports.pool.create(first, SIZE)

    assert sweep(kept.ports) == [second]

    assert kept.ports.pool.exists(first)


@pytest.mark.parametrize("repair", [False, True])
def test_is_taken_back_by_fsck_where_an_older_database_means_it(kept, repair):
    snapshot = a_snapshot(kept)
    row = the(kept, volumes, id=snapshot.volume)
    kept.ports.database.write(lambda tx: snapshots.delete(tx, id=snapshot.id))
    sweep(kept.ports)

    def put_back(tx):
        volumes.insert(tx, row)
        snapshots.insert(tx, snapshot)
        discards.delete(tx)

    kept.ports.database.write(put_back)
    found = look(kept, repair=repair)

    assert (("repaired" if repair else "repairable"), snapshot.volume) in found
    assert kept.ports.pool.exists(snapshot.volume) is repair
    if repair:
        assert look(kept) == []


def test_is_put_in_order_by_fsck(kept):
    lost, found, moved = unnamed(kept), unnamed(kept), unnamed(kept)
    sweep(kept.ports)
    trash = kept.folder / "pool" / "trash"
    (trash / f"{lost}.qcow2").unlink()
    (trash / "notes").touch()
    kept.ports.database.write(lambda tx: discards.delete(tx, id=found))
    (trash / f"{moved}.qcow2").rename(kept.folder / "pool" / f"{moved}.qcow2")

    assert sorted(look(kept, repair=False)) == sorted(
        [("pending", "notes"), *(("repairable", volume) for volume in (lost, found, moved))]
    )
    assert sorted(look(kept)) == sorted(
        [("pending", "notes"), *(("repaired", volume) for volume in (lost, found, moved))]
    )

    assert look(kept) == [("pending", "notes")]
    assert trashed_names(kept) == sorted([f"{found}.qcow2", f"{moved}.qcow2", "notes"])
    assert find(kept, discards, id=lost) is None


def trashed_names(cloud: Cloud) -> list[str]:
    return sorted(one.name for one in cloud.ports.pool.discarded())
