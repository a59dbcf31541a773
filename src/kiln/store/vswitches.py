"""VSwitches: the parts of a VPC's addresses, each in one zone."""

from __future__ import annotations

from sqlalchemy import Index, text

from kiln.ground.values import dataclass
from kiln.store.order import Order, newest_first
from kiln.store.rows import Recorded, Rows


@dataclass(frozen=True, kw_only=True)
class VSwitch:
    """One VSwitch. Empty text means: not given."""

    id: str
    account: str
    region: str
    zone: str
    vpc: str
    name: str
    description: str
    status: str
    cidr: str  #: ``172.31.0.0/20``.
    is_default: bool  #: The one that its zone has in the default VPC for who names none.
    resource_group: str
    created_at: float


vswitches: Rows[VSwitch] = Rows(
    "vswitches",
    VSwitch,
    recorded=Recorded("vswitch"),
    indexes=[
        Index("vswitches_list", "account", "region", "created_at", "id"),
        Index("vswitches_vpc", "vpc"),
        Index("vswitches_default", "vpc", "zone", unique=True, sqlite_where=text("is_default")),
    ],
)

#: The newest first.
NEWEST: Order = newest_first(vswitches.c)
