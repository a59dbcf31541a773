"""What is made of a driver's error."""

from __future__ import annotations

import sqlite3

import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from kiln.store.faults import is_worth_another_try, of_driver, words_of


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
    ("error", "is_worth"),
    [
        (DBAPIError("", {}, Said("40001")), True),
        (DBAPIError("", {}, Said("40P01")), True),
        (IntegrityError("", {}, Said("23505")), True),
        (DBAPIError("", {}, Said("57014")), False),
        (OperationalError("", {}, sqlite3.OperationalError("database is locked")), False),
    ],
)
def test_a_rival_is_worth_another_try(error, is_worth):
    assert is_worth_another_try(error) == is_worth
