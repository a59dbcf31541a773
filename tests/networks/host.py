"""A host for networks, and an internet beyond it: namespaces, so that it is decided here what a guest could reach.

Started as ``host.py FOLDER RESOLV TO ALL`` in a user and a network namespace; reads commands from its input, in JSON,
one a line. The host is 9.9.9.1 and has a route to everybody; at home it is 192.168.7.1, and .2 is another.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from kiln.networks import records
from kiln.networks.keepers import KeptNetworks
from kiln.networks.placefolder import PlaceFolder, holder_of
from kiln.networks.wayout import WayOut
from tests.networks import measures

HOST, HOST_AT_HOME, NEIGHBOUR, FAR, RESOLVER = "9.9.9.1", "192.168.7.1", "192.168.7.2", "9.8.7.6", "9.9.9.53"


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def tell(said):
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


class Served:
    """Whoever stands at an address: 80, 53 and 25 say who it is, 7 only listens; beside them what is measured by."""

    def __init__(self, name, *addresses):
        self._name = name
        self.came = []  #: Whoever came, by any protocol.
        for port, handle in ((80, self._say), (53, self._say), (25, self._say), (7, self._hold)):
            measures.serve(port, handle, self.came)
        measures.serve(measures.ECHO, measures.echo, self.came)
        measures.serve(measures.SINK, measures.swallow, self.came)
        for address in addresses:
            for port in (80, 53):
                asked = socket.socket(type=socket.SOCK_DGRAM)
                asked.bind((address, port))
                threading.Thread(target=self._by_udp, args=(asked,), daemon=True).start()

    def _by_udp(self, asked):
        while True:
            said, peer = asked.recvfrom(70000)
            self.came.append(f"udp {asked.getsockname()[0]}")
            asked.sendto(f"{self._name} {asked.getsockname()[0]} {peer[0]}".encode() if said == b"?" else said, peer)

    def _say(self, connection, peer):
        with contextlib.suppress(OSError), connection:
            connection.sendall(f"{self._name} {connection.getsockname()[0]} {peer[0]}\n".encode())

    def _hold(self, connection, _):
        with contextlib.suppress(OSError), connection:
            connection.recv(1)


def internet():
    """A child in a namespace of its own, joined to this one."""
    (here, there), (go, gone) = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        assert not ctypes.CDLL(None).unshare(0x40000000)
        os.write(there, b"x")
        os.read(go, 1)
        for link, address in (("i0", "9.9.9.2/24"), ("i1", f"{NEIGHBOUR}/24"), ("lo", RESOLVER), ("lo", FAR)):
            ip("link", "set", link, "up")
            ip("addr", "add", address, "dev", link)
        ip("route", "add", "local", "8.0.0.0/8", "dev", "lo")
        Served("far", FAR, RESOLVER, NEIGHBOUR)
        os.write(there, b"x")
        threading.Event().wait()
    os.read(here, 1)
    ip("link", "set", "lo", "up")
    for own, other, address in (("h0", "i0", HOST), ("h1", "i1", HOST_AT_HOME)):
        ip("link", "add", own, "type", "veth", "peer", "name", other, "netns", str(child))
        ip("addr", "add", f"{address}/24", "dev", own)
        ip("link", "set", own, "up")
    os.write(gone, b"x")
    os.read(here, 1)
    for whom in ("default", RESOLVER):
        ip("route", "add", whom, "via", "9.9.9.2")
    return child


class Host:
    """What a test may have done."""

    def __init__(self, folder, way_out, served):
        self.folder, self._served = Path(folder), served
        self.networks = KeptNetworks(self.folder, confined=False, way_out=way_out)

    def hold(self, text):
        self.networks.hold(records.from_text(text))

    def revive(self):
        return self.networks.revive()

    def again(self, to, resolver):
        """As another Kiln with another setting finds it."""
        self.networks = KeptNetworks(self.folder, confined=False, way_out=WayOut(to=to, resolver=Path(resolver)))

    def let_go(self):
        for vpc in self.networks.vpcs():
            self.networks.let_go(vpc)

    def came(self):
        """What has come to the host's own servers."""
        return self._served.came

    def asked(self, timeout):
        """The VPC and the interface of the next question for metadata, if there is one."""
        question = self.networks.question(timeout)
        if question is None:
            return None
        question.connection.close()
        return [question.vpc, question.interface]

    def entrance(self, vpc, address):
        """By the guest's ports, those of a public address."""
        return self.networks.listening(vpc)[address]

    def round_trips(self, *what):
        return measures.round_trips(*what)

    def seconds_to_send(self, *what):
        return measures.seconds_to_send(*what)

    def egress(self, vpc):
        """The process of a VPC's egress."""
        return holder_of(PlaceFolder(self.folder / vpc).egress)

    def kill_egress(self, vpc):
        os.kill(self.egress(vpc), signal.SIGKILL)
        while self.egress(vpc) is not None:
            os.sched_yield()

    def sockets_of(self, pid):
        """How many sockets a process has."""
        count = 0
        for one in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # One that is closed just now.
                count += str(one.readlink()).startswith("socket:")
        return count


def main(folder, resolver, to, is_for_all):
    child = internet()
    Path("/proc/sys/net/ipv4/ping_group_range").write_text("0 0")
    served = Served("host", HOST, HOST_AT_HOME, "127.0.0.1")
    host = Host(folder, WayOut(to=to, is_for_all=bool(is_for_all), resolver=Path(resolver)), served)
    tell("up")
    try:
        for line in sys.stdin:
            word, *arguments = json.loads(line)
            tell(getattr(host, word)(*arguments))
    finally:
        host.let_go()
        os.kill(child, signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])
