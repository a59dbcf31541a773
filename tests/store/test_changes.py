"""What the store tells of changes: all of them, after the commit, in order, and to the cost of nobody who writes."""

from __future__ import annotations

import threading
from dataclasses import replace
from itertools import pairwise

import pytest

from kiln.declare.ids import new_id
from kiln.declare.states import MOVES, DiskStatus, ImageStatus, TaskStatus
from kiln.ground import killpoints
from kiln.store import tasks
from kiln.store.changes import Change, Hub
from kiln.store.disks import disks
from kiln.store.eips import eips
from kiln.store.errors import DatabaseFull
from kiln.store.images import images
from kiln.store.instances import instances
from kiln.store.invocations import invocations
from kiln.store.snapshots import snapshots

NOUNS = {
    "image": images,
    "snapshot": snapshots,
    "disk": disks,
    "instance": instances,
    "eip": eips,
    "task": tasks.tasks,
    "invocation": invocations,
}


def a_row(noun: str, **values):
    """A row of a table that has states; what is not given is empty."""
    rows = NOUNS[noun]
    made = rows.of_values({"id": new_id("task" if noun == "invocation" else noun), "account": "1", **values})
    return replace(made, name=made.id) if noun == "image" else made


@pytest.fixture
def listener(database):
    made = database.hub.listen()
    yield made
    made.close()


def told(listener) -> list[Change]:
    """What a listener has in its queue."""
    listener.wake()
    return list(listener.take().changes)


def test_every_noun_with_states_is_told():
    """Of a table that is forgotten nobody would ever hear."""
    from_rows = {rows.told.noun for rows in NOUNS.values() if rows.told is not None}

    assert from_rows == {status.__name__.removesuffix("Status").lower() for status in MOVES}


@pytest.mark.parametrize("noun", NOUNS)
def test_tells_that_a_row_came_moved_and_went(database, listener, noun):
    rows = NOUNS[noun]
    states = next(states for states in MOVES if states.__name__ == f"{noun.capitalize()}Status")
    before, (after, *_) = next(iter(MOVES[states].items()))
    row = a_row(noun, status=before, account="42")

    database.write(lambda tx: rows.insert(tx, row))
    database.write(lambda tx: rows.move(tx, before, after, {}, id=row.id))
    database.write(lambda tx: rows.delete(tx, id=row.id))

    assert [change[:5] for change in told(listener)] == [
        (noun, row.id, None, before, "42"),
        (noun, row.id, before, after, "42"),
        (noun, row.id, after, None, "42"),
    ]


def test_tells_what_one_transaction_did_to_one_row_step_by_step(database, listener):
    row, other = a_row("image", status="Creating", account="7"), a_row("image", status="Creating")
    database.write(lambda tx: images.insert(tx, other))
    told(listener)

    def work(tx):
        images.insert(tx, row)
        images.move(tx, ImageStatus.CREATING, ImageStatus.AVAILABLE, {"progress": 100}, id=row.id)
        assert not images.move(tx, ImageStatus.CREATING, ImageStatus.AVAILABLE, {}, id=row.id)
        images.update(tx, {"status": "Deprecated"}, id=row.id)
        images.delete(tx, id=row.id)
        assert images.update(tx, {"status": "Available"}, id=row.id) == 0

    database.write(work)

    steps = ["Creating", "Available", "Deprecated", None]
    assert [change[1:5] for change in told(listener)] == [
        (row.id, old, new, "7") for old, new in zip([None, *steps], steps, strict=False)
    ]


@pytest.mark.parametrize("is_by_condition", [True, False])
def test_tells_each_row_that_one_statement_changes(database, listener, is_by_condition):
    ones = [a_row("disk", status=DiskStatus.IN_USE, instance="i-1", account=str(n)) for n in range(3)]
    other = a_row("disk", status=DiskStatus.IN_USE, instance="i-2")
    database.write(lambda tx: disks.insert(tx, *ones, other))
    told(listener)
    where = ((disks.c.instance == "i-1",), {}) if is_by_condition else ((), {"instance": "i-1"})

    moved = database.write(lambda tx: disks.update(tx, {"status": "Detaching"}, *where[0], **where[1]))
    gone = database.write(lambda tx: disks.delete(tx, *where[0], **where[1]))

    expected = {("disk", one.id, "In_use", "Detaching", one.account) for one in ones}
    changes = [change[:5] for change in told(listener)]
    assert (moved, gone) == (3, 3)
    assert set(changes[:3]) == expected
    assert set(changes[3:]) == {(noun, id_, "Detaching", None, account) for noun, id_, _, _, account in expected}


