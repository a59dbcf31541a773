"""The sorts of resources that can have tags, and the table in which each lives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import exists, func, or_, select

from kiln.ground.values import dataclass
from kiln.store.commands import commands
from kiln.store.conditions import Condition
from kiln.store.database import Transaction
from kiln.store.disks import disks
from kiln.store.eips import eips
from kiln.store.images import images
from kiln.store.instances import instances
from kiln.store.key_pairs import key_pairs
from kiln.store.launch_templates import launch_templates
from kiln.store.rows import Rows
from kiln.store.security_groups import security_groups
from kiln.store.snapshot_groups import snapshot_groups
from kiln.store.snapshot_policies import snapshot_policies
from kiln.store.snapshots import snapshots
from kiln.store.tags import Tag, tags
from kiln.store.vpcs import vpcs
from kiln.store.vswitches import vswitches

KINDS: dict[str, Rows[Any]] = {
    "image": images,
    "snapshot": snapshots,
    "disk": disks,
    "instance": instances,
    "keypair": key_pairs,
    "securitygroup": security_groups,
    "launchtemplate": launch_templates,
    "snapshotpolicy": snapshot_policies,
}

#: Those that can be in a resource group: what JoinResourceGroup moves, and what stays where it was made.
MOVED: dict[str, Rows[Any]] = KINDS | {"command": commands, "snapshotgroup": snapshot_groups}
GROUPED: dict[str, Rows[Any]] = MOVED | {"vpc": vpcs, "vswitch": vswitches, "eip": eips}

_CALLED_BY = {"keypair": "name"}  #: The column that callers say and see in place of the ID, which they may say, too.

_others = tags.table.alias("others")


def is_group_used(tx: Transaction, account: str, group: str) -> bool:
    """Whether something of the account's is in the resource group."""
    return any(rows.count(tx, account=account, resource_group=group) for rows in GROUPED.values())


def accounts_named(tx: Transaction) -> dict[str, float]:
    """Every account that has something, and when the oldest of it was made, in seconds since the epoch."""
    began: dict[str, float] = {}
    for rows in GROUPED.values():
        statement = select(rows.c.account, func.min(rows.c.created_at)).where(rows.c.account != "")
        oldest: Any = tx.execute(statement.group_by(rows.c.account))
        for account, first in oldest:
            began[account] = min(first, began.get(account, first))
    return began


def groups_named(tx: Transaction) -> set[tuple[str, str]]:
    """Every resource group in which something is, behind its account."""
    found: set[tuple[str, str]] = set()
    for rows in GROUPED.values():
        statement = select(rows.c.account, rows.c.resource_group).where(rows.c.resource_group != "").distinct()
        named: Any = tx.execute(statement)
        found |= {(account, group) for account, group in named}
    return found


def owned(tx: Transaction, kind: str, account: str, region: str, called: Sequence[str]) -> dict[str, str]:
    """The IDs of the account's resources of that kind in the region, by what they are called by; unknown ones not."""
    rows, name = MOVED[kind], _CALLED_BY.get(kind)
    known = rows.c.id.in_(called) if name is None else or_(rows.c.id.in_(called), rows.c[name].in_(called))
    columns = (rows.c.id,) if name is None else (rows.c.id, rows.c[name])
    statement = select(*columns).where(rows.c.account == account, rows.c.region == region, known)
    them = tx.execute(statement).fetchall()
    found = {row[0]: row[0] for row in them} | {row[-1]: row[0] for row in them}  # A name before another one's ID.
    return {one: found[one] for one in called if one in found}


def shown(tx: Transaction, kind: str, ids: Sequence[str]) -> dict[str, str]:
    """What callers see of resources of that kind in place of their IDs."""
    name = _CALLED_BY.get(kind)
    if name is None:
        return {one: one for one in ids}
    return {row.id: getattr(row, name) for row in KINDS[kind].among(tx, "id", ids)}


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
    home = _is_home(kind, account, region)
    statement = select(tags.table).where(tags.c.account == account, tags.c.resource_type == kind, home, *conditions)
    # SQLite compares letters by their numbers; PostgreSQL by the rules of a language, unless it is told otherwise.
    by_key = tags.c.key if tx.dialect.name == "sqlite" else tags.c.key.collate("C")
    if after is not None:
        resource, key = after
        below = (tags.c.resource > resource) | ((tags.c.resource == resource) & (by_key > key))
        statement = statement.where(below)
    return tags.rows(tx, statement.order_by(tags.c.resource, by_key).limit(limit))


@dataclass(frozen=True)
class Used:
    """How many resources of a kind have a tag."""

    key: str
    value: str
    kind: str
    count: int


def used(
    tx: Transaction, account: str, region: str, kinds: Sequence[str], conditions: Sequence[Condition]
) -> list[Used]:
    """The tags that the account's resources of these kinds in the region have, as far as they meet the conditions."""
    found = []
    for kind in kinds:
        statement = select(tags.c.key, tags.c.value, func.count()).where(
            tags.c.account == account, tags.c.resource_type == kind, _is_home(kind, account, region), *conditions
        )
        rows: Any = tx.execute(statement.group_by(tags.c.key, tags.c.value))
        found += [Used(key, value, kind, count) for key, value, count in rows]
    return found


def _is_home(kind: str, account: str, region: str) -> Condition:
    """That a tag's resource is the account's, in the region."""
    rows = KINDS[kind]
    home = select(rows.c.id).where(rows.c.id == tags.c.resource, rows.c.account == account, rows.c.region == region)
    return exists(home.correlate(tags.table))
