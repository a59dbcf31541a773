"""Used nonces between processes: known to all at once, forgotten by age, and of no time before the server's start."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import text

from kiln.store import idle, nonces
from kiln.store.conninfo import Server
from kiln.store.errors import DatabaseDown
from kiln.store.nonces import SharedNonces
from kiln.wire.nonces import MemoryNonces, Use
from kiln.wire.sharednonces import NoncesOfAll
from tests.store.interrupted import rounds
from tests.waiting import wait_for

pytestmark = pytest.mark.postgresql

_OTHERS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


@pytest.fixture
def doors(postgresql_tables, postgresql_opened):
    shared = [SharedNonces(Server(address=postgresql_tables)) for _ in range(2)]
    yield [NoncesOfAll(MemoryNonces(), one, b"the same key") for one in shared]
    for one in shared:
        one.close()


def test_one_that_was_used_at_one_door_is_used_at_the_other(doors):
    one, other = doors
    now = time.time()

    assert one.use("key", "nonce", at=now, now=now) is Use.NEW
    assert other.use("key", "nonce", at=now, now=now) is Use.USED
    assert other.use("another", "nonce", at=now, now=now) is Use.NEW
    assert one.use("key", "other", at=now, now=now) is Use.NEW


def test_of_a_time_before_the_server_began_nothing_is_known(doors):
    """Who signed just before is told to come again, since that is no fault of his; who did long before has waited."""
    before = time.time() - 40_000_000

    with pytest.raises(DatabaseDown, match="has started since"):
        doors[0].use("key", "nonce", at=before, now=before + 59)
    assert doors[0].use("key", "another", at=before, now=before + 61) is Use.FORGOTTEN


def test_what_is_too_old_to_be_admitted_is_forgotten(postgresql_opened, doors):
    now = time.time()
    doors[0].use("key", "new", at=now, now=now)
    postgresql_opened.write(lambda tx: nonces.nonces.insert(tx, nonces.Nonce(mark="old", at=now - 4000)))

    assert postgresql_opened.write(lambda tx: nonces.forget(tx, 3000)) == 1
    assert doors[1].use("key", "new", at=now, now=now) is Use.USED


def test_a_server_that_ended_the_connections_fails_one_request_and_no_more(postgresql_opened, doors):
    now = time.time()
    doors[0].use("key", "first", at=now, now=now)
    with postgresql_opened.engine.begin() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )
        )

    with pytest.raises(DatabaseDown):
        doors[0].use("key", "second", at=now, now=now)
    assert doors[0].use("key", "third", at=now, now=now) is Use.NEW
    assert doors[1].use("key", "first", at=now, now=now) is Use.USED


def test_one_that_is_closed_at_any_line_of_a_request_keeps_no_connection(postgresql_opened, postgresql_tables):
    def taken(shared):
        shared.take(f"mark-{time.monotonic_ns()}", time.time())

    closed = rounds(taken, lambda: SharedNonces(Server(address=postgresql_tables)), nonces, idle)
    lines = [wait_for(lambda: others(postgresql_opened) == 0) for _ in closed]

    assert len(lines) > 10


def others(database):
    """How many connections there are beside the one that asks."""
    with database.read() as tx:
        return tx.execute(text(_OTHERS)).scalar_one()
