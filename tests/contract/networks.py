"""The kinds of networks under contract, and guests for each."""

from __future__ import annotations

import contextlib
import os
import socket
from dataclasses import dataclass

import pytest

from kiln.networks.keepers import KeptNetworks
from kiln.networks.memory import MemoryNetworks
from kiln.networks.trying import why_not
from tests.networks.peers import BRIEF_S, LIMIT_S, peer_at
from tests.tools import lacks


@dataclass
class Guest:
    """A guest that serves its own name on every port it is asked for."""

    interface: object
    peer: object


class Kept:
    """Real ones, whose guests are namespaces."""

    name = "keepers"
    marks = (pytest.mark.slow,)

    def __init__(self, folder):
        if reason := why_not():
            lacks(reason)
        self.folder = folder / "networks"
        self.networks = KeptNetworks(self.folder)
        self._stack = contextlib.ExitStack()
        self._peers = {}
        self._served = set()

    def again(self):
        """As another Kiln finds them."""
        self.networks.close()
        self.networks = KeptNetworks(self.folder)

    def start(self, place, *interfaces):
        uid = 77_000 if os.geteuid() == 0 else None
        for one in interfaces or place.interfaces:
            peer = self._stack.enter_context(peer_at(self.networks, place, one, uid))
            self._peers[place.vpc.id, one.id] = peer

    def peer(self, vpc, interface):
        """What stands for the guest at an interface that was started."""
        return self._peers[vpc, interface]

    def reaches(self, vpc, interface, address, port, *, protocol="tcp", expected):
        self._serve(port)
        limit = LIMIT_S if expected else BRIEF_S
        return self.peer(vpc, interface).ask(protocol, address, port, limit)

    def comes_in(self, address, port, guest_port):
        """What a client of this host hears at a public address."""
        self._serve(guest_port)
        return self.heard_at(address, port).split(" ")[0]

    def heard_at(self, address, port):
        with contextlib.suppress(OSError), socket.create_connection((address, port), LIMIT_S) as client:
            return client.makefile().readline().rstrip("\n")
        return ""

    @contextlib.contextmanager
    def asking(self, vpc, interface):
        """While a guest asks the metadata service; then what it heard."""
        heard = []
        peer = self.peer(vpc, interface)
        peer.begin("tcp", "100.100.100.200", 80, LIMIT_S, "who am I?")
        yield heard
        heard.append(peer.hear())

    def close(self):
        self._stack.close()
        self.networks.close()
        for vpc in self.folder.iterdir() if self.folder.is_dir() else ():
            if vpc.is_dir():
                self.networks.let_go(vpc.name)

    def _serve(self, port):
        for (vpc, interface), peer in self._peers.items():
            if (vpc, interface, port) not in self._served:
                peer.ask("serve", port, interface)
                self._served.add((vpc, interface, port))


class Remembered:
    """Those that only say what would be."""

    name = "memory"
    marks = ()

    def __init__(self, folder):
        self.networks = MemoryNetworks(folder)

    def again(self):
        pass

    def start(self, place, *interfaces):
        pass

    def reaches(self, vpc, interface, address, port, *, protocol="tcp", expected):
        found = self.networks.reaches(vpc, interface, address, protocol, port)
        source = next(one.address for one in self.networks.held(vpc).interfaces if one.id == interface)
        return found and f"{found} {source}"

    def comes_in(self, address, port, guest_port):
        for place in map(self.networks.held, self.networks.vpcs()):
            if port in self.networks.listening(place.vpc.id).get(address, {}):
                return next(one.interface for one in place.addresses if one.address == address)
        return ""

    @contextlib.contextmanager
    def asking(self, vpc, interface):
        heard = []
        with self.networks.asks(vpc, interface) as asker:
            asker.sendall(b"who am I?")
            yield heard
            heard.append(b"".join(iter(lambda: asker.recv(4096), b"")).decode())

    def close(self):
        pass


KINDS = [Kept, Remembered]
