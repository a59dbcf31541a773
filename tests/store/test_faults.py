"""What is made of a driver's error."""

from __future__ import annotations

import sqlite3

import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from kiln.store.faults import of_driver, rivalry_in, words_of


class Said(Exception):
    """As psycopg's: with a state of PostgreSQL's."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__("first line\nLINE 1: a secret")
        self.sqlstate = sqlstate


def test_words_are_the_drivers_and_have_no_statement_in_them():
    wrapped = OperationalError("SELECT secret", {}, sqlite3.OperationalError("disk I/O error"))

    assert words_of(wrapped) == words_of(of_driver(wrapped)) == "disk I/O error"
    assert words_of(DBAPIError("SELECT secret", {}, Said("08006"))) == "first line"


@pytest.mark.parametrize(
    ("error", "rivalry"),
    [
        (DBAPIError("", {}, Said("40001")), "serialization"),
        (DBAPIError("", {}, Said("40P01")), "deadlock"),
        (IntegrityError("", {}, Said("23505")), "unique"),
        (DBAPIError("", {}, Said("57014")), ""),
        (OperationalError("", {}, sqlite3.OperationalError("database is locked")), ""),
    ],
)
def test_tells_which_rival_is_worth_another_try(error, rivalry):
    assert rivalry_in(error) == rivalry
