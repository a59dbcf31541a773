"""The process by which the guests of one VPC reach what is beyond it: it stands in the host's own network.

Started as ``python -m kiln.networks.egress UID LOCK LINE READY TO RESOLVER`` with
three descriptors: the file whose lock says that it lives, its end of the line to
the VPC's keeper, and a pipe on which it says that it serves. It ends when the
keeper does, or when the file is gone. It reads nothing of what guests say, and
decides alone where they may go: nothing that a keeper says is believed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import resource
import selectors
import socket
import struct
import sys
import time
from collections.abc import Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from kiln.ground.values import dataclass
from kiln.networks import line, namespace
from kiln.networks.line import Line
from kiln.networks.polling import Poll
from kiln.networks.relays import Relay
from kiln.networks.values import DNS_ADDRESSES
from kiln.networks.wayout import NAMES_PORT, Resolvers, Routes, WayOut

_LOOK_S = 5.0  #: How often it looks whether its file is still there, and who has been quiet for too long.
_MOST_FILES = 8192
_MOST = 8192  #: Conversations, whatever a keeper says.
_CONNECT_S, _QUIET_S, _QUIET_NAMES_S = 75.0, 120.0, 20.0
_AT_ONCE = 64
_ECHO_HEAD = struct.Struct("!BBHH")

_Target = tuple[socket.AddressFamily, tuple[Any, ...]]


@dataclass
class _Held:
    """A socket of the host's, and when it is over if nothing happens (monotonic seconds)."""

    number: int
    end: socket.socket
    until: float
    quiet_s: float = 0.0
    is_echo: bool = False


