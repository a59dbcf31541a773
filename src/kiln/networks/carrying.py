"""Carries one VPC in the namespace that the process is in: cables, routes, chains, public addresses, metadata.

All of it in one loop and without a wait: a frame that finds no room is lost, as
on any wire, and no guest gets more than a turn before the others have theirs.
"""

from __future__ import annotations

import collections
import contextlib
import os
import selectors
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network

from kiln.ground.values import dataclass
from kiln.networks import admission, links, spoken
from kiln.networks.chains import Chains
from kiln.networks.ends import End
from kiln.networks.frames import LONGEST, Gate
from kiln.networks.leaving import Leaving
from kiln.networks.links import MTU
from kiln.networks.netlink import Netlink
from kiln.networks.polling import Poll
from kiln.networks.relays import MOST_AT_ONCE, Relay
from kiln.networks.tunnelling import Tunnelling
from kiln.networks.values import METADATA_ADDRESS, Interface, Place

_TURN = 64  #: Frames of one guest before the next guest's.
_WAITING_QUESTIONS = 256  #: All guests' together, while Kiln is away.
_OF_ONE_GUEST = 16
_BUFFER_BYTES = 1 << 20
_HTTP = 80


@dataclass(frozen=True)
class _Cable:
    interface: Interface
    number: int
    index: int
    gate: Gate
    guest: socket.socket
    frames: socket.socket
    folder: int  #: A descriptor of the one in which QEMU's socket is.
    end: End


