"""How VPCs of this host reach what other hosts carry of them: read from rows, and said of this host in rows.

Where a deployment has several hosts, each says where it hears others, or why it
does not. Who carries a VPC reads there where the others are.
"""

from __future__ import annotations

from collections.abc import Callable

from kiln.ground.journal import Journal
from kiln.ground.values import dataclass
from kiln.networks.values import TUNNEL_NUMBERS, Far, Tunnel
from kiln.store.database import Database, Transaction
from kiln.store.instances import ON, Instance, elsewhere
from kiln.store.interfaces import interfaces, memberships, primary_of
from kiln.store.tunnels import NoNumberLeft, TunnelEnd, announce, ends_of_others, give_number, number_of, tunnel_ends

log = Journal("kiln.networks")


@dataclass(frozen=True, kw_only=True)
class OwnEnd:
    """Where this host hears others."""

    end: str  #: ``10.0.0.1:4789``; empty: nowhere.
    mtu: int = 1500  #: Bytes of the longest packet that goes through.
    reason: str = ""  #: Why nowhere.


class Tunnels:
    """See the module's docstring. *find* says this host's end, and *why_not* in a sentence why none works there.

    Both may take some tenths of a second, and are asked by ``say`` alone.
    """

    def __init__(
        self, database: Database, host: str, find: Callable[[], OwnEnd], why_not: Callable[[str, int], str]
    ) -> None:
        self._database, self._host, self._find, self._why_not = database, host, find, why_not
        self._found: OwnEnd | None = None
        self._own = OwnEnd(end="")

    def say(self) -> None:
        """Find out whether this host is joined to others, and write it down where that has changed.

        Whether it works is tried where the rows do not say that it did, and once for each end that is found.
        """
        found = self._find()
        if found == self._found:
            return
        with self._database.read() as tx:
            said = tunnel_ends.find(tx, host=self._host)
        own = found
        if found.end and (said is None or said.address != found.end) and (why := self._why_not(found.end, found.mtu)):
            own = OwnEnd(end="", reason=why)
        now = TunnelEnd(host=self._host, address=own.end, reason=own.reason)
        self._own = own
        if now != said:
            self._database.write(lambda tx: announce(tx, now))
            log.info("tunnels", end=own.end, reason=own.reason)
        self._found = found

    def number(self, vpc: str) -> bool:
        """Give the VPC a number, which it has not; whether it has one now."""
        if not self._own.end:
            return False
        try:
            self._database.write(lambda tx: give_number(tx, vpc, TUNNEL_NUMBERS[-1]))
        except NoNumberLeft:
            log.exception("no_number_left", vpc=vpc)
            return False
        return True

    def of(self, tx: Transaction, vpc: str) -> Tunnel | None:
        """What joins the VPC to what other hosts carry of it; None while this host hears nobody."""
        number = number_of(tx, vpc)
        if not self._own.end or number is None:
            return None
        ends = ends_of_others(tx, self._host)
        there = {one.id: ends[one.host] for one in elsewhere(tx, vpc, self._host) if one.host in ends}
        cards = [one for one in interfaces.all(tx, vpc=vpc) if there.get(one.instance, self._own.end) != self._own.end]
        groups: dict[str, list[str]] = {one.id: [] for one in cards}
        for one in memberships.among(tx, "interface", list(groups)):
            groups[one.interface].append(one.security_group)
        far = [Far(id=one.id, address=one.private_ip, groups=groups[one.id], end=there[one.instance]) for one in cards]
        return Tunnel(number=number, end=self._own.end, mtu=self._own.mtu, far=far)


def why_apart(tx: Transaction, instance: Instance) -> str:
    """Why an instance does not reach all of those of its VPC that run on other hosts; empty where it does."""
    card = primary_of(tx, instance.id)
    if card is None or not card.vpc or not instance.host or instance.status not in ON:
        return ""
    hosts = {one.host for one in elsewhere(tx, card.vpc, instance.host)}
    if not hosts:
        return ""
    said = {one.host: one for one in tunnel_ends.all(tx)}
    own = said.get(instance.host)
    if own is None or not own.address:
        hosts = {instance.host}
    deaf = sorted(one for one in hosts if one not in said or not said[one].address)
    return " ".join(f"{one} hears no other host: {_why(said.get(one))}" for one in deaf)


def _why(said: TunnelEnd | None) -> str:
    return said.reason if said else "it has not said where."
