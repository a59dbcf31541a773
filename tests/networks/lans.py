"""Hosts on one wire, as tests start and ask them: see ``lan``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kiln.networks import records
from kiln.networks.keepers import KeptNetworks
from kiln.networks.values import Far, Interface, Place, Tunnel
from tests.networks.lan import address_of
from tests.networks.peers import Peer, namespace, peer_at

_PROGRAM = Path(__file__).with_name("lan.py")
NUMBER, PORT, MTU = 77, 4789, 1450


def end_of(host: int, port: int = PORT) -> str:
    return f"{address_of(host)}:{port}"


@dataclass
class Lan:
    """Some that run, and their guests by host and interface."""

    folder: Path
    asked: Peer
    stack: contextlib.ExitStack  #: Guests are ended by it.
    places: dict[int, Place] = field(default_factory=dict)
    peers: dict[tuple[int, str], Peer] = field(default_factory=dict)
    _served: set[tuple[int, str, int]] = field(default_factory=set)

    def ask(self, host: int, *words: object) -> Any:
        return self.asked.ask(host, *words)

    def hold(self, host: int, place: Place) -> str:
        """What was in the way."""
        self.places[host] = place
        return self.ask(host, "hold", records.to_text(place))

    def spread(self, whole: Place, where: dict[str, int], number: int = NUMBER) -> list[str]:
        """Have each host carry those interfaces of the VPC that are *where* it is; what was in the way of each."""
        hosts = sorted(set(where.values()) | set(self.places))
        return [self.hold(host, part_of(whole, where, host, number)) for host in hosts]

    def guest(self, host: int, interface: Interface) -> Peer:
        """The guest at the end of its cable there."""
        if (host, interface.id) not in self.peers:
            networks = KeptNetworks(self.folder / str(host), confined=False)
            made = peer_at(networks, self.places[host], interface)
            self.peers[host, interface.id] = self.stack.enter_context(made)
        return self.peers[host, interface.id]

    def leave(self, host: int, interface: Interface) -> None:
        """Have the guest be there no more, since another is begun when its interface comes back."""
        self.peers.pop((host, interface.id), None)
        self._served = {one for one in self._served if one[:2] != (host, interface.id)}

    def serve(self, host: int, interface: Interface, *ports: int) -> Peer:
        """The same, and it says its interface at the ports, and who asks."""
        guest = self.guest(host, interface)
        for port in ports:
            if (host, interface.id, port) not in self._served:
                guest.ask("serve", port, f"{interface.id}@{host}")
                self._served.add((host, interface.id, port))
        return guest


def part_of(whole: Place, where: dict[str, int], host: int, number: int = NUMBER, mtu: int = MTU) -> Place:
    """What a host has to carry of a VPC."""
    far = tuple(
        Far(id=one.id, address=one.address, groups=one.groups, end=end_of(where[one.id]))
        for one in whole.interfaces
        if where[one.id] != host
    )
    return replace(
        whole,
        interfaces=tuple(one for one in whole.interfaces if where[one.id] == host),
        addresses=tuple(one for one in whole.addresses if where[one.interface] == host),
        tunnel=Tunnel(number=number, end=end_of(host), mtu=mtu, far=far),
    )


@contextlib.contextmanager
def lan(folder: Path, count: int = 2) -> Iterator[Lan]:
    """So many hosts on one wire."""
    with namespace(_PROGRAM, folder, count) as asked, contextlib.ExitStack() as stack:
        yield Lan(folder, asked, stack)
