"""Processes that know of each other: who is there, who was given up, and by whose clock leases are told."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from sqlalchemy import text

from kiln.declare.facts import NoFacts
from kiln.store import claiming, tasks, workers
from kiln.store.hosts import Room
from kiln.store.lanes import before_in_lane
from kiln.store.workers import SEEN, SILENT_S, Member

pytestmark = pytest.mark.postgresql

ROOM = Room(cpus=4, memory_mib=8192)


def a_member(id_, host="one", role="worker"):
    return Member(id=id_, host=host, role=role, address="127.0.0.1:8787")


def enter(database, *members, is_first=False):
    return [database.write(lambda tx, one=one: workers.enter(tx, one, ROOM, is_first=is_first)) for one in members]


def ids(database):
    with database.read() as tx:
        return sorted(one.id for one in workers.workers.all(tx))


def a_leased_task(database, owner, **changes):
    task = replace(tasks.leased(tasks.new_task("CreateImage", "m-1", NoFacts(), 0.0), owner, time.time()), **changes)
    database.write(lambda tx: tasks.tasks.insert(tx, task))
    return task


def owner_of(database, task):
    with database.read() as tx:
        return tasks.tasks.find(tx, id=task.id).owner


def be_silent(database, member, seconds):
    with database.engine.begin() as connection:
        connection.execute(
            text("UPDATE workers SET seen_at = seen_at - :seconds WHERE id = :id"), {"seconds": seconds, "id": member}
        )


def test_one_under_a_hosts_name_takes_the_place_of_the_last_one_alone(postgresql_opened):
    enter(postgresql_opened, a_member("old"), a_member("other", "two"), a_member("door", role="api"))
    mine, others = a_leased_task(postgresql_opened, "old"), a_leased_task(postgresql_opened, "other")

    assert enter(postgresql_opened, a_member("new")) == [["old"]]

    assert ids(postgresql_opened) == ["door", "new", "other"]
    assert (owner_of(postgresql_opened, mine), owner_of(postgresql_opened, others)) == ("", "other")


def test_a_door_takes_nobodys_place_and_the_first_takes_everybodys(postgresql_opened):
    enter(postgresql_opened, a_member("old"), a_member("door", role="api"))

    assert enter(postgresql_opened, a_member("another", role="api")) == [[]]
    assert enter(postgresql_opened, a_member("first", "three"), is_first=True) == [["another", "door", "old"]]
    assert ids(postgresql_opened) == ["first"]


def test_one_that_is_silent_is_given_up_and_its_tasks_are_anybodys(postgresql_opened):
    enter(postgresql_opened, a_member("silent"), a_member("alive", "two"))
    left, kept = a_leased_task(postgresql_opened, "silent"), a_leased_task(postgresql_opened, "alive")
    be_silent(postgresql_opened, "silent", SILENT_S + 5)
    be_silent(postgresql_opened, "alive", SILENT_S - 10)

    assert postgresql_opened.write(workers.give_up) == ["silent"]

    assert ids(postgresql_opened) == ["alive"]
    assert (owner_of(postgresql_opened, left), owner_of(postgresql_opened, kept)) == ("", "alive")
    assert postgresql_opened.write(workers.give_up) == []


def test_one_at_a_time_gives_up_others(postgresql_opened):
    enter(postgresql_opened, a_member("silent"))
    be_silent(postgresql_opened, "silent", SILENT_S + 5)

    with postgresql_opened.engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(8787, 4)"))
        assert postgresql_opened.write(workers.give_up) == []
    assert postgresql_opened.write(workers.give_up) == ["silent"]


def test_who_says_that_it_is_there_is_silent_no_more(postgresql_opened):
    enter(postgresql_opened, a_member("one"))
    be_silent(postgresql_opened, "one", SILENT_S + 5)
    with postgresql_opened.engine.begin() as connection:
        assert connection.execute(text(SEEN), {"id": "one"}).scalar() == "one"
        assert connection.execute(text(SEEN), {"id": "another"}).scalar() is None

    with postgresql_opened.read() as tx:
        assert workers.silent(tx) == []


def test_leases_are_told_by_the_servers_clock_whatever_a_hosts_says(postgresql_opened):
    """A host whose clock is an hour ahead takes nobody's lease, and gives itself no longer one."""
    postgresql_opened.time_of_leases = workers.servers_time
    task = a_leased_task(postgresql_opened, "somebody")
    ahead = time.time() + 3600

    def claim(tx):
        return claiming.claim(tx, "other", postgresql_opened.time_of_leases(tx, ahead))

    assert postgresql_opened.write(claim) == []
    postgresql_opened.write(lambda tx: tasks.give_back(tx, "somebody"))
    (mine,) = postgresql_opened.write(claim)
    assert mine.id == task.id
    assert mine.lease_until < time.time() + 2 * tasks.LEASE_S


def test_a_task_is_the_last_of_its_lane_though_anothers_clock_is_ahead(postgresql_opened):
    before = replace(tasks.new_task("StopInstance", "i-1", NoFacts(), 0.0, lane="i-1"), seq=2**62)
    postgresql_opened.write(lambda tx: tasks.append(tx, before))
    about = (("i-9", "i-1"), ("i-1", ""), ("i-2", "i-2"), ("i-2", ""))
    others = [tasks.new_task("StartInstance", resource, NoFacts(), 0.0, lane=lane) for resource, lane in about]

    written = [postgresql_opened.write(lambda tx, one=one: tasks.append(tx, one)) for one in others]

    assert [one.seq - before.seq for one in written[:2]] == [1, 1]
    assert [one.seq for one in written[2:]] == [one.seq for one in others[2:]]
    with postgresql_opened.read() as tx:
        assert before_in_lane(tx, written[0]).id == before.id
