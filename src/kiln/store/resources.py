"""The sorts of resources that can have tags, and the table in which each lives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import exists, select

from kiln.store.conditions import Condition
from kiln.store.database import Transaction
from kiln.store.disks import disks
from kiln.store.images import images
from kiln.store.instances import instances
from kiln.store.rows import Rows
from kiln.store.snapshots import snapshots
from kiln.store.tags import Tag, tags

KINDS: dict[str, Rows[Any]] = {"image": images, "snapshot": snapshots, "disk": disks, "instance": instances}

_others = tags.table.alias("others")


def owned(tx: Transaction, kind: str, account: str, region: str, ids: Sequence[str]) -> set[str]:
    """Those of the IDs that are the account's resources of that kind in the region."""
    rows = KINDS[kind]
    statement = select(rows.c.id).where(rows.c.account == account, rows.c.region == region, rows.c.id.in_(ids))
    return {row[0] for row in tx.execute(statement)}


def carries(kind: str, key: str, values: Sequence[str] | None) -> Condition:
    """That a tag's resource has a tag of that key with one of the values, or, with None, with any."""
    matching = select(_others.c.resource).where(
        _others.c.resource_type == kind, _others.c.resource == tags.c.resource, _others.c.key == key
    )
    if values is not None:
        matching = matching.where(_others.c.value.in_(values))
    return exists(matching.correlate(tags.table))


def list_tags(
    tx: Transaction,
    kind: str,
    account: str,
    region: str,
    *,
    conditions: Sequence[Condition],
    after: tuple[str, str] | None,
    limit: int,
) -> list[Tag]:
    """Tags of the account's resources of that kind in the region that meet the conditions, by resource and key.

    *after* is the resource and key below which the list goes on.
    """
    rows = KINDS[kind]
    home = exists(
        select(rows.c.id)
        .where(rows.c.id == tags.c.resource, rows.c.account == account, rows.c.region == region)
        .correlate(tags.table)
    )
    statement = select(tags.table).where(tags.c.account == account, tags.c.resource_type == kind, home, *conditions)
    # SQLite compares letters by their numbers; PostgreSQL by the rules of a language, unless it is told otherwise.
    by_key = tags.c.key if tx.dialect.name == "sqlite" else tags.c.key.collate("C")
    if after is not None:
        resource, key = after
        below = (tags.c.resource > resource) | ((tags.c.resource == resource) & (by_key > key))
        statement = statement.where(below)
    return tags.rows(tx, statement.order_by(tags.c.resource, by_key).limit(limit))
