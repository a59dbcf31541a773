"""Sessions of terminals: what is kept of them, who joins them, and who hears that they are over."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from kiln.calls.terminals import ENDED, MOST_CONNECTED, OVER, TerminalRefused, Terminals, find, hash_of
from kiln.ground import killpoints
from kiln.store import terminals as rows
from kiln.store.changes import Change
from kiln.store.terminals import CONNECTED, CONNECTING, FAILED, KEPT_OF_ACCOUNT, TERMINATED, URL_S, Terminal, terminals

NOW = 1_795_000_000.0


def a_session(number: int, **more) -> Terminal:
    about = {"account": "1", "region": "r", "instance": "i-1", "access_key_id": "k", "created_at": NOW + number}
    about |= dict.fromkeys(("role", "role_name", "role_parent", "client_host", "reason", "door"), "")
    about |= {"status": CONNECTING, "role_expires_at": 0.0, "started_at": None, "ended_at": None}
    return Terminal(id=f"ts-{number}", token_hash=hash_of(f"token-{number}"), **(about | more))


class Process:
    """One of those that share a database."""

    def __init__(self, database, door: str = "") -> None:
        self.database, self.it, self.told = database, Terminals(), []
        self.it.door = door
        database.hub.attach(self.it)

    def join(self, number: int, token: str | None = None, now: float = NOW) -> Terminal:
        given = f"token-{number}" if token is None else token
        return self.it.join(self.database, f"ts-{number}", given, now, self.told.append)


@pytest.fixture
def process(sqlite):
    return Process(sqlite)


def add(database, *sessions) -> None:
    for session in sessions:
        database.write(lambda tx, session=session: rows.add(tx, session))


def look(database, number: int, now: float = NOW) -> Terminal | None:
    with database.read() as tx:
        return find(tx, f"ts-{number}", now)


def test_forgets_the_oldest_that_are_over_and_none_that_is_open(process, sqlite):
    over = {"status": TERMINATED, "ended_at": NOW}
    add(sqlite, a_session(0), a_session(1, account="2", **over))
    process.join(0)
    kept = [a_session(number, **over) for number in range(2, KEPT_OF_ACCOUNT + 2)]
    sqlite.write(lambda tx: terminals.insert(tx, *kept))

    add(sqlite, a_session(KEPT_OF_ACCOUNT + 2))

    with sqlite.read() as tx:
        assert terminals.count(tx, account="1") in (KEPT_OF_ACCOUNT, KEPT_OF_ACCOUNT + 1)
    assert look(sqlite, 0).status == CONNECTED
    assert look(sqlite, 1) is not None
    assert look(sqlite, 2) is None


def test_what_has_failed_or_ended_once_stays_so(process, sqlite):
    add(sqlite, a_session(1))
    process.join(1)
    process.it.end(sqlite, "ts-1", "no console", NOW + 3, has_failed=True)
    process.it.end(sqlite, "ts-1", "its client left", NOW + 4)

    found = look(sqlite, 1)

    assert (found.status, found.reason, found.ended_at) == (FAILED, "no console", NOW + 3)


def test_a_token_is_compared_as_bytes_whatever_it_is(process, sqlite):
    add(sqlite, a_session(1))

    for token in ("", "\udcff", "token-1 ", "t" * 100_000):
        with pytest.raises(TerminalRefused, match="not its token"):
            process.join(1, token)
    assert process.join(1, now=NOW + 2).started_at == NOW + 2


def test_who_has_not_the_token_waits_for_no_writer_of_the_database(process, sqlite):
    add(sqlite, a_session(1))
    begun, go_on = threading.Event(), threading.Event()

    def write(_):
        begun.set()
        assert go_on.wait(300)

    with ThreadPoolExecutor(2) as threads:
        writing = threads.submit(sqlite.write, write)
        assert begun.wait(300)
        try:
            guessed = threads.submit(process.join, 1, "guessed").exception(300)
        finally:
            go_on.set()
        writing.result(300)

    assert "not its token" in str(guessed)


@pytest.mark.postgresql
def test_an_id_that_no_database_takes_is_told_as_one_that_there_is_not(postgresql_opened):
    joining = Process(postgresql_opened)
    with pytest.raises(TerminalRefused, match="no such session"):
        joining.it.join(postgresql_opened, "ts-\0", "token", NOW, joining.told.append)


def test_one_of_two_processes_joins_what_both_are_asked_for_at_once(sqlite):
    one, other = Process(sqlite, "one"), Process(sqlite, "other")
    add(sqlite, *map(a_session, range(20)))

    def join(process, number):
        try:
            return process.join(number).door
        except TerminalRefused as refused:
            assert "joined before" in str(refused)  # noqa: PT017 - the other has it.
            return None

    with ThreadPoolExecutor(4) as threads:
        for number in range(20):
            joined = list(threads.map(join, [one, other, one, other], [number] * 4))
            (door,) = filter(None, joined)
            sqlite.write(lambda tx, number=number: rows.end(tx, f"ts-{number}", "done", NOW))
            assert look(sqlite, number).door == door


def test_the_statement_that_joins_does_so_once_and_with_the_token_alone(sqlite):
    add(sqlite, a_session(1))

    def join(token):
        return sqlite.write(lambda tx: rows.join(tx, "ts-1", hash_of(token), "door", NOW))

    assert [join(token) for token in ("guessed", "token-1", "token-1")] == [False, True, False]


def test_one_that_is_ended_elsewhere_is_ended_where_it_is_joined(sqlite):
    one, other = Process(sqlite, "one"), Process(sqlite, "other")
    add(sqlite, a_session(1), a_session(2))
    one.join(1)
    other.join(2)

    sqlite.write(lambda tx: rows.end(tx, "ts-1", ENDED, NOW + 1))

    assert (one.told, other.told) == ([OVER], [])


def test_news_of_its_end_is_heard_also_before_the_join_has_returned(process, sqlite):
    add(sqlite, a_session(1))
    over = Change(rows.NOUN, "ts-1", CONNECTED, TERMINATED, "1")
    killpoints.listen(lambda point: point == "database.committed" and process.it.put([over]))
    try:
        process.join(1)
    finally:
        killpoints.listen(None)

    assert process.told == [OVER]


def test_who_has_not_the_token_ends_nobody_who_has(process, sqlite):
    add(sqlite, a_session(1))
    process.join(1)
    for _ in range(3):
        with pytest.raises(TerminalRefused):
            process.join(1, "guessed")

    sqlite.write(lambda tx: rows.end(tx, "ts-1", ENDED, NOW + 1))

    assert process.told == [OVER]  # Those who guessed are forgotten: each who is known would be told.


def test_counts_those_of_an_instance_wherever_they_are_joined(sqlite):
    one, other = Process(sqlite, "one"), Process(sqlite, "other")
    add(sqlite, *(a_session(number) for number in range(MOST_CONNECTED + 1)))
    for number in range(MOST_CONNECTED):
        (one, other)[number % 2].join(number)

    with pytest.raises(TerminalRefused, match="20 sessions are joined to i-1"):
        one.join(MOST_CONNECTED)


def test_one_whose_url_was_not_used_in_time_cannot_be_joined(process, sqlite):
    add(sqlite, a_session(0))
    assert look(sqlite, 0, NOW + URL_S).status == TERMINATED
    with pytest.raises(TerminalRefused, match="is over"):
        process.join(0, now=NOW + URL_S)


def test_those_of_a_door_that_has_ended_are_over_and_no_others(sqlite):
    add(sqlite, *map(a_session, range(3)))
    Process(sqlite, "gone").join(0)
    Process(sqlite, "other").join(1)

    sqlite.write(lambda tx: rows.door_gone(tx, "gone", NOW + 5))

    assert [look(sqlite, number).status for number in range(3)] == [TERMINATED, CONNECTED, CONNECTING]
    assert look(sqlite, 0).reason == "the Kiln where it was joined has ended"
    sqlite.write(lambda tx: rows.door_gone(tx, "other", NOW + 5, is_given_up=True))
    assert "the others gave up" in look(sqlite, 1).reason
