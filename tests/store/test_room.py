"""Room: what a host has left, and who claims a start."""

from __future__ import annotations

import pytest

from kiln.declare.states import InstanceStatus
from kiln.store import claiming, hosts, room, workers
from kiln.store.hosts import ANY_ROOM, NOTHING, Room, Share
from kiln.store.workers import SILENT_S, Member
from tests.stock import an_instance
from tests.store.task_rows import a_task
from tests.store.test_hosts import come
from tests.store.test_workers import be_silent

SMALL = Room(cpus=1, memory_mib=1024)


def size_of(_):
    return SMALL


def left(database, host="one", owner="w-1", but=""):
    with database.read() as tx:
        return room.left_on(tx, host, size_of, owner, but)


def claim(database, left, host="one", owner="w-1", leaves=lambda _, __: False):
    share = Share(left, leaves)
    return [one.id for one in database.write(lambda tx: claiming.claim(tx, owner, 100.0, 10, host, share=share))]


def a_start(database, **changes):
    return a_task(database, **({"cpus": 1, "memory_mib": 1024} | changes))


def test_what_runs_starts_and_stops_on_a_host_takes_its_part(cloud):
    database = cloud.ports.database
    come(database, "one", room=Room(cpus=8, memory_mib=8192))
    for status in InstanceStatus:
        an_instance(cloud, status=status, host="one")
        an_instance(cloud, status=status, host="two")

    assert left(database) == Room(cpus=5, memory_mib=8192 - 3 * 1024)


def test_what_a_host_has_claimed_and_not_placed_takes_its_part(database):
    come(database, "one", room=Room(cpus=4, memory_mib=4096))
    mine = a_start(database, owner="w-1")
    a_start(database, owner="w-1", host="one")  # Its instance is on the host, and counts there.
    a_start(database, owner="w-2")
    a_start(database)
    a_start(database, owner="w-1", status="Finished")

    assert left(database) == Room(cpus=3, memory_mib=3072)
    assert left(database, but=mine) == Room(cpus=4, memory_mib=4096)
    assert left(database, owner="") == Room(cpus=4, memory_mib=4096), "what nobody has claimed is on no host"


@pytest.mark.parametrize("changes", [{"is_draining": True}, {"lost_at": 1.0}])
def test_a_host_that_takes_nothing_more_has_no_room(database, changes):
    come(database, "one")
    database.write(lambda tx: hosts.hosts.update(tx, changes, name="one"))

    assert left(database) == left(database, "unknown") == Room(cpus=0, memory_mib=0)


def test_more_runs_than_there_is_room_for_leaves_none(cloud):
    come(cloud.ports.database, "one", room=Room(cpus=1, memory_mib=512))
    an_instance(cloud, status=InstanceStatus.RUNNING, host="one")

    assert left(cloud.ports.database) == Room(cpus=0, memory_mib=0)


def test_starts_are_claimed_as_far_as_there_is_room_and_smaller_ones_are_not_held_up(database):
    first, second, large, small = (
        a_start(database),
        a_start(database),
        a_start(database, memory_mib=8192),
        a_start(database, memory_mib=512),
    )

    assert claim(database, Room(cpus=8, memory_mib=2048 + 256)) == [first, second]
    assert claim(database, Room(cpus=8, memory_mib=1024)) == [small]
    assert claim(database, Room(cpus=0, memory_mib=1 << 20)) == []
    assert claim(database, Room(cpus=1, memory_mib=8192)) == [large]


def test_what_is_bound_to_the_host_and_what_takes_nothing_needs_no_room(database):
    bound, free = a_start(database, host="one"), a_task(database)
    a_start(database, host="two")

    assert claim(database, NOTHING) == [bound, free]


def test_where_nobody_counts_a_start_is_anybodys(database):
    start = a_start(database, cpus=1000, memory_mib=1 << 24)

    assert claim(database, ANY_ROOM) == [start]


def test_many_that_wait_keep_nobody_from_what_takes_nothing(database):
    for _ in range(30):
        a_start(database)
    other = a_task(database)

    assert claim(database, NOTHING) == [other]


def test_what_is_left_to_others_takes_no_room_and_what_is_bound_or_takes_none_is_not_asked_of(database):
    first, second, small = a_start(database), a_start(database), a_start(database, memory_mib=512)
    bound, free = a_start(database, host="one"), a_task(database)
    asked = []

    def leaves(start, left):
        asked.append((start.id, left))
        return start.id == second

    claimed = claim(database, Room(cpus=4, memory_mib=2048), leaves=leaves)

    assert claimed == [first, small, bound, free]
    after = Room(cpus=3, memory_mib=1024)
    assert asked == [(first, Room(cpus=4, memory_mib=2048)), (second, after), (small, after)]


@pytest.mark.postgresql
def test_only_another_host_that_is_served_and_in_use_has_more_left(postgresql_opened):
    """By rows as processes write them; those of the one that asks count for nothing."""
    database = postgresql_opened
    for name, memory in (("one", 65536), ("two", 4096), ("three", 8192), ("four", 16384)):
        member = Member(id=f"w-{name}", host=name, role="worker", address="")
        size = Room(cpus=4, memory_mib=memory)
        database.write(lambda tx, member=member, size=size: workers.enter(tx, member, size, is_first=False))

    def most():
        with database.read() as tx:
            return room.most_elsewhere(tx, "one", size_of)

    assert most() == Room(cpus=4, memory_mib=16384)
    be_silent(database, "w-four", SILENT_S + 1)
    a_start(database, owner="w-three")
    assert most() == Room(cpus=3, memory_mib=8192 - 1024)
    database.write(lambda tx: hosts.set_draining(tx, "three", is_draining=True))
    assert most() == Room(cpus=4, memory_mib=4096)
    database.write(lambda tx: workers.leave(tx, "w-two"))
    assert most() == NOTHING
