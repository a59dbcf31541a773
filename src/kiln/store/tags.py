"""Tags of every sort of resource."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, Index, exists, select

from kiln.ground.values import dataclass
from kiln.store.database import Transaction
from kiln.store.rows import Recorded, Rows


@dataclass(frozen=True, kw_only=True)
class Tag:
    """One key and its value on one resource."""

    account: str
    resource_type: str  #: One of ``kiln.store.resources.KINDS``.
    resource: str
    key: str
    value: str


tags: Rows[Tag] = Rows(
    "tags",
    Tag,
    key=("resource_type", "resource", "key"),
    recorded=Recorded(id="resource", kind_column="resource_type"),
    indexes=[Index("tags_find", "account", "resource_type", "key", "value")],
)


def put(tx: Transaction, account: str, resource_type: str, resource: str, pairs: Mapping[str, str]) -> None:
    """Add tags to a resource; a key that it has already gets the new value."""
    for key in pairs:
        tags.delete(tx, resource_type=resource_type, resource=resource, key=key)
    add(tx, account, resource_type, resource, pairs)


def add(tx: Transaction, account: str, resource_type: str, resource: str, pairs: Mapping[str, str]) -> None:
    """Add tags to a resource that has none of these keys."""
    if not pairs:
        return  # Most have none.
    rows = (
        Tag(account=account, resource_type=resource_type, resource=resource, key=k, value=v) for k, v in pairs.items()
    )
    tags.insert(tx, *rows)


def of(tx: Transaction, resource_type: str, resources: Sequence[str]) -> dict[str, list[Tag]]:
    """The tags of each resource, by key."""
    found: dict[str, list[Tag]] = {resource: [] for resource in resources}
    for tag in tags.among(tx, "resource", resources, resource_type=resource_type):
        found[tag.resource].append(tag)
    # A database has letters in an order of its own.
    for own in found.values():
        if len(own) > 1:
            own.sort(key=_by_key)
    return found


def of_one(tx: Transaction, resource_type: str, resource: str) -> list[Tag]:
    """The tags of one resource, by key."""
    return sorted(tags.all(tx, resource_type=resource_type, resource=resource), key=_by_key)


def _by_key(tag: Tag) -> str:
    return tag.key


def drop(tx: Transaction, resource_type: str, resource: str) -> None:
    """Remove all tags of a resource that is going away."""
    tags.delete(tx, resource_type=resource_type, resource=resource)


def tagged(resource_type: str, resource: ColumnElement[str], key: str, value: str | None) -> ColumnElement[bool]:
    """The condition that *resource* has the tag; with value None, any value."""
    matching = select(tags.c.resource).where(
        tags.c.resource_type == resource_type, tags.c.resource == resource, tags.c.key == key
    )
    return exists(matching if value is None else matching.where(tags.c.value == value))
