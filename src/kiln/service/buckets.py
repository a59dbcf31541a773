"""What the operator decides about buckets: whose each is, and who may read it."""

from __future__ import annotations

from kiln.service.keys import require_account
from kiln.store import buckets
from kiln.store.buckets import Bucket
from kiln.store.database import Database, Transaction


def known(database: Database) -> list[Bucket]:
    """Every bucket that belongs to somebody or is shared, by name."""
    with database.read() as tx:
        return buckets.buckets.all(tx)


def give(database: Database, name: str, account: str, now: float) -> None:
    """Make a bucket an account's, whoever had it. Raises AccountUnknown."""

    def work(tx: Transaction) -> None:
        require_account(tx, account)
        buckets.give(tx, name, account, now)

    database.write(work)


def share(database: Database, name: str, now: float, *, is_shared: bool) -> None:
    """Let every account read a bucket, or its own alone again."""
    database.write(lambda tx: buckets.share(tx, name, now, is_shared=is_shared))
