"""Rows as documents, which a pool keeps beside its volumes, and documents as rows again.

A document holds the rows of one resource: its own, and those that mean nothing
without it. It lives for years: a field that is not known any more is passed
over, and one that is not there has the value of a row that never had it.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from kiln.declare.states import TaskStatus
from kiln.ground.values import dataclass
from kiln.store.accounts import accounts, resource_groups, users
from kiln.store.buckets import buckets
from kiln.store.commands import commands
from kiln.store.database import Transaction
from kiln.store.disks import disks
from kiln.store.eips import eips
from kiln.store.errors import DatabaseMalformed
from kiln.store.images import image_disks, images
from kiln.store.instances import instances
from kiln.store.interfaces import interface_id, interfaces, memberships
from kiln.store.invocations import invocations, results
from kiln.store.key_pairs import key_pairs
from kiln.store.launch_templates import launch_template_versions, launch_templates
from kiln.store.rows import Rows
from kiln.store.security_groups import security_group_rules, security_groups
from kiln.store.shares import image_shares
from kiln.store.snapshot_groups import snapshot_groups
from kiln.store.snapshot_policies import snapshot_policies
from kiln.store.snapshots import snapshots
from kiln.store.tags import tags
from kiln.store.tasks import tasks
from kiln.store.volumes import volumes
from kiln.store.vpcs import vpcs
from kiln.store.vswitches import vswitches
from kiln.store.webhooks import FARING, webhooks

_EMPTY: dict[type, Any] = {str: "", int: 0, float: 0.0, bool: False}

#: What changes with every sign of life, and means nothing to another run.
_LEASE = {"owner": "", "lease_until": 0.0}


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What the documents of one kind hold: a row of ``rows``, and those of ``parts`` that belong to it."""

    rows: Rows[Any]
    parts: Mapping[str, tuple[Rows[Any], Mapping[str, str]]] = dataclasses.field(default_factory=dict)
    names: Sequence[str] = ()  #: Columns that name volumes.
    key: str = "id"  #: The column that the document is called by.
    passing: Mapping[str, Any] = dataclasses.field(
        default_factory=dict
    )  #: What documents have in place of what passes.
    renewed: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda said: said  #: An older document as it is now.


def _tags(kind: str) -> tuple[Rows[Any], Mapping[str, str]]:
    return (tags, {"resource": "", "resource_type": kind})


def _with_interface(said: Mapping[str, Any]) -> Mapping[str, Any]:
    """Before there were interfaces an instance had its card's address itself. Its place comes with the next start."""
    if "interfaces" in said or not said.get("mac"):
        return said
    card = {
        "id": interface_id(str(said["id"])),
        "account": said["account"],
        "region": said["region"],
        "zone": said["zone"],
        "is_primary": True,
        "mac": said["mac"],
        "status": "InUse",
        "created_at": said["created_at"],
    }
    return {**said, "interfaces": [card]}


def _of_today(said: Mapping[str, Any]) -> Mapping[str, Any]:
    """An instance's. Before guests were given passwords, one without any kept its image's, as migration 0017 has it."""
    said = _with_interface(said)
    if "password_inherit" in said:
        return said
    password = bool(said.get("password"))
    return {**said, "password_inherit": not password, "password_due": password and not said.get("ever_started")}


#: In the order in which they are written again: what is named comes before what names it.
KINDS: Mapping[str, Kind] = {
    "account": Kind(
        rows=accounts, parts={"users": (users, {"account": ""}), "resource_groups": (resource_groups, {"account": ""})}
    ),
    "bucket": Kind(rows=buckets, key="name"),
    "webhook": Kind(rows=webhooks, passing=FARING),
    "keypair": Kind(rows=key_pairs, parts={"tags": _tags("keypair")}),
    "task": Kind(rows=tasks, passing=_LEASE),
    "volume": Kind(rows=volumes),
    "snapshotgroup": Kind(rows=snapshot_groups, parts={"tags": _tags("snapshotgroup")}),
    "snapshotpolicy": Kind(rows=snapshot_policies, parts={"tags": _tags("snapshotpolicy")}),
    "snapshot": Kind(rows=snapshots, parts={"tags": _tags("snapshot")}, names=("volume",)),
    "image": Kind(
        rows=images,
        parts={
            "disks": (image_disks, {"image": ""}),
            "shares": (image_shares, {"image": ""}),
            "tags": _tags("image"),
        },
    ),
    "vpc": Kind(rows=vpcs),
    "vswitch": Kind(rows=vswitches),
    "securitygroup": Kind(
        rows=security_groups,
        parts={"rules": (security_group_rules, {"security_group": ""}), "tags": _tags("securitygroup")},
    ),
    "instance": Kind(
        rows=instances,
        parts={
            "interfaces": (interfaces, {"instance": ""}),
            "groups": (memberships, {"instance": ""}),
            "tags": _tags("instance"),
        },
        renewed=_of_today,
    ),
    "eip": Kind(rows=eips),
    "launchtemplate": Kind(
        rows=launch_templates,
        parts={"versions": (launch_template_versions, {"template": ""}), "tags": _tags("launchtemplate")},
    ),
    "command": Kind(rows=commands, parts={"tags": _tags("command")}),
    "invocation": Kind(rows=invocations, parts={"results": (results, {"invocation": ""}), "tags": _tags("invocation")}),
    "disk": Kind(rows=disks, parts={"tags": _tags("disk")}, names=("volume",)),
}


