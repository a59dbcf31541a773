"""What VPCs need to reach across hosts: where each host hears others, and a number of each VPC.

Both are of whoever carries networks, and stay when its process ends: the
networks go on meanwhile. A number is never given to another VPC, also when its
own is gone: a host that has not heard of that carries it still.
"""

from __future__ import annotations

import secrets
from typing import Any

from sqlalchemy import Index, func, select

from kiln.ground.values import dataclass
from kiln.store.database import Transaction
from kiln.store.instances import vpcs_on
from kiln.store.rows import Rows
from kiln.store.vpcs import mark_changed


@dataclass(frozen=True, kw_only=True)
class TunnelEnd:
    """What a host says of itself."""

    host: str
    address: str  #: Where it hears others, ``10.0.0.2:4789``; empty: its parts of VPCs are apart from all others.
    reason: str  #: Why they are; empty where they are not.


@dataclass(frozen=True, kw_only=True)
class VpcNumber:
    """The number of a VPC, which may be gone."""

    vpc: str
    number: int


class NoNumberLeft(Exception):
    """As many VPCs as there are numbers have had one."""


tunnel_ends: Rows[TunnelEnd] = Rows("tunnel_ends", TunnelEnd, key=("host",))
vpc_numbers: Rows[VpcNumber] = Rows(
    "vpc_numbers",
    VpcNumber,
    key=("vpc",),
    indexes=[Index("vpc_numbers_number", "number", unique=True)],
)


def announce(tx: Transaction, said: TunnelEnd) -> None:
    """Write down what a host says of itself; all VPCs that it carries have changed then."""
    before = tunnel_ends.find(tx, host=said.host)
    if before == said:
        return
    tunnel_ends.delete(tx, host=said.host)
    tunnel_ends.insert(tx, said)
    for vpc in vpcs_on(tx, said.host):
        mark_changed(tx, vpc)


def ends_of_others(tx: Transaction, host: str) -> dict[str, str]:
    """By host, where others than *host* hear; of those that do."""
    return {one.host: one.address for one in tunnel_ends.all(tx) if one.address and one.host != host}


def number_of(tx: Transaction, vpc: str) -> int | None:
    """The VPC's number, if it has one."""
    found = vpc_numbers.find(tx, vpc=vpc)
    return None if found is None else found.number


def give_number(tx: Transaction, vpc: str, most: int) -> int:
    """The VPC's number, a new one where it has none: the one after the greatest. Raises NoNumberLeft.

    The first of a deployment is anywhere in the lower half. So a database that was made anew from its pool's records,
    which know no numbers, does not give those that a host may still carry for other VPCs.
    """
    if (known := number_of(tx, vpc)) is not None:
        return known
    greatest: Any = tx.execute(select(func.max(vpc_numbers.c.number))).scalar_one()
    number = 1 + secrets.randbelow(most // 2) if greatest is None else int(greatest) + 1
    if number > most:
        raise NoNumberLeft
    vpc_numbers.insert(tx, VpcNumber(vpc=vpc, number=number))
    return number
