"""Hosts with an internet beyond them, as tests start and ask them: see ``host``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from kiln.networks import records
from kiln.networks.keepers import KeptNetworks
from kiln.networks.values import Place
from tests.networks.host import RESOLVER
from tests.networks.peers import Peer, namespace, peer_at

_PROGRAM = Path(__file__).with_name("host.py")


@dataclass
class Beyond:
    """One that runs, and its guests by their interfaces."""

    folder: Path
    resolver: Path
    host: Peer
    stack: contextlib.ExitStack  #: Guests are ended by it.
    peers: dict[tuple[str, str], Peer] = field(default_factory=dict)

    def hold(self, place: Place) -> list[Peer]:
        assert self.host.ask("hold", records.to_text(place)) is None
        networks = KeptNetworks(self.folder, confined=False)
        for one in place.interfaces:
            if (place.vpc.id, one.id) not in self.peers:
                self.peers[place.vpc.id, one.id] = self.stack.enter_context(peer_at(networks, place, one))
        return [self.peers[place.vpc.id, one.id] for one in place.interfaces]


@contextlib.contextmanager
def beyond(folder: Path, to: str = "public", *, is_for_all: bool = False) -> Iterator[Beyond]:
    """A host whose guests may go *to* there."""
    folder.mkdir(exist_ok=True)
    resolver = folder / "resolv.conf"
    resolver.write_text(f"# as hosts have it\noptions edns0\nnameserver {RESOLVER}\n")
    arguments = (folder / "networks", resolver, to, "all" if is_for_all else "")
    with namespace(_PROGRAM, *arguments) as host, contextlib.ExitStack() as stack:
        yield Beyond(folder / "networks", resolver, host, stack)
