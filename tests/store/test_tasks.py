"""Tasks: leases, lanes, and what comes first."""

from __future__ import annotations

import pytest

from kiln.declare.ids import new_id
from kiln.ground.clock import next_in_sequence
from kiln.store import tasks
from kiln.store.tasks import LEASE_S, LeaseLost, Task


def a_task(database, **changes):
    row = {
        "id": new_id("task"), "seq": next_in_sequence(), "action": "X", "account": "1", "region": "", "resource": "",
        "lane": "", "payload": "{}", "status": "Processing", "progress": 0, "listed": False, "owner": "",
        "lease_until": 0.0, "attempts": 0, "not_before": 0.0, "cancel_requested": False, "created_at": 0.0,
        "finished_at": None, "error_code": "", "error_message": "",
    }  # fmt: skip
    task = Task(**(row | changes))
    database.write(lambda tx: tasks.tasks.insert(tx, task))
    return task.id


def claim(database, owner="me", now=100.0, limit=10):
    return [task.id for task in database.write(lambda tx: tasks.claim(tx, owner, now, limit))]


def row(tx, task):
    return tasks.tasks.find(tx, id=task)


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


class TestTransfers:
    """Imports and exports, of which few run at a time."""

    def ask(self, database, account, lane=0, **changes):
        return a_task(database, account=account, lane=tasks.transfer_lanes(account)[lane], listed=True, **changes)

    def end(self, database, *ended, now):
        database.write(lambda tx: [tasks.finish(tx, row(tx, task), now) for task in ended])

    def test_of_one_account_run_two_at_a_time(self, database):
        asked = [self.ask(database, "1", n % 2) for n in range(6)]

        assert claim(database) == asked[:2]
        assert claim(database) == []

    def test_of_another_account_begin_beside_one_that_has_many(self, database):
        many = [self.ask(database, "1", n % 2) for n in range(50)]
        assert claim(database) == many[:2]

        other = self.ask(database, "2")

        assert claim(database) == [other]

    def test_run_three_at_a_time_in_all(self, database):
        asked = [self.ask(database, str(n)) for n in range(6)]

        assert claim(database) == asked[:3]
        assert claim(database) == []

    def test_go_by_turns_of_the_accounts(self, database):
        asked = {account: [self.ask(database, account, n % 2) for n in range(8)] for account in "ABCDE"}
        owner = {task: account for account, of_account in asked.items() for task in of_account}
        begun, running, now = [], claim(database), 100.0
        while running:
            begun += running
            now += 1
            self.end(database, running[0], now=now)
            running = running[1:] + claim(database, now=now)
            begun = list(dict.fromkeys(begun))

        assert len(begun) == 40
        first = [owner[task] for task in begun[:10]]
        assert set(first) == set("ABCDE"), "no account waits until another has nothing left"
        assert max(map(first.count, "ABCDE")) <= 3

    def test_that_failed_and_are_to_be_tried_again_hold_up_no_other(self, database):
        asked = [self.ask(database, str(n)) for n in range(4)]
        (failing, *_) = claim(database)
        database.write(lambda tx: tasks.postpone(tx, row(tx, failing), 150.0, failed=True))

        assert claim(database) == asked[3:]

    def test_whose_worker_died_hold_up_no_other(self, database):
        asked = [self.ask(database, str(n)) for n in range(4)]
        claim(database)

        assert claim(database, "other", now=101.0 + LEASE_S) == asked[:3]

    def test_hold_up_nothing_else(self, database):
        for n in range(40):
            self.ask(database, str(n))
        claim(database)
        plain = a_task(database)

        assert claim(database) == [plain]

    def test_of_the_lanes_that_all_accounts_shared_count_too(self, database):
        old = [a_task(database, lane=f"transfer-{n}", listed=True) for n in range(2)]
        new = [self.ask(database, str(n)) for n in range(2)]

        assert claim(database) == [*old, new[0]]


def test_are_recorded_by_the_last_who_claimed_them_alone(database):
    a_task(database)
    (late,) = database.write(lambda tx: tasks.claim(tx, "late", 100.0))
    (again,) = database.write(lambda tx: tasks.claim(tx, "again", 100.0 + 2 * LEASE_S))

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


def test_of_a_host_are_claimed_by_its_workers_alone(database):
    here, there, anywhere = a_task(database, host="a"), a_task(database, host="b"), a_task(database)

    found = database.write(lambda tx: tasks.claim(tx, "me", 100.0, limit=10, host="a"))

    assert [task.id for task in found] == [here, anywhere]
    with database.read() as tx:
        assert not tasks.is_any_due(tx, "a", 100.0)
        assert tasks.is_any_due(tx, "b", 100.0)
        assert row(tx, there).owner == ""


def test_what_waits_for_a_guest_is_bound_with_its_machine(database):
    with database.read() as tx:
        lanes = ["i-1", tasks.password_lane("i-1"), tasks.errand_lane(tx, "i-1"), "i-2"]
    bound = [a_task(database, lane=lane) for lane in lanes]

    database.write(lambda tx: tasks.bind(tx, "i-1", "a"))

    with database.read() as tx:
        assert [row(tx, one).host for one in bound] == ["a", "a", "a", ""]
