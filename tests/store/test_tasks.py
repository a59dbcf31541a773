"""Tasks: leases, lanes, and what comes first."""

from __future__ import annotations

import pytest

from kiln.store import claiming, tasks
from kiln.store.tasks import LEASE_S, LeaseLost
from tests.store.task_rows import a_task, claim, row


def test_know_whether_another_waits_for_them_in_their_lane(database):
    first, second, elsewhere, ended = (
        a_task(database, lane=lane, status=status)
        for lane, status in (("i", "Processing"), ("i", "Processing"), ("j", "Processing"), ("i", "Finished"))
    )
    alone = a_task(database)
    a_task(database)

    with database.read() as tx:
        waited_for = {
            task: tasks.is_waited_for(tx, tasks.tasks.find(tx, id=task))
            for task in (first, second, elsewhere, ended, alone)
        }

    assert [task for task, is_so in waited_for.items() if is_so] == [first]


def test_that_were_postponed_count_the_attempt(database):
    task = a_task(database)
    database.write(lambda tx: tasks.postpone(tx, row(tx, task), 50.0, failed=True))

    with database.read() as tx:
        assert tasks.tasks.find(tx, id=task).attempts == 1


def test_end_once(database):
    task = a_task(database)

    assert database.write(lambda tx: tasks.finish(tx, row(tx, task), 1.0))
    assert not database.write(lambda tx: tasks.fail(tx, row(tx, task), 2.0, "Code", "words"))
    assert claim(database) == []


def test_are_all_free_after_a_start(database):
    task = a_task(database)
    claim(database, "dead")

    assert database.write(tasks.release_all) == 1
    assert claim(database) == [task]


def test_lanes_are_busy_while_something_is_left(database):
    task = a_task(database, lane="i-1")

    with database.read() as tx:
        assert tasks.is_lane_busy(tx, "i-1")
        assert not tasks.is_lane_busy(tx, "i-2")
        assert not tasks.is_lane_busy(tx, "")
    database.write(lambda tx: tasks.finish(tx, row(tx, task), 1.0))
    with database.read() as tx:
        assert not tasks.is_lane_busy(tx, "i-1")


def test_tell_how_often_they_failed_since_they_last_did_not(database):
    def ended(status, at, **more):
        a_task(database, **{"resource": "v-1", "action": "Merge", "status": status, "finished_at": at} | more)

    def failures():
        with database.read() as tx:
            return tasks.failed_in_a_row(tx, "Merge", "v-1")

    assert failures() == (0, None)
    for status, at in (("Failed", 1.0), ("Finished", 2.0), ("Failed", 3.0), ("Failed", 4.0)):
        ended(status, at)
    ended("Finished", 5.0, resource="v-2")
    ended("Finished", 6.0, action="X")
    ended("Processing", None)
    assert failures() == (2, 4.0)
    ended("Finished", 7.0)
    assert failures() == (0, None)


def test_are_recorded_by_the_last_who_claimed_them_alone(database):
    a_task(database)
    (late,) = database.write(lambda tx: claiming.claim(tx, "late", 100.0))
    (again,) = database.write(lambda tx: claiming.claim(tx, "again", 100.0 + 2 * LEASE_S))

    for record in (
        lambda tx: tasks.finish(tx, late, 300.0),
        lambda tx: tasks.fail(tx, late, 300.0, "Code", "words"),
        lambda tx: tasks.note(tx, late, "{}"),
    ):
        with pytest.raises(LeaseLost):
            database.write(record)
    database.write(lambda tx: tasks.postpone(tx, late, 999.0, failed=True))

    assert database.write(lambda tx: row(tx, again.id)) == again
    assert database.write(lambda tx: tasks.finish(tx, again, 301.0))
    with pytest.raises(LeaseLost):
        database.write(lambda tx: tasks.finish(tx, late, 302.0))
    assert not database.write(lambda tx: tasks.fail(tx, again, 302.0, "Code", "words"))
