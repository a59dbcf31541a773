"""The locks on a PostgreSQL database: who is refused keeps no connection, and who lost his asks until he has them."""

from __future__ import annotations

from contextlib import closing

import pytest
from sqlalchemy import text

from kiln.store import deployment, schema
from kiln.store.conninfo import Server
from kiln.store.database import open_postgresql
from kiln.store.deployment import Deployment
from kiln.store.errors import DatabaseBusy, DatabaseDown
from kiln.store.hold import Hold, HoldRefused
from tests.waiting import wait_for

pytestmark = pytest.mark.postgresql

#: Found before the server's own function by who names ``public`` first.
_DENIED = """
CREATE FUNCTION public.pg_try_advisory_lock(int, int) RETURNS boolean LANGUAGE plpgsql AS
$$ BEGIN RAISE insufficient_privilege; END $$
"""
_OTHERS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
_END_OF_LOCKS = """
SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND classid = 8787
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@pytest.fixture
def database(postgresql_address):
    with closing(open_postgresql(Server(address=postgresql_address, lock_s=0.5))) as opened:
        yield opened


def others(database):
    """How many connections there are beside the one that asks."""
    with database.read() as tx:
        return tx.execute(text(_OTHERS)).scalar_one()


def test_one_that_is_refused_keeps_no_connection(database, postgresql_address):
    first = Hold(Server(address=postgresql_address))
    try:
        with pytest.raises(HoldRefused) as refused:
            Hold(Server(address=postgresql_address))
        wait_for(lambda: others(database) == 1)
    finally:
        first.release()
    assert refused.tb


def test_one_whose_lock_cannot_be_asked_for_keeps_no_connection(database, postgresql_address):
    with database.engine.begin() as connection:
        connection.execute(text(_DENIED))
    with pytest.raises(DatabaseDown) as denied:
        Hold(Server(address=postgresql_address + "&options=-csearch_path%3Dpublic,pg_catalog"))
    # What was raised is kept until here, and with it all that its frames know.
    wait_for(lambda: others(database) == 0)
    assert denied.tb


def test_one_that_is_told_to_wait_too_long_asks_for_its_locks_again(database, postgresql_address):
    """What the server answers ends no thread: without its looks nothing would be written until the next start."""
    schema.create(database)
    mine = Deployment(id="d", generation=1, mark="m", created_at=0.0)
    database.write(lambda tx: deployment.put(tx, mine))
    hold, losses = Hold(Server(address=postgresql_address, lock_s=0.5)), []
    try:
        hold.guard(database, mine, lambda: losses.append("lost"))
        with database.engine.begin() as other:
            other.execute(text("LOCK TABLE deployment IN ACCESS EXCLUSIVE MODE"))
            other.execute(text(_END_OF_LOCKS))
            wait_for(lambda: "is broken: canceling statement due to lock timeout" in refusal_of(database))

        wait_for(lambda: refusal_of(database) == "")
    finally:
        hold.release()
    assert losses == []


def refusal_of(database):
    """Why nothing can be written; empty where it can."""
    try:
        database.write(lambda _: None)
    except (DatabaseDown, DatabaseBusy) as error:
        return str(error)
    return ""
