"""VPCs: private networks, each with a number that grows with every change of what is in it.

Whatever belongs to a VPC, such as its VSwitches, its security groups, who is in
them and who runs where, is changed together with that number: ``mark_changed``. The
data plane holds what the rows said at a number, and looks again when there is a
greater one (docs/design/0019).
"""

from __future__ import annotations

from sqlalchemy import Index, text

from kiln.ground.values import dataclass
from kiln.store.changes import Told
from kiln.store.database import Transaction
from kiln.store.order import Order, newest_first
from kiln.store.rows import Recorded, Rows


@dataclass(frozen=True, kw_only=True)
class Vpc:
    """One VPC. Empty text means: not given."""

    id: str
    account: str
    region: str
    name: str
    description: str
    status: str
    cidr: str  #: ``172.31.0.0/16``.
    is_default: bool  #: What an account has in the region where it names none.
    resource_group: str
    created_at: float
    revision: int = 1


vpcs: Rows[Vpc] = Rows(
    "vpcs",
    Vpc,
    recorded=Recorded("vpc"),
    told=Told("vpc", frozenset({"revision"}), is_shown=False),
    indexes=[
        Index("vpcs_list", "account", "region", "created_at", "id"),
        Index("vpcs_default", "account", "region", unique=True, sqlite_where=text("is_default")),
    ],
)

#: The newest first.
NEWEST: Order = newest_first(vpcs.c)


def mark_changed(tx: Transaction, vpc: str) -> None:
    """Say that something in the VPC has changed: its revision grows, and the hub tells it. Nothing when it is gone."""
    found = vpcs.find(tx, id=vpc)
    if found is not None:
        vpcs.update(tx, {"revision": found.revision + 1}, id=vpc)


def default_of(tx: Transaction, account: str, region: str) -> Vpc | None:
    """The account's default VPC in the region."""
    return vpcs.find(tx, account=account, region=region, is_default=True)
