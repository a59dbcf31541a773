"""Whose the buckets are."""

from __future__ import annotations

from kiln.store import buckets


def rights(database, name, account):
    with database.read() as tx:
        return buckets.may_read(tx, name, account), buckets.may_write(tx, name, account)


def test_belong_to_nobody_at_first(database):
    assert rights(database, "b", "1") == rights(database, "b", "2") == (True, True)


def test_belong_to_the_first_who_uses_them(database):
    for account in ("1", "2"):
        database.write(lambda tx, account=account: buckets.claim(tx, "b", account, 0.0))

    assert rights(database, "b", "1") == (True, True)
    assert rights(database, "b", "2") == (False, False)


def test_may_be_read_by_all_when_they_are_shared(database):
    database.write(lambda tx: buckets.share(tx, "b", 0.0, is_shared=True))
    database.write(lambda tx: buckets.claim(tx, "b", "1", 0.0))

    assert rights(database, "b", "1") == rights(database, "b", "2") == (True, False)
    database.write(lambda tx: buckets.share(tx, "b", 0.0, is_shared=False))
    assert rights(database, "b", "2") == (False, False)


def test_may_be_given_to_another(database):
    database.write(lambda tx: buckets.claim(tx, "b", "1", 0.0))
    database.write(lambda tx: buckets.give(tx, "b", "2", 0.0))
    database.write(lambda tx: buckets.give(tx, "c", "2", 0.0))

    assert rights(database, "b", "1") == (False, False)
    assert rights(database, "b", "2") == rights(database, "c", "2") == (True, True)
