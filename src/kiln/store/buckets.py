"""Whose the buckets are. That there is one, and what is in it, the buckets themselves know."""

from __future__ import annotations

from kiln.ground.values import dataclass
from kiln.store.database import Transaction
from kiln.store.rows import Recorded, Rows


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """One bucket that somebody has used, or that the operator has given or shared."""

    name: str
    account: str  #: Who may read and write it; "" is nobody but the operator, until it is given to one.
    is_shared: bool  #: Whether every account may read it.
    created_at: float


buckets: Rows[Bucket] = Rows("buckets", Bucket, key=("name",), recorded=Recorded("bucket", "name"))


def may_read(tx: Transaction, name: str, account: str) -> bool:
    """Whether the account may read what is in the bucket; one that is nobody's yet, anybody may."""
    row = buckets.find(tx, name=name)
    return row is None or row.is_shared or row.account == account


def may_write(tx: Transaction, name: str, account: str) -> bool:
    """Whether the account may write to the bucket; to one that is nobody's yet, anybody may."""
    row = buckets.find(tx, name=name)
    return row is None or row.account == account


def claim(tx: Transaction, name: str, account: str, now: float) -> None:
    """Make the bucket the account's, if it is nobody's yet: the first who uses it has it."""
    if buckets.find(tx, name=name) is None:
        buckets.insert(tx, Bucket(name=name, account=account, is_shared=False, created_at=now))


def give(tx: Transaction, name: str, account: str, now: float) -> None:
    """Make the bucket the account's, whoever had it."""
    if not buckets.update(tx, {"account": account}, name=name):
        claim(tx, name, account, now)


def share(tx: Transaction, name: str, now: float, *, is_shared: bool) -> None:
    """Let every account read the bucket, or its own alone again."""
    if not buckets.update(tx, {"is_shared": is_shared}, name=name):
        buckets.insert(tx, Bucket(name=name, account="", is_shared=is_shared, created_at=now))
