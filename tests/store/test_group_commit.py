"""Callers that wait together on SQLite: one commit, and to each what it would have had alone."""

from __future__ import annotations

import itertools
import os
import resource
import shutil
import signal
import sqlite3
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import event, insert
from sqlalchemy.exc import IntegrityError

from kiln.ground import killpoints
from kiln.store.changes import Change
from kiln.store.database import open_sqlite
from kiln.store.errors import DatabaseBusy, DatabaseFull, DatabaseMalformed
from kiln.store.line import MOST, Hands
from kiln.store.tags import Tag, tags

PATIENCE_S = 300
KILLED = 137


class Refused(Exception):
    pass


@pytest.fixture
def points():
    """The kill points that were passed, in order."""
    passed = []
    killpoints.listen(passed.append)
    yield passed
    killpoints.listen(None)


def a_tag(key):
    return Tag(account="1", resource_type="image", resource="m-1", key=key, value="")


def keys(database):
    with database.read() as tx:
        return sorted(tag.key for tag in tags.all(tx))


def adds(key):
    def work(tx):
        tags.insert(tx, a_tag(key))
        return f"added {key}"

    return work


def adds_and_refuses(key):
    def work(tx):
        tags.insert(tx, a_tag(key))
        raise Refused(key)

    return work


def stand_in_line(database, count):
    """Wait until so many do."""
    deadline = time.monotonic() + PATIENCE_S
    while len(database.line) < count:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def sleeps(database, work, callers):
    """Have *work* done while the caller waits."""
    return callers.submit(database.write, work)


def hands_in(database, work, callers):
    """Have *work* done for a caller who goes on."""
    got = Future()

    def then(outcome_of):
        try:
            got.set_result(outcome_of())
        except BaseException as error:  # noqa: BLE001 - the test looks at it.
            got.set_exception(error)

    database.hand_in(work, then, Hands(callers.submit))
    return got


@pytest.fixture(params=[(sleeps,), (hands_in,), (sleeps, hands_in)], ids=["sleep", "hand in", "do both"])
def ways(request):
    return itertools.cycle(request.param)


@pytest.fixture
def together(ways):
    """What each caller got, where the others came, one after the other, while the first did its work."""

    def together(database, *works):
        database.line.longest_seconds = PATIENCE_S  # On a busy machine it takes some time until all have come.
        has_begun, are_all_here = threading.Event(), threading.Event()

        def first(tx):
            has_begun.set()
            assert are_all_here.wait(PATIENCE_S)
            return works[0](tx)

        with ThreadPoolExecutor(len(works) + 1) as callers:
            got = [callers.submit(lambda: next(ways)(database, first, callers).result())]
            assert has_begun.wait(PATIENCE_S)
            for n, work in enumerate(works[1:], 1):
                got.append(next(ways)(database, work, callers))
                stand_in_line(database, n)
            are_all_here.set()
            return [outcome(one) for one in got]

    return together


def outcome(one: Future):
    return one.exception() or one.result()


def test_share_one_commit_and_have_each_their_own_answer(sqlite, points, together):
    assert together(sqlite, adds("a"), adds("b"), adds("c")) == ["added a", "added b", "added c"]

    assert points == ["database.before_commit", "database.committed"]
    assert keys(sqlite) == ["a", "b", "c"]


def test_a_caller_alone_never_waits(sqlite):
    got = []

    sqlite.hand_in(adds("a"), lambda outcome_of: got.append(outcome_of()), Hands(got.append))

    assert got == ["added a"]


def test_who_hands_in_goes_on_and_is_told_after_the_commit(sqlite):
    has_begun, goes_on, told = threading.Event(), threading.Event(), []

    def leads(tx):
        has_begun.set()
        assert goes_on.wait(PATIENCE_S)

    with ThreadPoolExecutor(1) as callers:
        leading = callers.submit(sqlite.write, leads)
        assert has_begun.wait(PATIENCE_S)
        sqlite.hand_in(adds("a"), lambda outcome_of: told.append((outcome_of(), keys(sqlite))), Hands(callers.submit))
        assert told == []
        goes_on.set()
        leading.result()

    assert told == [("added a", ["a"])]