def document(tx: Transaction, kind: str, name: str) -> dict[str, Any] | None:
    """The document of one resource; None when it is not there. Tasks that have ended are not. Raises as below."""
    return some(tx, kind, [name])[name]


def some(tx: Transaction, kind: str, names: Sequence[str]) -> dict[str, dict[str, Any] | None]:
    """The documents of several resources of a kind, by statements that they share. Raises DatabaseMalformed."""
    shape = KINDS[kind]
    found: dict[str, dict[str, Any] | None] = dict.fromkeys(names)
    for row in _verified(shape.rows, tx, shape.key, names):
        if kind != "task" or row.status == TaskStatus.PROCESSING:
            said = found[getattr(row, shape.key)] = _said(row)
            said |= {**shape.passing, **{part: [] for part in shape.parts}}
    for part, (rows, equal) in shape.parts.items():
        (column,) = (column for column, value in equal.items() if not value)
        for one in _verified(rows, tx, column, names, **{name: value for name, value in equal.items() if value}):
            whole = found[getattr(one, column)]
            if whole is not None:
                whole[part].append(_said(one))
    return found


def _verified(rows: Rows[Any], tx: Transaction, column: str, names: Sequence[str], **equal: str) -> list[Any]:
    """The rows whose *column* is one of *names*. A damaged index leads SQLite to others, and it does not look."""
    asked = frozenset(names)
    found = rows.among(tx, column, names, **equal)
    for row in found:
        if getattr(row, column) not in asked:
            raise DatabaseMalformed(f"an index of {rows.table.name} leads to a row of another {column}")
        rows.verified(row, equal)
    return found


def volumes_of(kind: str, said: Mapping[str, Any]) -> list[str]:
    """The volumes that a document names."""
    return [str(said[column]) for column in KINDS[kind].names if said.get(column)]


def names(tx: Transaction, kind: str, after: str = "", limit: int | None = None) -> list[str]:
    """The IDs of the resources of that kind that have a document, from the one behind *after* on, in order."""
    rows = KINDS[kind].rows
    key = rows.c[KINDS[kind].key]
    statement = select(key).where(key > after).order_by(key).limit(limit)
    if kind == "task":
        statement = statement.where(rows.c.status == TaskStatus.PROCESSING)
    return [row[0] for row in tx.execute(statement)]


def restore(tx: Transaction, kind: str, name: str, said: Mapping[str, Any]) -> None:
    """Write the rows of a document, in place of those that are there.

    Raises ValueError where it is none, and where another has the name or the address that only one may have; then
    what was there is there still.
    """
    shape = KINDS[kind]
    said = shape.renewed({**said, shape.key: name})
    made = _row(shape.rows.row, said)
    parts = [
        (rows, [_row(rows.row, {**one, **_filled(equal, name)}) for one in said.get(part, [])])
        for part, (rows, equal) in shape.parts.items()
    ]
    tx.driver("SAVEPOINT document", ())
    try:
        remove(tx, kind, name)
        shape.rows.insert(tx, made)
        for rows, ones in parts:
            rows.insert(tx, *ones)
    except IntegrityError as error:
        tx.driver("ROLLBACK TO SAVEPOINT document", ())
        tx.driver("RELEASE SAVEPOINT document", ())
        raise ValueError("another has what only one may have, such as its name or its address") from error
    tx.driver("RELEASE SAVEPOINT document", ())


def remove(tx: Transaction, kind: str, name: str) -> None:
    """Remove the rows of a resource."""
    shape = KINDS[kind]
    for rows, equal in shape.parts.values():
        rows.delete(tx, **_filled(equal, name))
    shape.rows.delete(tx, **{shape.key: name})


def _said(row: Any) -> dict[str, Any]:
    # dataclasses.asdict copies every text deeply, which took half of the time of a record.
    return {name: dict(vars(value)) if dataclasses.is_dataclass(value) else value for name, value in vars(row).items()}


def _filled(equal: Mapping[str, str], name: str) -> dict[str, str]:
    return {column: value or name for column, value in equal.items()}


def _row(kind: type, said: Mapping[str, Any]) -> Any:
    hints = typing.get_type_hints(kind)
    values = {}
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        if field.name in said:
            values[field.name] = _value(hint, said[field.name])
        elif field.default is dataclasses.MISSING:
            values[field.name] = _row(typing.cast("type", hint), {}) if dataclasses.is_dataclass(hint) else _empty(hint)
    return kind(**values)


def _value(hint: Any, value: Any) -> Any:
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise ValueError(f"{value!r} is no {hint}")
        return _row(typing.cast("type", hint), value)
    wanted = _plain(hint)
    if value is None and wanted is not hint:
        return None
    if wanted is float and type(value) is int:
        return float(value)
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise ValueError(f"{value!r} is no {wanted.__name__}")
    return value


def _empty(hint: Any) -> Any:
    wanted = _plain(hint)
    return None if wanted is not hint else _EMPTY[wanted]


def _plain(hint: Any) -> Any:
    """The type of a column, without ``| None``."""
    if isinstance(hint, types.UnionType):
        (hint,) = (one for one in typing.get_args(hint) if one is not type(None))
    return hint
