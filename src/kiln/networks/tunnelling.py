"""What goes from a keeper's part of its VPC to those of other hosts, and comes from there.

Each host is a hop, and every interface that it carries a route to that hop. All
of it is told by rows: nobody is asked where somebody is, and nothing that comes
by the tunnel changes that.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address

from kiln.ground.values import dataclass
from kiln.networks import vxlan
from kiln.networks.netlink import Message, Netlink
from kiln.networks.values import Far, Tunnel

_AT_ONCE = 100  #: Messages; more would need a larger buffer than who is not root may have.


@dataclass(frozen=True)
class Mouth:
    """The interface by which packets come, and whose they may be: a host's MAC and an address that it carries."""

    index: int
    comes: frozenset[tuple[bytes, bytes]]


class Tunnelling:
    """See the module's docstring."""

    def __init__(self, link: Netlink) -> None:
        self._link = link
        self._index: int | None = None
        self._hops: dict[str, IPv4Address] = {}  #: By the ends of hosts.
        self._ways: dict[str, str] = {}  #: By address, the end of the host that carries it.
        self.name = ""  #: Of the tunnel that the interface was made for; empty while there is none.

    @property
    def mouth(self) -> Mouth | None:
        """By what packets come; None while there is no tunnel."""
        if self._index is None:
            return None
        comes = ((vxlan.mac_of(end), IPv4Address(address).packed) for address, end in self._ways.items())
        return Mouth(self._index, frozenset(comes))

    def set(self, tunnel: Tunnel | None, *, is_made: bool) -> None:
        """Use the interface that *is_made* for the tunnel in this namespace, or has been used; else none.

        Raises OSError.
        """
        wanted = tunnel.name if tunnel is not None and tunnel.far else ""
        if tunnel is not None and wanted and is_made:
            self._index, self.name = vxlan.open_up(self._link, tunnel.end), wanted
        elif self.name != wanted:
            self.end()

    def end(self) -> None:
        """Join no host any more."""
        vxlan.remove(self._link)
        self._index, self.name = None, ""
        self._hops.clear()
        self._ways.clear()

    def leave(self, far: Iterable[Far]) -> None:
        """Send nothing to interfaces that are not among these any more. Raises OSError."""
        if self._index is None:
            return
        there = {one.address for one in far}
        gone = {address: end for address, end in self._ways.items() if address not in there}
        self._ask(vxlan.way(self._index, to, self._hops[end], is_gone=True) for to, end in gone.items())
        for address in gone:
            del self._ways[address]

    def reach(self, far: Iterable[Far]) -> None:
        """Send what is for these to the hosts that carry them, and forget other hosts. Raises OSError."""
        if self._index is None:
            return
        wanted = {one.address: one.end for one in far}
        ends = set(wanted.values())
        fresh = dict(zip(sorted(ends - set(self._hops)), self._free_hops(), strict=False))
        self._ask(message for end, hop in fresh.items() for message in vxlan.peer(self._index, end, hop))
        self._hops |= fresh
        moved = {address: end for address, end in wanted.items() if self._ways.get(address) != end}
        self._ask(vxlan.way(self._index, to, self._hops[end]) for to, end in moved.items())
        self._ways |= moved
        gone = {end: hop for end, hop in self._hops.items() if end not in ends}
        self._ask(one for end, hop in gone.items() for one in vxlan.peer(self._index, end, hop, is_gone=True))
        for end in gone:
            del self._hops[end]

    def _free_hops(self) -> Iterator[IPv4Address]:
        taken = set(self._hops.values())
        return (one for one in vxlan.HOPS.hosts() if one not in taken)

    def _ask(self, messages: Iterable[Message]) -> None:
        waiting = iter(messages)
        try:
            while batch := list(itertools.islice(waiting, _AT_ONCE)):
                self._link.ask(*batch)
        except OSError:
            self.end()  # What has become of the others is not known: it is begun anew.
            raise