def test_tells_what_a_status_was_where_the_statement_does_not_name_it(database, listener):
    row = a_row("task", status="Queued")
    database.write(lambda tx: tasks.tasks.insert(tx, row))
    told(listener)

    database.write(tasks.open_unknown)

    assert [change[2:4] for change in told(listener)] == [("Queued", "Processing")]


def test_tells_nothing_of_a_move_that_somebody_made_before(database, listener):
    row = a_row("image", status="Available")
    database.write(lambda tx: images.insert(tx, row))
    told(listener)

    assert not database.write(
        lambda tx: images.move(tx, ImageStatus.CREATING, ImageStatus.AVAILABLE, {"progress": 100}, id=row.id)
    )
    assert told(listener) == []


@pytest.mark.parametrize(("noun", "column"), [("image", "progress"), ("snapshot", "progress"), ("task", "progress")])
def test_tells_progress_as_a_change_in_which_the_state_stays(database, listener, noun, column):
    row = a_row(noun, status="Anything")
    database.write(lambda tx: NOUNS[noun].insert(tx, row))
    told(listener)

    database.write(lambda tx: NOUNS[noun].update(tx, {column: 7}, id=row.id))

    assert [change[2:4] for change in told(listener)] == [("Anything", "Anything")]


def test_tells_nothing_of_what_is_no_state(database, listener):
    row = a_row("image", status="Available")
    database.write(lambda tx: images.insert(tx, row))
    told(listener)

    database.write(lambda tx: images.update(tx, {"description": "other"}, id=row.id))

    assert told(listener) == []


@pytest.mark.parametrize("listed", [True, False])
def test_tells_whether_an_account_is_shown_a_task(database, listener, listed):
    task = a_row("task", listed=listed)
    database.write(lambda tx: tasks.tasks.insert(tx, task))
    database.write(lambda tx: tasks.tasks.update(tx, {"status": TaskStatus.FAILED}, id=task.id))
    database.write(lambda tx: tasks.tasks.delete(tx, id=task.id))

    assert [change.is_shown for change in told(listener)] == [listed] * 3


def test_tells_nothing_before_the_commit_and_nothing_that_was_rolled_back(database, listener):
    """Whoever is told looks at the rows, and must find there what it was told."""
    row = a_row("image", status="Creating")
    seen = []

    def work(tx):
        images.insert(tx, row)
        seen.append(told(listener))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        database.write(work)

    assert (seen, told(listener)) == ([[]], [])


def test_who_is_told_finds_it_in_the_rows(database, listener):
    row = a_row("image", status="Creating")
    found = []

    def look():
        (change,) = listener.take(20.0).changes
        with database.read() as tx:
            found.append(images.find(tx, id=change.id))

    thread = threading.Thread(target=look)
    thread.start()
    database.write(lambda tx: images.insert(tx, row))
    thread.join()

    assert found == [row]


def test_a_transaction_that_is_run_again_is_told_once(database, listener):
    """As a database with rivals, or a full one that had room made for it, runs it."""
    row = a_row("image", status="Creating")
    tries = []

    def work(tx):
        images.insert(tx, row)
        tries.append(1)
        if len(tries) == 1:
            raise DatabaseFull

    database.make_room = lambda: True
    try:
        database.write(work, gives_back=True)
    finally:
        database.make_room = lambda: False

    assert len(tries) == 2
    assert [change.id for change in told(listener)] == [row.id]


