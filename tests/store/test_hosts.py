"""Hosts and what is known of each: who serves it, what it has, when it was seen last."""

from __future__ import annotations

import pytest

from kiln.store import hosts, workers
from kiln.store.hosts import Room
from kiln.store.workers import SILENT_S, Member
from tests.store.test_workers import be_silent

ROOM = Room(cpus=4, memory_mib=8192)


def found(database, name="one"):
    with database.read() as tx:
        return hosts.hosts.find(tx, name=name)


def come(database, name, worker="w-1", room=ROOM, now=100.0):
    database.write(lambda tx: hosts.come(tx, name, worker, room, now))


def test_a_host_is_known_since_its_first_process_and_has_what_the_last_one_says(database):
    come(database, "one")
    come(database, "one", "w-2", Room(cpus=2, memory_mib=512), now=200.0)

    row = found(database)
    assert (row.since, row.seen_at, row.worker) == (100.0, 200.0, "w-2")
    assert (row.cpus, row.memory_mib, row.state) == (2, 512, "in use")


def test_what_is_known_is_not_written_again(database):
    come(database, "one")
    come(database, "one", now=200.0)

    assert found(database).seen_at == 100.0


def test_where_no_other_host_can_be_others_are_forgotten(database):
    come(database, "one")
    come(database, "two", "w-2")
    database.write(lambda tx: hosts.keep_only(tx, "two"))

    assert found(database) is None
    assert found(database, "two").worker == "w-2"


def test_says_in_which_state_it_is(database):
    come(database, "one")
    database.write(lambda tx: hosts.hosts.update(tx, {"is_draining": True}, name="one"))
    assert found(database).state == "draining"
    database.write(lambda tx: hosts.hosts.update(tx, {"lost_at": 150.0}, name="one"))
    assert found(database).state == "lost"
    come(database, "one")
    assert found(database).state == "draining"


@pytest.mark.postgresql
class TestProcesses:
    def enter(self, database, id_, host="one", role="worker", **first):
        member = Member(id=id_, host=host, role=role, address="127.0.0.1:8787")
        database.write(lambda tx: workers.enter(tx, member, ROOM, **{"is_first": False, **first}))

    def test_one_that_carries_out_tasks_serves_its_host_and_a_door_none(self, postgresql_opened):
        self.enter(postgresql_opened, "a")
        self.enter(postgresql_opened, "door", "three", "api")

        assert found(postgresql_opened).worker == "a"
        assert found(postgresql_opened, "three") is None

    def test_one_that_leaves_has_left_in_order_and_one_that_is_silent_has_not(self, postgresql_opened):
        self.enter(postgresql_opened, "a")
        self.enter(postgresql_opened, "b", "two")
        be_silent(postgresql_opened, "b", SILENT_S + 5)
        postgresql_opened.write(lambda tx: workers.leave(tx, "a"))
        postgresql_opened.write(workers.give_up)

        one, two = found(postgresql_opened), found(postgresql_opened, "two")
        assert (one.worker, one.has_left) == ("", True)
        assert (two.worker, two.has_left) == ("", False)
        assert two.seen_at < one.seen_at - SILENT_S

        self.enter(postgresql_opened, "c")
        assert (found(postgresql_opened).worker, found(postgresql_opened).has_left) == ("c", False)

    def test_nobody_has_seen_a_host_go_while_nobody_was_there(self, postgresql_opened):
        """All were off: the grace of the others begins when the first is back."""
        self.enter(postgresql_opened, "a")
        self.enter(postgresql_opened, "b", "two")
        be_silent(postgresql_opened, "b", 3600.0)
        self.enter(postgresql_opened, "c", is_first=True)

        two = found(postgresql_opened, "two")
        assert (two.worker, two.has_left) == ("", False)
        assert two.seen_at >= found(postgresql_opened).seen_at - 1.0
