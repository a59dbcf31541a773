"""Databases that tests make for themselves."""

from __future__ import annotations

import threading
from contextlib import closing

import psycopg
import pytest

from tests.postgresql import make_database, name_of
from tests.waiting import wait_for

pytestmark = [pytest.mark.postgresql, pytest.mark.slow]


def test_a_copy_is_made_once_nobody_is_in_the_way(postgresql_server):
    """The one who is stays beyond the five seconds that PostgreSQL waits."""
    made = []

    def make(like):
        with make_database(postgresql_server, like) as address:
            made.append(name_of(address))

    with make_database(postgresql_server) as source, closing(psycopg.connect(dsn_of(postgresql_server))) as asking:
        asking.autocommit = True
        in_the_way = psycopg.connect(dsn_of(source))
        maker = threading.Thread(target=make, args=(name_of(source),))
        maker.start()
        first = wait_for(lambda: who_makes(asking, name_of(source)))
        wait_for(lambda: who_makes(asking, name_of(source)) - first)  # That one was refused, and there is another.
        in_the_way.close()
        maker.join()

    assert len(made) == 1


def dsn_of(address):
    """As the driver has it."""
    return address.replace("postgresql+psycopg://", "postgresql://")


def who_makes(asking, source):
    """The processes of the server that make a copy just now."""
    found = asking.execute(
        "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query LIKE %s",
        (f"CREATE DATABASE % TEMPLATE {source}",),
    )
    return {pid for (pid,) in found}
