"""Networks as states alone, where machines are: what would reach whom is said by ``admission``, and nothing moves."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Mapping
from pathlib import Path

from kiln.networks import admission
from kiln.networks.errors import NetworkMissing
from kiln.networks.port import Cable, Question
from kiln.networks.values import Interface, Place


class MemoryNetworks:
    """See ``port.Networks``. *folder* is made for none of its cables."""

    kind = "memory"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._places: dict[str, Place] = {}
        self._lock = threading.Lock()
        self._questions: queue.Queue[Question] = queue.Queue()

    def hold(self, place: Place) -> None:
        """See ``port.Networks``."""
        with self._lock:
            kept = self._places.get(place.vpc.id)
            if kept is None or kept.revision <= place.revision:
                self._places[place.vpc.id] = place

    def held(self, vpc: str) -> Place | None:
        """See ``port.Networks``."""
        return self._places.get(vpc)

    def vpcs(self) -> list[str]:
        """See ``port.Networks``."""
        return sorted(self._places)

    def let_go(self, vpc: str) -> None:
        """See ``port.Networks``."""
        self._places.pop(vpc, None)

    def cable(self, vpc: str, interface: str, uid: int | None) -> Cable:  # noqa: ARG002 - nobody uses it.
        """See ``port.Networks``."""
        return Cable(self._folder / vpc / "cables" / interface, self._find(vpc, interface, or_laid=True).mac)

    def listening(self, vpc: str) -> Mapping[str, Mapping[int, int]]:
        """See ``port.Networks``."""
        place = self._places.get(vpc)
        if place is None:
            return {}
        return {
            public.address: {port: port for port in admission.listened_ports(place, self._find(vpc, public.interface))}
            for public in place.addresses
        }

    def revive(self) -> list[str]:
        """See ``port.Networks``."""
        return []

    def close(self) -> None:
        """See ``port.Networks``. What is asked from here on is asked of nobody."""

    def question(self, timeout_s: float) -> Question | None:
        """See ``port.Networks``."""
        try:
            return self._questions.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def reaches(self, vpc: str, interface: str, address: str, protocol: str, port: int) -> str | None:
        """The interface at which what an interface begins to say would arrive, if it would arrive anywhere."""
        place, source = self._places[vpc], self._find(vpc, interface)
        found = next((one for one in place.interfaces if one.address == address), None)
        if found is None or found is source or not admission.lets_out(place, source, address, protocol, port):
            return None
        return found.id if admission.lets_in(place, found, source.address, protocol, port) else None

    def asks(self, vpc: str, interface: str) -> socket.socket:
        """The asker's end of a connection from an interface to the metadata service."""
        self._find(vpc, interface)
        asker, answerer = socket.socketpair()
        self._questions.put(Question(vpc, interface, answerer))
        return asker

    def _find(self, vpc: str, interface: str, *, or_laid: bool = False) -> Interface:
        place = self._places.get(vpc)
        among = () if place is None else place.cabled if or_laid else place.interfaces
        found = next((one for one in among if one.id == interface), None)
        if found is None:
            raise NetworkMissing(f"No interface {interface} is in {vpc} on this host.")
        return found
