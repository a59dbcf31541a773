"""What PostgreSQL says of itself, by real servers that are stopped, locked, full of connections, or read only."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import text

from kiln.store import schema, tokens
from kiln.store.conninfo import Server
from kiln.store.database import open_postgresql
from kiln.store.errors import DatabaseBusy, DatabaseDown
from kiln.store.standing import OLDEST, Standing, faults_of, first_fault, standing
from kiln.store.tokens import Token
from tests.postgresql import name_of, server_made
from tests.waiting import wait_for

pytestmark = pytest.mark.postgresql

_LOCK = text("LOCK TABLE tokens")


@pytest.fixture
def opened(postgresql_tables):
    """Opens the test's database with bounds of one's own; it has its tables."""
    found = []

    def open_with(**bounds):
        found.append(open_postgresql(Server(address=postgresql_tables, **bounds)))
        return found[-1]

    yield open_with
    for one in found:
        one.close()


def insert(database):
    token = Token(account="a", action="b", token="c", digest="d", answer="e", created_at=0.0)
    database.write(lambda tx: tokens.tokens.insert(tx, token))


def count(database):
    with database.read() as tx:
        return tokens.tokens.count(tx)


def test_a_server_that_went_and_came_back_is_used_again():
    with server_made() as server:
        server.start()
        database = open_postgresql(server.address)
        schema.create(database)
        assert count(database) == 0
        server.stop()
        for ask in (count, insert):
            with pytest.raises(DatabaseDown):
                ask(database)
        server.start()
        insert(database)
        assert count(database) == 1
        database.close()


def test_a_server_that_goes_in_the_middle_of_a_transaction_undoes_it():
    with server_made() as server:
        server.start()
        database = open_postgresql(server.address)
        schema.create(database)

        def work(tx):
            server.stop()
            tokens.tokens.delete(tx)

        with pytest.raises(DatabaseDown) as down:
            database.write(work)
        assert "DELETE" not in str(down.value)
        database.close()


def counted(database):
    """As ``count``; None where the server was too slow for one that has no patience."""
    try:
        return count(database)
    except DatabaseBusy:
        return None


def test_what_another_has_locked_is_waited_for_no_longer_than_is_said(opened):
    other, impatient, hasty = opened(), opened(lock_s=0.2), opened(statement_s=0.2, lock_s=0)
    with other.engine.begin() as connection:
        connection.execute(_LOCK)
        for database in (impatient, hasty):
            with pytest.raises(DatabaseBusy, match="timeout"):
                insert(database)
    insert(impatient)
    wait_for(lambda: counted(hasty) == 1)


def test_no_more_connections_are_made_than_are_said(opened):
    database, held, done = opened(connections=1, connect_s=0.2), threading.Event(), threading.Event()

    def hold():
        with database.read():
            held.set()
            done.wait(300)

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert held.wait(300)
        with pytest.raises(DatabaseBusy, match="every connection"):
            count(database)
    finally:
        done.set()
        holder.join()
    assert count(database) == 0


def test_a_server_that_takes_no_writes_is_told(opened, postgresql_tables):
    database = opened()
    name = name_of(postgresql_tables)
    with database.engine.begin() as connection:
        connection.execute(text(f"ALTER DATABASE {name} SET default_transaction_read_only = on"))
    with pytest.raises(DatabaseDown, match="read-only"):
        count(opened())
    any_server = open_postgresql(postgresql_tables + "&target_session_attrs=any")
    assert "takes no writes" in (first_fault(any_server, makes_tables=False) or "")
    any_server.close()


def test_what_a_server_is_it_says_itself(opened):
    found = opened().probe(standing)

    assert (found.encoding, found.user, found.schema, found.may_create) == ("UTF8", "kiln", "public", True)
    assert (found.closed, found.is_encrypted, found.is_read_only) == ((), False, False)
    assert list(faults_of(found, makes_tables=True)) == []


def test_each_fault_of_a_server_has_its_words():
    it = Standing(
        version=(OLDEST - 1) * 10_000 + 22,
        version_text=f"{OLDEST - 1}.22",
        encoding="LATIN1",
        is_read_only=True,
        user="kiln",
        schema="",
        may_create=False,
        closed=("tasks", "disks", "images", "tags"),
        is_encrypted=False,
        clock=0.0,
    )

    told = list(faults_of(it, makes_tables=True))

    assert told[0] == f"the server is PostgreSQL {OLDEST - 1}.22, and Kiln needs {OLDEST} or newer"
    assert ["LATIN1" in told[1], "standby" in told[2], "sees no schema" in told[3]] == [True, True, True]
    assert "tasks, disks, images and others" in told[4]