def test_changes_of_one_resource_are_told_in_the_order_of_commits(database, listener):
    """Each of several threads moves the same disk; what one calls the old state is what the one before called new."""
    row = a_row("disk", status=DiskStatus.AVAILABLE)
    database.write(lambda tx: disks.insert(tx, row))
    turns, each = 4, 25
    moves = {DiskStatus.AVAILABLE: DiskStatus.ATTACHING, DiskStatus.ATTACHING: DiskStatus.AVAILABLE}

    def move(tx):
        before = DiskStatus(disks.find(tx, id=row.id).status)
        disks.move(tx, before, moves[before], {}, id=row.id)

    threads = [threading.Thread(target=lambda: [database.write(move) for _ in range(each)]) for _ in range(turns)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    changes = told(listener)
    assert len(changes) == 1 + turns * each
    assert all(one.new == after.old for one, after in pairwise(changes))


def test_who_commits_next_is_not_told_before_whom_a_thread_switch_held_up(database, listener):
    """Two transactions on one row: the first has committed and told nothing yet when the second wants to commit."""
    row = a_row("disk", status=DiskStatus.AVAILABLE)
    database.write(lambda tx: disks.insert(tx, row))
    told(listener)
    first, second = DiskStatus.ATTACHING, DiskStatus.IN_USE
    is_first_committed, is_second_there, is_second_committed = (threading.Event() for _ in range(3))

    def hook(point: str) -> None:
        is_of_first = threading.current_thread() is threads[0]
        if point == "database.before_commit" and not is_of_first:
            is_second_there.set()
        if point == "database.committed" and is_of_first:
            is_first_committed.set()
            # On SQLite the second does not even begin.
            assert database.is_sqlite or is_second_there.wait(300)
            is_second_committed.wait(0.3)
        elif point == "database.committed":
            is_second_committed.set()

    def follow() -> None:
        is_first_committed.wait(300)
        database.write(lambda tx: disks.move(tx, first, second, {}, id=row.id))

    threads = [
        threading.Thread(
            target=lambda: database.write(lambda tx: disks.move(tx, DiskStatus(row.status), first, {}, id=row.id))
        ),
        threading.Thread(target=follow),
    ]
    killpoints.listen(hook)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        killpoints.listen(None)

    assert [change.new for change in told(listener)] == [first, second]


def changes_of(count: int, noun: str = "image") -> list[Change]:
    return [Change(noun, f"m-{n}", None, "Available", "1") for n in range(count)]


def test_a_listener_that_lags_is_told_that_it_missed_something():
    hub = Hub()
    listener = hub.listen(most=3)
    first, second, third, fourth = changes_of(4)

    hub.tell([first, second])
    hub.tell([third, fourth])
    hub.tell([first])
    news, after = listener.take(), listener.take(0.0)

    assert (news.changes, news.has_missed) == ((first,), True)
    assert (after.changes, after.has_missed) == ((), False)


def test_a_transaction_larger_than_a_queue_is_told_as_missed():
    hub = Hub()
    listener = hub.listen(most=3)

    hub.tell(changes_of(4))

    assert listener.take() == ((), True)


def test_a_listener_that_never_looks_holds_up_nobody_and_grows_no_further():
    hub = Hub()
    deaf, heard = hub.listen(most=10), hub.listen(most=100_000)
    (one,) = changes_of(1)

    for _ in range(10_000):
        hub.tell([one])

    assert len(heard.take().changes) == 10_000
    news = deaf.take()
    assert news.has_missed
    assert len(news.changes) <= 10


def test_a_listener_that_breaks_neither_breaks_the_writer_nor_deafens_the_others(database):
    broken, sound = database.hub.listen(), database.hub.listen()
    broken._waiting = None  # Whatever is done with it raises.
    row = a_row("image", status="Creating")
    try:
        database.write(lambda tx: images.insert(tx, row))

        assert [change.id for change in told(sound)] == [row.id]
    finally:
        database.hub.forget(broken)
        sound.close()


def test_tells_a_listener_of_the_nouns_that_it_asked_for():
    hub = Hub()
    listener = hub.listen(("task",))

    hub.tell([*changes_of(2), *changes_of(1, "task"), *changes_of(1, "disk")])

    assert [change.noun for change in told(listener)] == ["task"]


@pytest.mark.parametrize("how", ["wake", "close"])
def test_a_listener_that_waits_is_woken(how):
    hub = Hub()
    listener = hub.listen()
    took = []
    thread = threading.Thread(target=lambda: took.append(listener.take()))
    thread.start()

    getattr(listener, how)()
    thread.join()

    assert took == [((), False)]


def test_a_listener_that_was_closed_hears_no_more():
    hub = Hub()
    listener = hub.listen()
    listener.close()

    hub.tell(changes_of(1))

    assert told(listener) == []


def test_writers_and_listeners_of_many_threads_lose_nothing():
    hub = Hub()
    listener = hub.listen(most=1_000_000)
    writers, each = 8, 500
    heard: list[Change] = []
    passing = threading.Event()

    def write(name):
        for n in range(each):
            hub.tell([Change("image", f"{name}-{n}", None, "Available", "1")])

    def come_and_go():
        while not passing.is_set():
            hub.listen().close()

    threads = [threading.Thread(target=write, args=(name,)) for name in range(writers)]
    passer = threading.Thread(target=come_and_go)
    for thread in (*threads, passer):
        thread.start()
    while len(heard) < writers * each:
        heard += listener.take(20.0).changes
    for thread in threads:
        thread.join()
    passing.set()
    passer.join()

    assert len(hub.ears) == 1
    assert {change.id for change in heard} == {f"{name}-{n}" for name in range(writers) for n in range(each)}
    for name in range(writers):
        own = [change.id for change in heard if change.id.startswith(f"{name}-")]
        assert own == [f"{name}-{n}" for n in range(each)]
