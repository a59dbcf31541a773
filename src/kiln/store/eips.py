"""Elastic IP addresses: public addresses that an account keeps, and that lead to one of its instances or nowhere."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Index

from kiln.declare.states import EipStatus
from kiln.ground.values import dataclass
from kiln.store.changes import Told
from kiln.store.database import Transaction
from kiln.store.order import Order, newest_first
from kiln.store.rows import Recorded, Rows


@dataclass(frozen=True, kw_only=True)
class Eip:
    """One elastic IP address. Empty text means: not given."""

    id: str
    account: str
    region: str
    address: str  #: Unique in the deployment.
    status: str
    name: str
    description: str
    bandwidth: int  #: Mbit/s; only remembered, like the next three.
    internet_charge_type: str
    charge_type: str
    isp: str
    interface: str  #: Where it leads; empty: nowhere.
    instance: str  #: Whose interface that is.
    resource_group: str
    created_at: float


eips: Rows[Eip] = Rows(
    "eip_addresses",
    Eip,
    recorded=Recorded("eip"),
    told=Told("eip"),
    indexes=[
        Index("eip_addresses_list", "account", "region", "created_at", "id"),
        Index("eip_addresses_address", "address", unique=True),
        Index("eip_addresses_interface", "interface"),
        Index("eip_addresses_instance", "instance"),
    ],
)

#: The newest first.
NEWEST: Order = newest_first(eips.c)


def of_instances(tx: Transaction, instances: Sequence[str]) -> dict[str, Eip]:
    """The address that leads to each instance; not of those that have none."""
    return {one.instance: one for one in eips.among(tx, "instance", instances)}


def let_go(tx: Transaction, interface: str) -> None:
    """Have the address that leads to the interface lead nowhere. Whoever calls it marks the VPC as changed."""
    nowhere = {"interface": "", "instance": ""}
    eips.move(tx, EipStatus.IN_USE, EipStatus.AVAILABLE, nowhere, interface=interface)