class Egress:
    """See the module's docstring."""

    def __init__(self, poll: Poll, end: socket.socket, way_out: WayOut) -> None:
        self._poll, self._way_out = poll, way_out
        self._routes, self._resolvers = Routes(), Resolvers(way_out.resolver)
        self._held: dict[int, _Held] = {}
        self._relays: dict[int, Relay] = {}
        self._line = Line(poll, end, self._hear, self._lost)
        self.is_over = False

    def tick(self) -> None:
        """End what has been quiet for too long."""
        now = time.monotonic()
        for held in [one for one in self._held.values() if one.until < now]:
            self._end(held, line.ENDED if held.quiet_s else line.FORBIDDEN)

    def _hear(self, word: int, number: int, said: bytes, descriptor: int | None) -> None:
        try:
            if word == line.TAKE:
                self._take(number, descriptor)
                descriptor = None
            elif word == line.DROP:
                self._drop(number)
            elif len(said) >= line.WHOM.size and len(self._held) + len(self._relays) < _MOST:
                target = self._target(*line.WHOM.unpack_from(said), by_udp=word == line.SEND)
                if target is None:
                    self._line.say(line.FORBIDDEN, number)
                elif word == line.BEGIN:
                    self._begin(number, target)
                else:
                    self._send(number, target, said[line.WHOM.size :], is_echo=word == line.PING)
        except OSError:
            self._drop(number)
            self._line.say(line.ENDED, number)
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def _lost(self, _: Line) -> None:
        self.is_over = True

    def _target(self, packed: bytes, port: int, *, by_udp: bool) -> _Target | None:
        """Whom a guest reaches by an address, if anybody."""
        address = IPv4Address(packed)
        if str(address) in DNS_ADDRESSES and port == NAMES_PORT:
            resolver = self._resolvers.behind(str(address))
            if resolver is None:
                return None
            numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
            # As bytes: of text Python would load a codec, from folders that may be closed to who this is by now.
            (found, *_) = socket.getaddrinfo(resolver.encode(), port, type=socket.SOCK_STREAM, flags=numeric)
            return found[0], found[4]
        if self._way_out.lets(address, port, by_udp=by_udp) and self._routes.leads_away(address):
            return socket.AF_INET, (str(address), port)
        return None

    def _begin(self, number: int, target: _Target) -> None:
        end = socket.socket(target[0])
        end.setblocking(False)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        held = self._held[number] = _Held(number, end, time.monotonic() + _CONNECT_S)
        failed = end.connect_ex(target[1])
        if failed in (0, errno.EINPROGRESS):
            self._poll.register(end, selectors.EVENT_WRITE, (self._joined, held))
        else:
            self._end(held, _word_of(failed))

    def _joined(self, _: int, held: _Held) -> None:
        if failed := held.end.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._end(held, _word_of(failed))
            return
        # From here on the keeper says when it takes too long.
        held.until = float("inf")
        self._poll.unregister(held.end)
        self._line.say(line.JOINED, held.number)

    def _take(self, number: int, descriptor: int | None) -> None:
        if descriptor is None:
            raise OSError(errno.EMFILE, "no descriptor came")
        came = socket.socket(fileno=descriptor)
        held = self._held.pop(number, None)
        if held is None:
            came.close()
            return
        came.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

        def ended(_: Relay) -> None:
            del self._relays[number]
            self._line.say(line.ENDED, number)

        self._relays[number] = Relay(self._poll, came, held.end, ended)

    def _drop(self, number: int) -> None:
        if relay := self._relays.get(number):
            relay.close()
        elif held := self._held.get(number):
            self._end(held, None)

    def _end(self, held: _Held, word: int | None) -> None:
        with contextlib.suppress(KeyError):
            self._poll.unregister(held.end)
        held.end.close()
        del self._held[held.number]
        if word is not None:
            self._line.say(word, held.number)

    def _send(self, number: int, target: _Target, said: bytes, *, is_echo: bool) -> None:
        held = self._held.get(number)
        if held is None:
            end = socket.socket(target[0], socket.SOCK_DGRAM, socket.IPPROTO_ICMP if is_echo else 0)
            end.setblocking(False)
            quiet_s = _QUIET_NAMES_S if target[1][1] == NAMES_PORT else _QUIET_S
            held = self._held[number] = _Held(number, end, 0.0, quiet_s, is_echo)
            end.connect(target[1])
            self._poll.register(end, selectors.EVENT_READ, (self._answer, held))
        held.until = time.monotonic() + held.quiet_s
        with contextlib.suppress(OSError):  # It is lost on its way, or nobody was there for the one before.
            # The kernel gives an echo its identifier and its checksum.
            held.end.send(_ECHO_HEAD.pack(8, 0, 0, 0) + said if is_echo else said)

    def _answer(self, _: int, held: _Held) -> None:
        for _ in range(_AT_ONCE):
            try:
                said = held.end.recv(line.LONGEST)
            except OSError:
                return
            held.until = time.monotonic() + held.quiet_s
            self._line.offer(line.ANSWER, held.number, said[_ECHO_HEAD.size :] if held.is_echo else said)


def _word_of(failed: int) -> int:
    return line.REFUSED if failed == errno.ECONNREFUSED else line.FORBIDDEN


def main(arguments: Sequence[str]) -> None:
    """See the module's docstring."""
    uid, lock, end, ready, to, resolver = arguments
    with os.fdopen(int(ready), "w") as said:
        try:
            fcntl.lockf(int(lock), fcntl.LOCK_EX | fcntl.LOCK_NB)
            _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(_MOST_FILES, most), min(_MOST_FILES, most)))
            if uid:
                namespace.become(int(uid))
            # The keeper runs as the same user, and is not to come by this process to where this one stands.
            namespace.close_to_others()
            poll = Poll()
            egress = Egress(poll, socket.socket(fileno=int(end)), WayOut(to=to, resolver=Path(resolver)))
        except (OSError, ValueError) as error:
            said.write(str(error))
            sys.exit(1)
        said.write("ok")
    while os.fstat(int(lock)).st_nlink and not egress.is_over:
        poll.turn(_LOOK_S)
        egress.tick()


if __name__ == "__main__":
    main(sys.argv[1:])
