"""Which tasks are due, and who takes their leases."""

from __future__ import annotations

from kiln.store import claiming, tasks
from kiln.store.tasks import LEASE_S
from tests.store.task_rows import a_task, claim, row


def test_are_claimed_once(database):
    one, two = a_task(database), a_task(database)

    assert claim(database) == [one, two]
    assert claim(database, "other") == []


def test_are_claimed_again_when_the_lease_has_run_out(database):
    one = a_task(database)
    claim(database)

    assert claim(database, "other", now=100.0 + LEASE_S / 2) == []
    assert claim(database, "other", now=101.0 + LEASE_S) == [one]


def test_keep_their_lease_when_it_is_renewed(database):
    a_task(database)
    claim(database)
    database.write(lambda tx: tasks.renew(tx, "me", 100.0 + LEASE_S / 2))

    assert claim(database, "other", now=101.0 + LEASE_S) == []


def test_of_one_lane_wait_for_each_other(database):
    first, second, other = a_task(database, lane="i-1"), a_task(database, lane="i-1"), a_task(database, lane="i-2")

    assert claim(database) == [first, other]
    database.write(lambda tx: tasks.finish(tx, row(tx, first), 101.0))
    assert claim(database) == [second]


def test_of_one_lane_wait_for_one_that_is_postponed(database):
    first, second = a_task(database, lane="i-1"), a_task(database, lane="i-1")
    claim(database)
    database.write(lambda tx: tasks.postpone(tx, row(tx, first), 200.0, failed=False))

    assert claim(database, now=150.0) == []
    assert claim(database, now=201.0) == [first]
    assert second


def test_of_a_host_are_claimed_by_its_workers_alone(database):
    here, there, anywhere = a_task(database, host="a"), a_task(database, host="b"), a_task(database)

    found = database.write(lambda tx: claiming.claim(tx, "me", 100.0, limit=10, host="a"))

    assert [task.id for task in found] == [here, anywhere]
    with database.read() as tx:
        assert not claiming.is_any_due(tx, "a", 100.0)
        assert claiming.is_any_due(tx, "b", 100.0)
        assert row(tx, there).owner == ""