def test_one_whose_answer_fails_keeps_nobody_from_theirs(sqlite, caplog):
    has_begun, goes_on, told = threading.Event(), threading.Event(), []

    def leads(tx):
        has_begun.set()
        assert goes_on.wait(PATIENCE_S)

    with ThreadPoolExecutor(1) as callers:
        leading = callers.submit(sqlite.write, leads)
        assert has_begun.wait(PATIENCE_S)
        sqlite.hand_in(adds("a"), lambda _: 1 / 0, Hands(callers.submit))
        sqlite.hand_in(adds("b"), lambda outcome_of: told.append(outcome_of()), Hands(callers.submit))
        goes_on.set()
        leading.result()

    assert told == ["added b"]
    assert keys(sqlite) == ["a", "b"]
    assert [record.getMessage() for record in caplog.records] == ["answer_lost"]


def test_are_no_more_than_so_many(sqlite, points, together):
    together(sqlite, *(adds(f"{n:03}") for n in range(MOST + 3)))

    assert len(keys(sqlite)) == MOST + 3
    assert points.count("database.committed") >= 2


def test_nobody_else_sees_any_of_it_before_the_commit(sqlite, together):
    seen = []

    def looks(tx):
        with ThreadPoolExecutor(1) as other:
            seen.append(other.submit(keys, sqlite).result())
        return adds("b")(tx)

    together(sqlite, adds("a"), looks)

    assert seen == [[]]


@pytest.mark.parametrize("refused", [0, 1, 2])
def test_who_is_refused_has_written_nothing_and_the_others_all_of_theirs(sqlite, refused, together):
    works = [adds(key) for key in "abc"]
    works[refused] = adds_and_refuses("abc"[refused])

    got = together(sqlite, *works)

    assert isinstance(got.pop(refused), Refused)
    left = [key for n, key in enumerate("abc") if n != refused]
    assert got == [f"added {key}" for key in left]
    assert keys(sqlite) == left


def by_the_driver(tx):
    tags.insert(tx, a_tag("b"), a_tag("a"))


def by_sqlalchemy(tx):
    tx.execute(insert(tags.table), [vars(a_tag("b")), vars(a_tag("a"))])


@pytest.mark.parametrize("work", [by_the_driver, by_sqlalchemy])
def test_a_key_that_an_earlier_one_took_is_taken(sqlite, work, together):
    got = together(sqlite, adds("a"), work, adds("c"))

    assert [got[0], got[2]] == ["added a", "added c"]
    assert isinstance(got[1], IntegrityError)
    assert keys(sqlite) == ["a", "c"]
    sqlite.write(adds("next"))


def test_what_ends_a_thread_ends_its_own_caller_alone(sqlite, together):
    def leaves(tx):
        tags.insert(tx, a_tag("b"))
        raise SystemExit(3)

    got = together(sqlite, adds("a"), leaves, adds("c"))

    assert isinstance(got[1], SystemExit)
    assert keys(sqlite) == ["a", "c"]


def test_what_follows_a_commit_follows_the_shared_one(sqlite, together):
    seen = {}

    def follows(key, work):
        def whole(tx):
            tx.after_commit(lambda: seen.update({key: keys(sqlite)}))
            return work(tx)

        return whole

    together(sqlite, follows("a", adds("a")), follows("b", adds_and_refuses("b")), follows("c", adds("c")))

    assert seen == {"a": ["a", "c"], "c": ["a", "c"]}


def test_each_change_is_told_once_and_by_its_own_caller(sqlite, together):
    told = []
    sqlite.tell = told.append

    def touches(name):
        def work(tx):
            tx.touched.add(("image", name))

        return work

    together(sqlite, touches("a"), touches("b"))

    assert sorted(map(list, told)) == [[("image", "a")], [("image", "b")]]


