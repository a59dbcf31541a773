"""Transactions: whole or not at all, on both databases, and connections that are used again."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError

from kiln.declare.metrics import DATABASE_RETRIES
from kiln.store import database as database_module
from kiln.store import idle, schema
from kiln.store.database import Database, Transaction, open_postgresql, open_sqlite
from kiln.store.errors import DatabaseFull
from kiln.store.line import Hands
from kiln.store.tags import Tag, tags
from tests.store.interrupted import rounds

TAG = Tag(account="1", resource_type="image", resource="m-1", key="k", value="v")


class Refused(Exception):
    pass


def keys(database):
    with database.read() as tx:
        return [tag.key for tag in tags.all(tx)]


def a_tag(key):
    return Tag(account="1", resource_type="image", resource="m-1", key=key, value="")


def test_a_write_that_raises_leaves_nothing_and_the_next_one_works(database):
    def work(tx):
        tags.insert(tx, TAG)
        raise Refused

    with pytest.raises(Refused):
        database.write(work)
    database.write(lambda tx: tags.insert(tx, a_tag("next")))

    assert keys(database) == ["next"]


def test_a_statement_that_fails_is_told_as_sqlalchemy_tells_it(database):
    database.write(lambda tx: tags.insert(tx, TAG))

    with pytest.raises(IntegrityError):
        database.write(lambda tx: tags.insert(tx, a_tag("other"), TAG))

    assert keys(database) == ["k"]


def test_work_that_raises_has_written_nothing(database):
    def refuse(tx):
        tags.insert(tx, TAG)
        raise Refused

    with pytest.raises(Refused):
        database.write(refuse)
    assert keys(database) == []


def test_what_follows_a_commit_sees_it_and_never_follows_a_rollback(database):
    seen = []

    def work(tx):
        tags.insert(tx, TAG)
        tx.after_commit(lambda: seen.append(keys(database)))

    def refused(tx):
        tx.after_commit(lambda: seen.append("never"))
        raise Refused

    database.write(work)
    with pytest.raises(Refused):
        database.write(refused)

    assert seen == [["k"]]


def test_a_read_sees_one_moment(database):
    with database.read() as tx:
        before = tags.count(tx, account="1")
        database.write(lambda tx: tags.insert(tx, TAG))

        assert tags.count(tx, account="1") == before == 0
        assert tags.all(tx, tags.c.account == "1") == []
    assert keys(database) == ["k"]


def test_a_reader_that_raises_leaves_its_connection_fit_for_the_next(database):
    def refuse(tx):
        tags.all(tx, tags.c.account == "1")
        raise Refused

    with pytest.raises(Refused), database.read() as tx:
        refuse(tx)

    database.write(lambda tx: tags.insert(tx, TAG))

    assert keys(database) == ["k"]


def test_many_threads_write_one_after_the_other(database):
    def work(n):
        for m in range(5):
            database.write(lambda tx, m=m: tags.insert(tx, a_tag(f"{n}-{m}")))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(keys(database)) == sorted(f"{n}-{m}" for n in range(6) for m in range(5))


@pytest.mark.postgresql
def test_whoever_is_in_anothers_way_is_asked_again_and_counted(postgresql_address):
    database = open_postgresql(postgresql_address)
    schema.create(database)
    database.write(lambda tx: tags.insert(tx, a_tag("k")))
    before, asked = DATABASE_RETRIES.value("serialization"), []

    def work(tx):
        asked.append(tags.all(tx))
        if len(asked) == 1:
            database.write(lambda other: tags.update(other, {"value": "theirs"}, key="k"))
        tags.update(tx, {"value": asked[-1][0].value + "+ours"}, key="k")

    database.write(work)

    with database.read() as tx:
        assert [tag.value for tag in tags.all(tx)] == ["theirs+ours"]
    database.close()
    assert len(asked) == 2
    # As ``kiln_database_retries_total`` has it.
    assert DATABASE_RETRIES.value("serialization") - before == 1


def test_a_closed_sqlite_holds_no_file_open(tmp_path, sqlite):
    sqlite.close()

    again = open_sqlite(tmp_path / "kiln.sqlite")
    again.write(lambda tx: tags.insert(tx, TAG))
    again.close()

    assert [path.name for path in tmp_path.iterdir()] == ["kiln.sqlite"]


def test_one_that_is_closed_at_any_line_of_a_read_keeps_no_connection(tmp_path):
    made = []

    def opened():
        one = open_sqlite(tmp_path / "kiln.sqlite")
        event.listen(one.engine, "connect", lambda connection, _: made.append(connection))
        return one

    def read(one):
        with one.read() as tx:
            tx.driver("SELECT 1", ())

    lines = [[is_open(connection) for connection in made] for _ in rounds(read, opened, database_module, idle)]

    assert len(lines) > 10
    assert not any(map(any, lines))


def is_open(connection):
    """Whether a connection to SQLite was not closed."""
    try:
        connection.execute("SELECT 1")
    except sqlite3.ProgrammingError:
        return False
    return True


class Room:
    """A database that may have no more pages than now, until somebody makes room. SQLite says that its disk is full."""

    def __init__(self, database: Database, *, helps: bool) -> None:
        with database.read() as tx:
            (self.pages,) = tx.driver("PRAGMA page_count", ()).fetchone()
        self.helps = helps
        self.asked = 0
        database.make_room = self.make

    def make(self) -> bool:
        self.asked += 1
        self.pages += 1000 if self.helps else 0
        return self.helps

    def work(self, tx: Transaction) -> None:
        tx.driver(f"PRAGMA max_page_count={self.pages}", ()).fetchone()
        tx.driver("CREATE TABLE IF NOT EXISTS something (bytes)", ())
        tx.driver("INSERT INTO something VALUES (zeroblob(100000))", ())


def test_makes_room_for_what_gives_space_back(tmp_path):
    database = open_sqlite(tmp_path / "kiln.sqlite")
    room = Room(database, helps=True)

    database.write(room.work, gives_back=True)

    assert room.asked == 1
    with database.read() as tx:
        assert tx.driver("SELECT count(*) FROM something", ()).fetchone() == (1,)
    database.close()


@pytest.mark.parametrize(("gives_back", "helps", "asked"), [(False, True, 0), (True, False, 1)])
def test_is_full_for_what_takes_room_and_when_there_is_none_to_make(tmp_path, gives_back, helps, asked):
    database = open_sqlite(tmp_path / "kiln.sqlite")
    room = Room(database, helps=helps)

    with pytest.raises(DatabaseFull):
        database.write(room.work, gives_back=gives_back)

    assert room.asked == asked
    database.close()


def test_tells_who_handed_in_what_came_of_it(database):
    told, touched = [], []
    database.tell = touched.append

    def then(outcome_of):
        try:
            told.append(outcome_of())
        except ZeroDivisionError as error:
            told.append(type(error))

    def touches(tx):
        tx.touched.add(("image", "m-1"))
        tx.after_commit(lambda: told.append("followed"))
        return "done"

    def fails(tx):
        touches(tx)
        return 1 / 0

    for work in (touches, fails):
        database.hand_in(work, then, Hands(lambda job: job()))

    assert (told, touched) == (["followed", "done", ZeroDivisionError], [{("image", "m-1")}])


@pytest.mark.parametrize(("gives_back", "helps", "ends"), [(True, True, [None]), (True, False, []), (False, True, [])])
def test_makes_room_for_what_is_handed_in_and_gives_space_back(tmp_path, gives_back, helps, ends):
    database = open_sqlite(tmp_path / "kiln.sqlite")
    room, told = Room(database, helps=helps), []

    def then(outcome_of):
        try:
            told.append(outcome_of())
        except DatabaseFull as error:
            room.error = error

    database.hand_in(room.work, then, Hands(lambda job: job()), gives_back=gives_back)

    assert (told, room.asked, hasattr(room, "error")) == (ends, int(gives_back), not ends)
    database.close()


def test_room_that_another_has_made_is_room_too(sqlite):
    made = []

    def make_room():
        made.append(threading.current_thread().name)
        return True

    sqlite.make_room = make_room
    before = sqlite._rooms_made

    with ThreadPoolExecutor(8) as callers:
        told = list(callers.map(lambda _: sqlite._has_room_made(before), range(8)))

    assert (told, len(made)) == ([True] * 8, 1)
    sqlite.make_room = lambda: False
    assert not sqlite._has_room_made(sqlite._rooms_made)
