"""Launch templates: what RunInstances is to be told, kept under a name, in versions that never change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Index, func, select

from kiln.ground.values import dataclass
from kiln.store.database import Transaction
from kiln.store.order import Key, Order, newest_first
from kiln.store.rows import Recorded, Rows


@dataclass(frozen=True, kw_only=True)
class LaunchTemplate:
    """One template. Empty text means: not given."""

    id: str
    account: str
    region: str
    name: str
    resource_group: str
    default_version: int
    last_number: int  #: That was given to a version, whether that is still there or not.
    created_by: str
    created_at: float
    modified_at: float


@dataclass(frozen=True, kw_only=True)
class LaunchTemplateVersion:
    """One version of a template."""

    template: str
    number: int  #: From 1 on; that of a deleted version is given to no other.
    description: str
    data: str  #: The ``essence`` of what it says, as JSON.
    created_by: str
    created_at: float


launch_templates: Rows[LaunchTemplate] = Rows(
    "launch_templates",
    LaunchTemplate,
    recorded=Recorded("launchtemplate"),
    indexes=[
        Index("launch_templates_name", "account", "region", "name", unique=True),
        Index("launch_templates_list", "account", "region", "created_at", "id"),
    ],
)

launch_template_versions: Rows[LaunchTemplateVersion] = Rows(
    "launch_template_versions",
    LaunchTemplateVersion,
    key=("template", "number"),
    recorded=Recorded("launchtemplate", "template"),
)

#: The newest first.
NEWEST: Order = newest_first(launch_templates.c)
NEWEST_VERSIONS: Order = (Key(launch_template_versions.c.number, lambda row: row.number, int, falls=True),)


def latest(tx: Transaction, templates: Sequence[str]) -> dict[str, int]:
    """The highest number that a version of each template has."""
    c = launch_template_versions.c
    statement = select(c.template, func.max(c.number)).where(c.template.in_(templates)).group_by(c.template)
    rows: Any = tx.execute(statement).fetchall()
    return dict(rows)


def remove(tx: Transaction, template: str) -> None:
    """Remove a template with its versions."""
    launch_template_versions.delete(tx, template=template)
    launch_templates.delete(tx, id=template)