def test_the_hub_is_told_in_the_order_of_commits_and_of_what_was_committed_alone(sqlite, together):
    listener = sqlite.hub.listen()

    def changes(name, work):
        def whole(tx):
            tx.changes.append(Change("image", name, None, "Available", "1", is_shown=True))
            return work(tx)

        return whole

    together(sqlite, changes("c", adds("c")), changes("b", adds_and_refuses("b")), changes("a", adds("a")))

    assert [change.id for change in listener.take(0).changes] == ["c", "a"]


def test_a_refused_one_leaves_no_read_open(sqlite, together):
    def looks_and_refuses(tx):
        found = tx.driver("SELECT key FROM tags", ())
        found.fetchone()
        raise Refused

    sqlite.write(lambda tx: tags.insert(tx, a_tag("x"), a_tag("y")))
    got = together(sqlite, adds("a"), looks_and_refuses)  # Keeps the error, and all that its traceback holds.

    other = open_sqlite(sqlite.engine.url.database)
    other.write(adds("b"))
    other.close()
    sqlite.write(adds("c"))

    assert isinstance(got[1], Refused)
    assert keys(sqlite) == ["a", "b", "c", "x", "y"]


def has_room(work, pages):
    def whole(tx):
        tx.driver(f"PRAGMA max_page_count={pages}", ()).fetchone()
        return work(tx)

    return whole


def test_the_others_have_room_though_one_has_none(sqlite, together):
    def is_large(tx):
        tx.driver("CREATE TABLE large (bytes)", ())
        tx.driver("INSERT INTO large VALUES (zeroblob(10000000))", ())

    roomy = [has_room(adds(key), 1_000_000) for key in "ac"]
    got = together(sqlite, roomy[0], has_room(is_large, 100), roomy[1])

    assert isinstance(got[1], DatabaseFull)
    assert [got[0], got[2]] == ["added a", "added c"]
    assert keys(sqlite) == ["a", "c"]


def rolls_back(tx):
    tx.driver("ROLLBACK", ())


def rolls_back_and_fails(tx):
    rolls_back(tx)
    raise Refused


@pytest.mark.parametrize("work", [rolls_back, rolls_back_and_fails])
def test_the_others_lose_nothing_where_one_ended_the_transaction_of_all(sqlite, work, together):
    got = together(sqlite, adds("a"), work, adds("c"))

    assert isinstance(got[1], Exception)
    assert [got[0], got[2]] == ["added a", "added c"]
    assert keys(sqlite) == ["a", "c"]


def test_a_transaction_that_ended_by_itself_is_not_answered_as_done(sqlite):
    with pytest.raises(Exception, match="had ended"):
        sqlite.write(rolls_back)


def test_the_first_who_ended_its_transaction_takes_nobody_along(sqlite, together):
    got = together(sqlite, rolls_back, adds("b"), adds("c"))

    assert isinstance(got[0], Exception)
    assert got[1:] == ["added b", "added c"]
    assert keys(sqlite) == ["b", "c"]


def test_a_group_is_complete_when_it_has_taken_long(sqlite, points, ways):
    sqlite.line.longest_seconds = 0
    has_begun, are_all_here = threading.Event(), threading.Event()

    def slow(tx):
        has_begun.set()
        assert are_all_here.wait(PATIENCE_S)
        return adds("a")(tx)

    with ThreadPoolExecutor(3) as callers:
        first = callers.submit(sqlite.write, slow)
        assert has_begun.wait(PATIENCE_S)
        second = next(ways)(sqlite, adds("b"), callers)
        stand_in_line(sqlite, 1)
        are_all_here.set()
        assert second.result() == "added b"

    assert (first.result(), second.result()) == ("added a", "added b")
    assert points.count("database.committed") == 2


def test_damage_that_one_meets_stops_all(sqlite, together):
    def meets(tx):
        raise DatabaseMalformed("an index leads elsewhere")

    got = together(sqlite, adds("a"), meets, adds("c"))

    assert [type(one) for one in got] == [DatabaseMalformed] * 3
    assert keys(sqlite) == []


