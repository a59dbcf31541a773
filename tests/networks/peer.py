"""A guest without a machine: a network namespace at the end of a cable, that speaks as QEMU does and obeys its test.

Started as ``peer.py FOLDER MAC ADDRESS BITS GATEWAY UID``; reads commands from its input, in JSON, one a line.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import random
import resource
import select
import selectors
import socket
import struct
import sys
import threading
import time
from ipaddress import IPv4Address
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from kiln.networks import links, namespace
from kiln.networks.netlink import ACK, CREATE, EXCL, Message, Netlink, attribute, integer, ipv4, nested, text
from kiln.networks.packets import checksum
from tests.networks import measures

_NEW_LINK, _NEW_ADDRESS, _NEW_ROUTE = 16, 20, 24


def plug(link: Netlink, mac: str, address: str, bits: int, gateway: str) -> None:
    peer = attribute(1, links.about(0, up=False) + text(3, "g1") + integer(4, links.MTU))
    info = nested(18, text(1, "veth"), nested(2, peer))
    own = [text(3, "g0"), integer(4, links.MTU), attribute(1, bytes.fromhex(mac.replace(":", "")))]
    link.ask(Message(_NEW_LINK, ACK | CREATE | EXCL, links.about(0, up=False), *own, info))
    for name in ("g0", "g1"):
        links.make_whole(name)
        link.ask(Message(_NEW_LINK, ACK, links.about(socket.if_nametoindex(name), up=True)))
    index, packed = socket.if_nametoindex("g0"), IPv4Address(address)
    header = struct.pack("=BBBBi", socket.AF_INET, bits, 0, 0, index)
    link.ask(Message(_NEW_ADDRESS, ACK | CREATE | EXCL, header, ipv4(1, packed), ipv4(2, packed)))
    route = struct.pack("=BBBBBBBBI", socket.AF_INET, 0, 0, 0, 254, 4, 0, 1, 0)
    link.ask(Message(_NEW_ROUTE, ACK | CREATE, route, ipv4(5, IPv4Address(gateway))))


def pump(cable: socket.socket, frames: socket.socket, switch: str, heard: list[bytes]) -> None:
    """As QEMU does: what finds no room on its way out waits for it."""
    poll = selectors.DefaultSelector()
    frames.setblocking(False)
    for one in (cable, frames):
        poll.register(one, selectors.EVENT_READ)
    while True:
        for key, _ in poll.select():
            with contextlib.suppress(OSError):
                for _ in range(64):
                    if key.fileobj is frames:
                        cable.sendto(frames.recv(70000), switch)
                    else:
                        heard.append(cable.recv(70000, socket.MSG_DONTWAIT))
                        del heard[:-1000]
                        frames.send(heard[-1])


class Peer:
    def __init__(self, cable: socket.socket, switch: str, heard: list[bytes]) -> None:
        self._cable, self._switch, self._heard = cable, switch, heard
        self._held: list[socket.socket] = []
        self._storms, self.sent = False, 0

    def serve(self, port: int, said: str) -> str:
        """Says the same to everybody by TCP; by UDP also who asked."""
        tcp, udp = socket.create_server(("", port)), socket.socket(type=socket.SOCK_DGRAM)
        udp.bind(("", port))

        def by_tcp() -> None:
            while True:
                connection, peer = tcp.accept()
                with contextlib.suppress(OSError), connection:
                    connection.sendall(f"{said} {peer[0]}\n".encode())

        def by_udp() -> None:
            while True:
                _, peer = udp.recvfrom(2000)
                udp.sendto(f"{said} {peer[0]}".encode(), peer)

        for one in (by_tcp, by_udp):
            threading.Thread(target=one, daemon=True).start()
        return "served"

    def measured(self) -> str:
        """Serves what others measure by."""
        measures.serve(measures.ECHO, measures.echo)
        measures.serve(measures.SINK, measures.swallow)
        return "served"

    def round_trips(self, address: str, port: int, count: int) -> list[float]:
        return measures.round_trips(address, port, count)

    def seconds_to_send(self, address: str, port: int, size_bytes: int) -> float:
        return measures.seconds_to_send(address, port, size_bytes)

    def tcp(self, address: str, port: int, timeout: float, say: str = "") -> str | None:
        with (
            contextlib.suppress(OSError),
            socket.socket() as connection,
        ):  # By no name, whose codec would be loaded now.
            connection.settimeout(timeout)
            connection.connect((address, port))
            connection.sendall(say.encode())
            # A line is all that a guest may say before it waits for more.
            return connection.makefile().readline().rstrip("\n")
        return None

    def udp(self, address: str, port: int, timeout: float) -> str | None:
        with socket.socket(type=socket.SOCK_DGRAM) as asker:
            asker.settimeout(0.5)
            deadline = time.monotonic() + timeout
            while time.monotonic() < deadline:
                with contextlib.suppress(OSError):
                    asker.sendto(b"?", (address, port))
                    return asker.recv(2000).decode()
        return None

    def ping(self, address: str, timeout: float) -> float | None:
        """Seconds of the round trip."""
        with socket.socket(type=socket.SOCK_RAW, proto=1) as asker:
            asker.settimeout(timeout)
            head = struct.pack("!BBHHH", 8, 0, 0, 77, 1)
            begun = time.monotonic()
            asker.sendto(head[:2] + struct.pack("!H", checksum(head)) + head[4:], (address, 0))
            with contextlib.suppress(OSError):
                while True:
                    said, peer = asker.recvfrom(2000)
                    if peer[0] == address and said[20] == 0:
                        return time.monotonic() - begun
        return None

    def connect(self, address: str, port: int, timeout: float) -> str:
        """How it went: ``connected``, or the name of the error."""
        with socket.socket() as connection:
            connection.settimeout(timeout)
            try:
                connection.connect((address, port))
            except OSError as error:
                return errno.errorcode.get(error.errno or 0, "silence")
        return "connected"

    def send_back(self, address: str, port: int, size: int, timeout: float) -> bool:
        """Whether so many bytes come back as they were sent, to the end of them."""
        said, heard = random.randbytes(size), bytearray()
        with socket.create_connection((address, port), timeout) as connection:

            def send() -> None:
                connection.sendall(said)
                connection.shutdown(socket.SHUT_WR)

            threading.Thread(target=send, daemon=True).start()
            while more := connection.recv(1 << 20):
                heard += more
        return heard == said

    def flood(self, address: str, port: int, count: int, wanted: int, timeout: float) -> int:
        """Begins connections until there are so many, and waits until *wanted* stand and a second more; holds them."""
        self._held, poll = [], select.poll()
        stand, deadline, is_enough = 0, time.monotonic() + timeout, False
        while (left := deadline - time.monotonic()) > 0:
            # Not all in one moment: what its own card has no room for would never have been sent.
            begun = [socket.socket() for _ in range(min(50, count - len(self._held)))]
            for one in begun:
                one.setblocking(False)
                one.connect_ex((address, port))
                poll.register(one, select.POLLOUT)
            self._held += begun
            for number, events in poll.poll(5 if begun else left * 1000):
                poll.unregister(number)
                stand += not events & (select.POLLERR | select.POLLHUP)
            if stand >= wanted and len(self._held) == count and not is_enough:
                is_enough, deadline = True, time.monotonic() + 1.0
        return stand

    def end_flood(self) -> str:
        for one in self._held:
            one.close()
        return "ended"

    def frame(self, said: str) -> str:
        """Sends a frame as it is."""
        self._cable.sendto(bytes.fromhex(said), self._switch)
        return "sent"

    def storm(self, frames: list[str], begin: bool) -> str:
        """Sends frames without end, as fast as they are taken, until it is told not to."""
        self._storms = begin

        def send() -> None:
            packed = [bytes.fromhex(one) for one in frames]
            while self._storms:
                for one in packed:
                    self._cable.sendto(one, self._switch)
                    self.sent += 1

        if begin:
            threading.Thread(target=send, daemon=True).start()
        return str(self.sent)

    def heard(self) -> list[str]:
        """The frames that came, the newest last."""
        return [frame.hex() for frame in self._heard]


def tell(said: object) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def main(folder: str, mac: str, address: str, *more: str) -> None:
    bits, gateway, uid = more
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # As QEMU is given them: the names are too long for a socket otherwise.
    above, own = (os.open(f"{folder}{name}", os.O_PATH) for name in ("", "/qemu"))
    if uid:
        namespace.become(int(uid))
    end, switch = f"/proc/self/fd/{own}/end", f"/proc/self/fd/{above}/switch"
    with contextlib.suppress(FileNotFoundError):
        Path(end).unlink()
    os.umask(0)
    cable = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    cable.bind(end)
    namespace.enter()
    with Netlink(0) as link:
        links.open_loopback(link, IPv4Address("127.0.0.2"))
        plug(link, mac, address, int(bits), gateway)
    frames = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    frames.setsockopt(263, 23, 1)
    frames.bind(("g1", 3))
    heard: list[bytes] = []
    threading.Thread(target=pump, args=(cable, frames, switch, heard), daemon=True).start()
    peer = Peer(cable, switch, heard)
    tell("up")
    for line in sys.stdin:
        word, *arguments = json.loads(line)
        tell(getattr(peer, word)(*arguments))


if __name__ == "__main__":
    main(*sys.argv[1:])
