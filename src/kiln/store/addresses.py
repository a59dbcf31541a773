"""Free addresses: of a VSwitch, of the host, and of network cards. Each is looked for in one place, here.

They are taken from a random place on, so that one that was just given back is
not given out at once. That nobody has it still holds at the commit: writes are
serialisable, and unique indexes stand behind.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, select

from kiln.store.database import Transaction
from kiln.store.eips import eips
from kiln.store.instances import instances
from kiln.store.interfaces import interfaces
from kiln.store.rows import Rows

_MAC_PREFIX = "00:16:3e:"  #: The range that ECS's hypervisors use.


class NoAddressLeft(Exception):
    """Every address of the network is somebody's."""


def free_private(tx: Transaction, vswitch: str, first: IPv4Address, beyond: IPv4Address, count: int) -> list[str]:
    """Addresses from *first* on and below *beyond* that no interface of the VSwitch has.

    Raises NoAddressLeft, with the VSwitch's ID.
    """
    every = _Span(int(first), int(beyond) - int(first))
    return _free(tx, ((interfaces, "private_ip", {"vswitch": vswitch}),), every, count, vswitch)


def free_public(tx: Transaction, network: str, count: int) -> list[str]:
    """Addresses of *network* that lead to no instance, and that no account keeps. Raises NoAddressLeft."""
    taken: Sequence[_Taken] = ((instances, "public_ip", {}), (eips, "address", {}))
    block = IPv4Network(network)
    return _free(tx, taken, _Span(int(block[1]), block.num_addresses - 2), count, network)


def free_macs(tx: Transaction, count: int) -> list[str]:
    """Addresses for network cards, of which no other of the deployment has one."""
    return _free(tx, ((interfaces, "mac", {}),), _Macs(), count, _MAC_PREFIX)


class _Span(Sequence[str]):
    """So many addresses of IPv4, one after the other."""

    def __init__(self, first: int, count: int) -> None:
        self._first = first
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, n: Any) -> Any:
        return str(IPv4Address(self._first + n))


class _Macs(Sequence[str]):
    def __len__(self) -> int:
        return 1 << 24

    def __getitem__(self, n: Any) -> Any:
        return _MAC_PREFIX + n.to_bytes(3).hex(":")


#: A table, the column that has addresses, and what else is so of those that count.
_Taken = tuple[Rows[Any], str, dict[str, str]]


def _free(tx: Transaction, taken: Sequence[_Taken], every: Sequence[str], count: int, name: str) -> list[str]:
    candidates = _from_anywhere(every)
    found = list(itertools.islice(candidates, 2 * count + 62))
    for one in taken:
        found = _untaken(tx, one, found)
    if len(found) < count:
        # That network is crowded: one look at all of it costs less than many at a part.
        everyones = set().union(*(_all_taken(tx, one) for one in taken))
        found += itertools.islice((a for a in candidates if a not in everyones), count - len(found))
    if len(found) < count:
        raise NoAddressLeft(name)
    return found[:count]


def _untaken(tx: Transaction, taken: _Taken, candidates: list[str]) -> list[str]:
    rows, column, equal = taken
    names = [f"address_{n}" for n in range(len(candidates))]

    def build() -> Select[Any]:
        asked = rows.c[column].in_([bindparam(name) for name in names])
        return select(rows.c[column]).where(*(rows.c[name] == bindparam(name) for name in equal), asked)

    values = {**equal, **dict(zip(names, candidates, strict=True))}
    found = {row[0] for row in rows.kept(tx, f"untaken {column} {len(names)}", build, values).fetchall()}
    return [address for address in candidates if address not in found]


def _all_taken(tx: Transaction, taken: _Taken) -> set[str]:
    rows, column, equal = taken
    where: list[ColumnElement[bool]] = [rows.c[name] == value for name, value in equal.items()]
    return {row[0] for row in tx.execute(select(rows.c[column]).where(*where))}


def _from_anywhere(every: Sequence[str]) -> Iterator[str]:
    """All of them once, from a random one on."""
    start = secrets.randbelow(len(every))
    return (every[(start + n) % len(every)] for n in range(len(every)))