@pytest.fixture
def disk_fails_at_commit(sqlite):
    """The log cannot grow from the first commit on, until the next one is to begin."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def fail(point):
        if point == "database.before_commit":
            killpoints.listen(None)
            log = Path(f"{sqlite.engine.url.database}-wal")
            resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size, before[1]))

    killpoints.listen(fail)
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, before)
    killpoints.listen(None)
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, ignored)


def test_a_shared_commit_that_fails_fails_all_and_the_next_one_works(sqlite, disk_fails_at_commit, together):
    followed = []

    def follows(tx):
        tx.after_commit(lambda: followed.append(1))
        return adds("a")(tx)

    got = together(sqlite, follows, adds_and_refuses("b"), adds("c"))
    disk_fails_at_commit()

    assert ["disk I/O error" in str(one) for one in got] == [True] * 3
    assert (keys(sqlite), followed) == ([], [])
    sqlite.write(adds("next"))
    assert keys(sqlite) == ["next"]


def in_child(work):
    """Have *work* done in a process of its own; returns its exit status."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        work()
    finally:
        os._exit(1)


def test_who_waits_behind_one_whom_another_process_keeps_out_does_not_wait_as_long_anew(tmp_path, sqlite_file, ways):
    path, begun = shutil.copy(sqlite_file, tmp_path / "kiln.sqlite"), []
    opened = open_sqlite(Path(path))

    def prepare(connection, _):
        connection.execute("PRAGMA busy_timeout=5000")
        connection.set_trace_callback(lambda said: begun.append(said) if said.startswith("BEGIN") else None)

    event.listen(opened.engine, "connect", prepare)
    with sqlite3.connect(path, isolation_level=None) as other, ThreadPoolExecutor(9) as callers:
        other.execute("BEGIN IMMEDIATE")
        first = callers.submit(lambda: next(ways)(opened, adds("a"), callers).result())
        while not begun:
            time.sleep(0.001)
        behind = [next(ways)(opened, adds(key), callers) for key in "bcd"]
        errors = [outcome(one) for one in (first, *behind)]
        other.execute("ROLLBACK")

        assert opened.write(adds("e")) == "added e"

    assert [type(error) for error in errors] == [DatabaseBusy] * 4
    assert len(set(map(id, errors))) == 4
    assert len(begun) == 2
    assert keys(opened) == ["e"]
    opened.close()


@pytest.mark.parametrize(("point", "left"), [("database.before_commit", []), ("database.committed", ["a", "b", "c"])])
def test_a_kill_at_the_shared_commit_leaves_all_or_nothing_and_answers_nobody(
    tmp_path, sqlite_file, point, left, together
):
    path = shutil.copy(sqlite_file, tmp_path / "kiln.sqlite")

    def dies():
        database = open_sqlite(path)
        killpoints.listen(lambda passed: os._exit(KILLED) if passed == point else None)
        together(database, *(adds(key) for key in "abc"))

    assert in_child(dies) == KILLED

    again = open_sqlite(path)
    assert keys(again) == left
    again.close()


def test_who_was_answered_is_there_after_a_kill_at_any_moment(tmp_path, sqlite_file):
    path = shutil.copy(sqlite_file, tmp_path / "kiln.sqlite")
    reading, writing = os.pipe()

    def writes_on(n):
        database_keys = (f"{n}-{m}" for m in range(100_000))
        for key in database_keys:
            database.write(adds(key))
            os.write(writing, f"{key}\n".encode())

    child = os.fork()
    if not child:
        try:
            database = open_sqlite(path)
            with ThreadPoolExecutor(16) as callers:
                for one in [callers.submit(writes_on, n) for n in range(16)]:
                    one.result()
        finally:
            os._exit(1)
    os.close(writing)
    said = b""
    while said.count(b"\n") < 500:
        said += os.read(reading, 65536)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while more := os.read(reading, 65536):
        said += more
    os.close(reading)

    again = open_sqlite(path)
    assert set(said.decode().split()) <= set(keys(again))
    again.close()
