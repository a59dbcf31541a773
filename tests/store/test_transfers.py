"""Imports, exports and copies, of which few run at a time."""

from __future__ import annotations

from kiln.store import tasks, transfers
from kiln.store.tasks import LEASE_S
from tests.store.task_rows import a_task, claim, row


def ask(database, account, lane=0, **changes):
    return a_task(database, account=account, lane=transfers.transfer_lanes(account)[lane], listed=True, **changes)


def end(database, *ended, now):
    database.write(lambda tx: [tasks.finish(tx, row(tx, task), now) for task in ended])


def test_of_one_account_run_two_at_a_time(database):
    asked = [ask(database, "1", n % 2) for n in range(6)]

    assert claim(database) == asked[:2]
    assert claim(database) == []


def test_of_another_account_begin_beside_one_that_has_many(database):
    many = [ask(database, "1", n % 2) for n in range(50)]
    assert claim(database) == many[:2]

    other = ask(database, "2")

    assert claim(database) == [other]


def test_run_three_at_a_time_in_all(database):
    asked = [ask(database, str(n)) for n in range(6)]

    assert claim(database) == asked[:3]
    assert claim(database) == []


def test_go_by_turns_of_the_accounts(database):
    asked = {account: [ask(database, account, n % 2) for n in range(8)] for account in "ABCDE"}
    owner = {task: account for account, of_account in asked.items() for task in of_account}
    begun, running, now = [], claim(database), 100.0
    while running:
        begun += running
        now += 1
        end(database, running[0], now=now)
        running = running[1:] + claim(database, now=now)
        begun = list(dict.fromkeys(begun))

    assert len(begun) == 40
    first = [owner[task] for task in begun[:10]]
    assert set(first) == set("ABCDE"), "no account waits until another has nothing left"
    assert max(map(first.count, "ABCDE")) <= 3


def test_that_failed_and_are_to_be_tried_again_hold_up_no_other(database):
    asked = [ask(database, str(n)) for n in range(4)]
    (failing, *_) = claim(database)
    database.write(lambda tx: tasks.postpone(tx, row(tx, failing), 150.0, failed=True))

    assert claim(database) == asked[3:]


def test_whose_worker_died_hold_up_no_other(database):
    asked = [ask(database, str(n)) for n in range(4)]
    claim(database)

    assert claim(database, "other", now=101.0 + LEASE_S) == asked[:3]


def test_hold_up_nothing_else(database):
    for n in range(40):
        ask(database, str(n))
    claim(database)
    plain = a_task(database)

    assert claim(database) == [plain]


def test_of_the_lanes_that_all_accounts_shared_count_too(database):
    old = [a_task(database, lane=f"transfer-{n}", listed=True) for n in range(2)]
    new = [ask(database, str(n)) for n in range(2)]

    assert claim(database) == [*old, new[0]]