class Carrier:
    """See the module's docstring."""

    def __init__(self, poll: Poll) -> None:
        self._poll = poll
        self._link, self._chains = Netlink(0), Chains(Netlink(12))
        self._cables: dict[str, _Cable] = {}
        self._numbers = 0
        self._place: Place | None = None
        self._given: dict[str, list[int]] = {}  #: Descriptors by what they are for.
        self._listeners: dict[str, socket.socket] = {}
        self._relays: set[Relay] = set()
        self._asker: socket.socket | None = None
        self._waiting: collections.deque[tuple[str, socket.socket]] = collections.deque()
        self._leaving = Leaving(poll, self._on, self._tell)
        self._tunnelling = Tunnelling(self._link)
        self._egress = ""  #: The name of what its line was given for.
        links.open_loopback(self._link, IPv4Address(METADATA_ADDRESS))
        self._metadata = socket.create_server((METADATA_ADDRESS, _HTTP), backlog=128)
        self._metadata.setblocking(False)
        poll.register(self._metadata, selectors.EVENT_READ, (self._accept_question, self._metadata))

    def give(self, name: str, descriptors: list[int]) -> None:
        """Take descriptors for what *name* says: an interface's ``socket``, or a listener. A tunnel's has none."""
        for descriptor in self._given.pop(name, []):
            os.close(descriptor)
        self._given[name] = descriptors

    def has(self) -> list[str]:
        """What it has descriptors for."""
        egress = [self._egress] if self._leaving.is_joined else []
        tunnel = [self._tunnelling.name] if self._tunnelling.name else []
        cables = (one.interface.socket for one in self._cables.values())
        return [*cables, *self._listeners, *egress, *tunnel, *self._given]

    def untie(self) -> None:
        """Have no tunnel, so that another can be made, and forget one that was."""
        for name in [one for one in self._given if one.startswith("tunnel:")]:
            del self._given[name]
        self._tunnelling.end()

    def set(self, place: Place, listeners: Sequence[tuple[str, str, int]], way_out: tuple[str, frozenset[str]]) -> None:
        """Carry the place. Raises OSError, KeyError.

        *listeners* have a name, a public address and the guest's port. *way_out* is the name of a line to an egress,
        and which interfaces leave by it; no name: none do.
        """
        wanted = {one.id: one for one in place.interfaces}
        gone = [one for one, cable in self._cables.items() if not _is_for(cable, wanted.get(one))]
        for one in gone:
            self._unplug(one)
        for switch in place.vswitches:
            links.open_loopback(self._link, switch.gateway)
        network = IPv4Network(place.vpc.cidr)
        links.route_beyond(self._link, network)
        egress, leaving = way_out
        made = None if place.tunnel is None else self._given.pop(place.tunnel.name, None)
        self._tunnelling.set(place.tunnel, is_made=made is not None)
        # A route to an interface that is here now would stand in its cable's way.
        self._tunnelling.leave(place.far)
        try:
            for interface in place.interfaces:
                if interface.id not in self._cables:
                    self._plug(place, interface)
            self._tunnelling.reach(place.far)
        finally:
            # What could be plugged obeys the groups, whatever else failed.
            indexes = {one: cable.index for one, cable in self._cables.items()}
            self._chains.set(place, indexes, leaving, self._tunnelling.mouth)
        self._place = place
        for cable in self._cables.values():
            cable.gate.mtu = MTU if place.tunnel is None else place.tunnel.mtu
        self._leave_by(egress)
        self._leaving.set(place, leaving)
        self._listen({name: (address, port) for name, address, port in listeners})
        for interface in place.interfaces:
            self._watch(self._cables[interface.id])

    def ask_through(self, asker: socket.socket) -> None:
        """Hand questions to *asker* from now on, those that wait first."""
        self._asker = asker
        for _ in range(len(self._waiting)):
            if self._asker is not None:
                self._hand_over(*self._waiting.popleft())

    def lose(self, asker: socket.socket) -> None:
        """Keep questions if they went there."""
        if self._asker is asker:
            self._asker = None

    def tick(self) -> None:
        """What has to be done from time to time."""
        self._leaving.tick()

    def _leave_by(self, egress: str) -> None:
        given = self._given.pop(egress, None) if egress else None
        if given is not None:
            self._leaving.join(socket.socket(fileno=given[0]))
        elif not egress:
            self._leaving.join(None)
        self._egress = egress

    def _plug(self, place: Place, interface: Interface) -> None:
        guest, folder = self._given.pop(interface.socket)
        switch, address = place.vswitch(interface.vswitch), IPv4Address(interface.address)
        unix = socket.socket(fileno=guest)
        unix.setblocking(False)
        self._numbers += 1
        mac = bytes.fromhex(interface.mac.replace(":", ""))
        index = links.make_pair(self._link, self._numbers, address, mac, switch.gateway)
        frames = links.open_frames(self._numbers)
        for one in (unix, frames):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
        gate = Gate(interface.mac, address, switch.network, switch.gateway, IPv4Network(place.vpc.cidr))
        end = End(
            self._poll,
            f"/proc/self/fd/{folder}/end",
            lambda: self._poll.unregister(frames),
            lambda: self._hear_frames(self._cables[interface.id]),
        )
        self._cables[interface.id] = _Cable(interface, self._numbers, index, gate, unix, frames, folder, end)

    def _watch(self, cable: _Cable) -> None:
        if cable.guest not in self._poll.get_map():
            self._poll.register(cable.guest, selectors.EVENT_READ, (self._out, cable))
            self._hear_frames(cable)

    def _hear_frames(self, cable: _Cable) -> None:
        self._poll.register(cable.frames, selectors.EVENT_READ, (self._back, cable))

    def _unplug(self, interface: str) -> None:
        cable = self._cables.pop(interface)
        for one in (cable.guest, cable.frames):
            with contextlib.suppress(KeyError):
                self._poll.unregister(one)
            one.close()
        cable.end.close()
        os.close(cable.folder)
        links.remove_pair(self._link, cable.index)

    def _out(self, _: int, cable: _Cable) -> None:
        for _ in range(_TURN):
            try:
                frame = cable.guest.recv(LONGEST + 1)
            except OSError:
                return
            judged = cable.gate.judge(frame)
            if judged.on:
                with contextlib.suppress(OSError):
                    cable.frames.send(frame)
            elif judged.leaves:
                self._leaving.take(cable.interface, frame)
            elif judged.answer is not None:
                cable.end.offer(judged.answer)

    def _on(self, interface: str, frame: bytes) -> None:
        if cable := self._cables.get(interface):
            with contextlib.suppress(OSError):
                cable.frames.send(frame)

    def _tell(self, interface: Interface, packet: bytes) -> None:
        cable = self._cables.get(interface.id)
        if cable is not None and cable.interface.socket == interface.socket:
            cable.end.offer(cable.gate.framed(packet))

    def _back(self, _: int, cable: _Cable) -> None:
        for _ in range(_TURN):
            try:
                frame = cable.frames.recv(LONGEST + 1)
            except OSError:
                return
            if cable.gate.for_guest(frame) and not cable.end.send(frame):
                return

    def _listen(self, wanted: dict[str, tuple[str, int]]) -> None:
        for name in [one for one in self._listeners if one not in wanted]:
            listener = self._listeners.pop(name)
            self._poll.unregister(listener)
            listener.close()
        for name, (address, port) in wanted.items():
            if name not in self._listeners:
                (descriptor,) = self._given.pop(name)
                listener = socket.socket(fileno=descriptor)
                listener.setblocking(False)
                self._listeners[name] = listener
                self._poll.register(listener, selectors.EVENT_READ, (self._accept_for(address, port), listener))

    def _accept_for(self, address: str, port: int) -> object:
        def accept(_: int, listener: socket.socket) -> None:
            try:
                came, peer = listener.accept()
            except OSError:
                return
            interface = self._behind(address)
            if interface is None or not self._lets_in(interface, peer[0], port) or len(self._relays) >= MOST_AT_ONCE:
                came.close()
                return
            gone = socket.socket()
            gone.setblocking(False)
            with contextlib.suppress(BlockingIOError, OSError):
                gone.connect((interface.address, port))
            self._relays.add(Relay(self._poll, came, gone, self._relays.discard))

        return accept

    def _behind(self, address: str) -> Interface | None:
        place = self._place
        if place is None:
            return None
        behind = next((one.interface for one in place.addresses if one.address == address), None)
        return next((one for one in place.interfaces if one.id == behind), None)

    def _lets_in(self, interface: Interface, source: str, port: int) -> bool:
        return self._place is not None and admission.lets_in(self._place, interface, source, "tcp", port)

    def _accept_question(self, _: int, listener: socket.socket) -> None:
        try:
            connection, (address, _) = listener.accept()
        except OSError:
            return
        # Nothing comes from an address but by its own cable.
        asks = next((one.interface.id for one in self._cables.values() if one.interface.address == address), None)
        waiting = [one for one, _ in self._waiting]
        if asks is None or len(waiting) >= _WAITING_QUESTIONS or waiting.count(asks) >= _OF_ONE_GUEST:
            connection.close()
        elif self._asker is None:
            self._waiting.append((asks, connection))
        else:
            self._hand_over(asks, connection)

    def _hand_over(self, asks: str, connection: socket.socket) -> None:
        assert self._asker is not None
        try:
            spoken.say(self._asker, {"interface": asks}, [connection.fileno()])
        except OSError:
            self._asker = None  # Kiln is gone, which the loop has yet to hear.
            self._waiting.append((asks, connection))
            return
        connection.close()


def _is_for(cable: _Cable, interface: Interface | None) -> bool:
    return interface is not None and cable.interface.socket == interface.socket
