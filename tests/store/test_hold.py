"""The locks on a PostgreSQL database: whoever does not get them keeps no connection, either."""

from __future__ import annotations

from contextlib import closing

import pytest
from sqlalchemy import text

from kiln.store.conninfo import Server
from kiln.store.database import open_postgresql
from kiln.store.errors import DatabaseDown
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


@pytest.fixture
def database(postgresql_address):
    with closing(open_postgresql(postgresql_address)) as opened:
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
