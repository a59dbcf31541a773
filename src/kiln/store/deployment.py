"""Which deployment the database is of, and how far it has come; the pool bears the same, and both are compared.

Two rows, since one is written by every start and the other by every batch of
records, and on PostgreSQL whoever reads a row collides with whoever writes it.
"""

from __future__ import annotations

from dataclasses import replace

from kiln.ground.values import dataclass
from kiln.store.database import Transaction
from kiln.store.rows import Rows

_ONLY = "deployment"


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """The identity, and the generation: how many times it was started. ``mark`` tells two of one number apart."""

    name: str = _ONLY
    id: str
    generation: int
    mark: str
    created_at: float


@dataclass(frozen=True, kw_only=True)
class LastBatch:
    """The number of the last batch of records that the pool has, or was about to have."""

    name: str = _ONLY
    batch: int


deployments: Rows[Deployment] = Rows("deployment", Deployment, key=("name",))
recorded: Rows[LastBatch] = Rows("recorded", LastBatch, key=("name",))


def find(tx: Transaction) -> Deployment | None:
    """The deployment that the database is of; None while it is of none."""
    return deployments.find(tx, name=_ONLY)


def put(tx: Transaction, it: Deployment) -> None:
    """Make the database one of *it*."""
    deployments.delete(tx, name=_ONLY)
    deployments.insert(tx, replace(it, name=_ONLY))


def batch(tx: Transaction) -> int:
    """The number of the last batch of records; 0 before the first."""
    row = recorded.find(tx, name=_ONLY)
    return 0 if row is None else row.batch


def put_batch(tx: Transaction, number: int) -> None:
    """Have the batches counted on from *number*."""
    if recorded.update(tx, {"batch": number}, name=_ONLY) == 0:
        recorded.insert(tx, LastBatch(batch=number))


def next_batch(tx: Transaction) -> int:
    """Take the number of the next batch."""
    number = batch(tx) + 1
    put_batch(tx, number)
    return number
