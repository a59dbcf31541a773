"""What leaves a VPC, as its keeper sees it: conversations that guests begin with somebody beyond.

A connection's first packet waits until the egress has reached whom it is for.
Then the kernel of this namespace takes it in that one's name, and the guest's
end of it goes to the egress; so a guest meets what it would meet without any of
this: an answer, a refusal, or silence. Datagrams and echoes go one by one.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from ipaddress import IPv4Address

from kiln.ground.values import dataclass
from kiln.networks import admission, line
from kiln.networks.line import Line
from kiln.networks.packets import ICMP, TCP, UDP, Packet, answers, packet_in, prohibition, refusal
from kiln.networks.polling import Poll
from kiln.networks.values import Interface, Place

MOST_OF_ONE = 512  #: Connections of one guest. What it begins then goes nowhere until another has ended.
_MOST, _ALWAYS = 2048, 16  #: Of all guests; who has fewer than that many itself may begin one all the same.
_MOST_FLOWS = 256  #: Of one guest, without connections; the one that was quiet for longest gives way.
_HANDSHAKE_S = 15.0
#: With fewer the kernel would answer a burst by cookies, and forget it where the guest's next packet is lost.
_BACKLOG = _MOST
_IP_TRANSPARENT = 19
_NAMES = {ICMP: "icmp", TCP: "tcp", UDP: "udp"}

_Key = tuple[int, bytes, int, bytes, int]


@dataclass
class _Conversation:
    number: int
    interface: Interface
    packet: Packet
    frame: bytes  #: The one that began it; of a connection until it stands.
    door: tuple[bytes, int] | None = None  #: Where the kernel is waiting for the guest.
    until: float = float("inf")  #: When the guest has to have come through it (monotonic seconds).


class Leaving:
    """Takes what guests send beyond their VPC.

    *carry* hands a frame of an interface to the kernel, *tell* a packet to its guest.
    """

    def __init__(
        self, poll: Poll, carry: Callable[[str, bytes], None], tell: Callable[[Interface, bytes], None]
    ) -> None:
        self._poll, self._carry, self._tell = poll, carry, tell
        self._place: Place | None = None
        self._leaving: dict[str, Interface] = {}
        self._line: Line | None = None
        self._numbers = 0
        self._by_number: dict[int, _Conversation] = {}
        self._by_key: dict[_Key, _Conversation] = {}
        self._connections: Counter[str] = Counter()
        #: Of each guest the one that was quiet for longest first.
        self._flows: defaultdict[str, dict[_Key, None]] = defaultdict(dict)
        self._doors: dict[tuple[bytes, int], tuple[socket.socket, set[int]]] = {}

    @property
    def is_joined(self) -> bool:
        """Whether an egress is there."""
        return self._line is not None

    def join(self, end: socket.socket | None) -> None:
        """Speak to this egress from now on; None: to none. Conversations by the one before have ended."""
        if self._line is not None:
            self._line.close()
            self._lost(self._line)
        if end is not None:
            self._line = Line(self._poll, end, self._hear, self._lost)

    def set(self, place: Place, leaving: frozenset[str]) -> None:
        """Let these interfaces' guests out. What others have begun ends."""
        self._place, self._leaving = place, {one.id: one for one in place.interfaces if one.id in leaving}
        sockets = {one.socket for one in self._leaving.values()}
        for one in list(self._by_number.values()):
            if one.interface.socket not in sockets:
                self._drop(one)

    def take(self, interface: Interface, frame: bytes) -> None:
        """A frame of the interface's guest to somebody beyond."""
        packet = packet_in(frame)
        if packet is None or self._place is None:
            return
        if interface.id not in self._leaving:
            self._forbid(interface, frame)
        elif packet.protocol == TCP and not packet.is_beginning:
            self._carry(interface.id, frame)
        elif known := self._by_key.get(packet.key):
            self._go_on(known, packet, frame)
        elif self._line is not None and self._may_begin(interface, packet):
            self._begin(interface, packet, frame)

    def tick(self) -> None:
        """Forget guests that do not come through the door that was opened for them."""
        now = time.monotonic()
        for one in [one for one in self._by_number.values() if one.until < now]:
            self._drop(one)

    def _may_begin(self, interface: Interface, packet: Packet) -> bool:
        assert self._place is not None
        own = self._connections[interface.id]
        if packet.protocol == TCP and (own >= MOST_OF_ONE or (self._connections.total() >= _MOST and own >= _ALWAYS)):
            return False
        to = str(IPv4Address(packet.destination))
        return admission.lets_out(self._place, interface, to, _NAMES[packet.protocol], packet.port)

    def _begin(self, interface: Interface, packet: Packet, frame: bytes) -> None:
        assert self._line is not None
        self._numbers += 1
        one = _Conversation(self._numbers, interface, packet, frame)
        self._by_number[one.number] = self._by_key[packet.key] = one
        if packet.protocol == TCP:
            self._connections[interface.id] += 1
            self._line.say(line.BEGIN, one.number, line.WHOM.pack(packet.destination, packet.port))
            return
        flows = self._flows[interface.id]
        if len(flows) >= _MOST_FLOWS:
            self._drop(self._by_key[next(iter(flows))])
        flows[packet.key] = None
        self._send(one, packet)

    def _go_on(self, one: _Conversation, packet: Packet, frame: bytes) -> None:
        if packet.protocol != TCP:
            flows = self._flows[one.interface.id]
            flows[packet.key] = flows.pop(packet.key)
            self._send(one, packet)
        elif one.door is not None or not one.frame:
            self._carry(one.interface.id, frame)

    def _send(self, one: _Conversation, packet: Packet) -> None:
        assert self._line is not None
        word = line.PING if packet.protocol == ICMP else line.SEND
        self._line.offer(word, one.number, line.WHOM.pack(packet.destination, packet.port) + packet.body)

    def _forbid(self, interface: Interface, frame: bytes) -> None:
        assert self._place is not None
        self._tell(interface, prohibition(self._place.vswitch(interface.vswitch).gateway.packed, frame))

    def _hear(self, word: int, number: int, said: bytes, _: int | None) -> None:
        one = self._by_number.get(number)
        if one is None:
            return
        if word == line.ANSWER:
            for packet in answers(one.packet, said):
                self._tell(one.interface, packet)
        elif word == line.JOINED:
            self._open(one)
        else:
            if word == line.REFUSED:
                self._tell(one.interface, refusal(one.frame))
            elif word == line.FORBIDDEN:
                self._forbid(one.interface, one.frame)
            self._forget(one)

    def _open(self, one: _Conversation) -> None:
        """Wait in the other's name for the guest, and let its first packet in."""
        door = one.packet.destination, one.packet.port
        if door not in self._doors:
            try:
                listener = _listening(str(IPv4Address(door[0])), door[1])
            except OSError:
                self._drop(one)
                return
            self._poll.register(listener, selectors.EVENT_READ, (self._accept, listener))
            self._doors[door] = listener, set()
        self._doors[door][1].add(one.number)
        one.door, one.until = door, time.monotonic() + _HANDSHAKE_S
        self._carry(one.interface.id, one.frame)

    def _accept(self, _: int, listener: socket.socket) -> None:
        while listener.fileno() >= 0:
            try:
                came, (address, port) = listener.accept()
            except OSError:
                return
            to, to_port = came.getsockname()
            one = self._by_key.get((TCP, socket.inet_aton(address), port, socket.inet_aton(to), to_port))
            if one is None or one.door is None or self._line is None:
                came.close()
                continue
            self._close_door(one)
            one.frame, one.until = b"", float("inf")
            self._line.say(line.TAKE, one.number, descriptor=came.detach())

    def _close_door(self, one: _Conversation) -> None:
        if one.door is None:
            return
        listener, awaited = self._doors[one.door]
        awaited.discard(one.number)
        if not awaited:
            self._poll.unregister(listener)
            listener.close()
            del self._doors[one.door]
        one.door = None

    def _drop(self, one: _Conversation) -> None:
        if self._line is not None:
            self._line.say(line.DROP, one.number)
        self._forget(one)

    def _forget(self, one: _Conversation) -> None:
        self._close_door(one)
        del self._by_number[one.number], self._by_key[one.packet.key]
        if one.packet.protocol == TCP:
            self._connections[one.interface.id] -= 1
        else:
            self._flows[one.interface.id].pop(one.packet.key, None)

    def _lost(self, gone: Line) -> None:
        if self._line is gone:
            self._line = None
            for one in list(self._by_number.values()):
                self._forget(one)


def _listening(address: str, port: int) -> socket.socket:
    """A listener in the name of somebody beyond. Raises OSError."""
    with contextlib.ExitStack() as failed:
        listener = failed.enter_context(socket.socket())
        listener.setblocking(False)
        # The ends of earlier connections have the same name.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_IP, _IP_TRANSPARENT, 1)
        listener.bind((address, port))
        listener.listen(_BACKLOG)
        failed.pop_all()
    return listener
