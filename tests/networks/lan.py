"""Hosts on one wire, which is the operator's own: namespaces, so that it is decided here who can send what to whom.

Started as ``lan.py FOLDER COUNT`` in a user and a network namespace; reads commands from its input, in JSON, one a
line, the host's number first. Host 1 is 10.7.0.1, and so on; the wire itself, 10.7.0.254, is whoever else is on it.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from kiln.networks import records
from kiln.networks.errors import NetworkError
from kiln.networks.keepers import KeptNetworks
from kiln.networks.placefolder import PlaceFolder, holder_of
from kiln.networks.wayout import WayOut

WIRE = "10.7.0.254"


def address_of(number):
    return f"10.7.0.{number}"


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def tell(said):
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


class Host:
    """What a test may have done at one host, or on the wire."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.networks = KeptNetworks(self.folder, confined=False, way_out=WayOut(to="10.0.0.0/8", is_for_all=True))

    def hold(self, text):
        """What was in the way of it; empty where nothing was."""
        try:
            self.networks.hold(records.from_text(text))
        except NetworkError as error:
            return f"{type(error).__name__}: {error}"
        return ""

    def revive(self):
        return self.networks.revive()

    def let_go(self):
        for vpc in self.networks.vpcs():
            self.networks.let_go(vpc)

    def kill_keeper(self, vpc):
        os.kill(holder_of(PlaceFolder(self.folder / vpc).alive), signal.SIGKILL)
        while holder_of(PlaceFolder(self.folder / vpc).alive) is not None:
            os.sched_yield()

    def ip(self, *words):
        ip(*words)

    def send(self, source, to, port, datagram):
        """Send a datagram of the wire's, in anybody's name."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind((source, 0))
            sender.sendto(bytes.fromhex(datagram), (to, port))

    def listen(self, address, port):
        """Hear datagrams on the wire from now on."""
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._listener.bind((address, port))

    def heard(self, timeout):
        self._listener.settimeout(timeout)
        try:
            return self._listener.recv(70000).hex()
        except TimeoutError:
            return None


def serve(folder, hears, says):
    """Obey what comes on a pipe."""
    host = Host(folder)
    with os.fdopen(hears) as asked, os.fdopen(says, "w", 1) as answers:
        try:
            for line in asked:
                word, *arguments = json.loads(line)
                answers.write(json.dumps(getattr(host, word)(*arguments)) + "\n")
        finally:
            host.let_go()


def start(folder, number):
    """A child in a namespace of its own, joined to the wire; its pipes."""
    (asked, ask), (answer, answers), (gone, go) = os.pipe(), os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        assert not ctypes.CDLL(None).unshare(0x40000000)
        os.close(ask)
        os.write(answers, b"x")
        os.read(gone, 1)
        for link in ("lo", "h0"):
            ip("link", "set", link, "up")
        ip("addr", "add", f"{address_of(number)}/24", "dev", "h0")
        serve(folder, asked, answers)
        os._exit(0)
    os.close(asked)
    os.read(answer, 1)
    ip("link", "add", f"w{number}", "type", "veth", "peer", "name", "h0", "netns", str(child))
    ip("link", "set", f"w{number}", "master", "wire", "up")
    os.write(go, b"x")
    return child, os.fdopen(ask, "w", 1), os.fdopen(answer)


def main(folder, count):
    ip("link", "set", "lo", "up")
    ip("link", "add", "wire", "type", "bridge")
    ip("addr", "add", f"{WIRE}/24", "dev", "wire")
    ip("link", "set", "wire", "up")
    hosts = [start(f"{folder}/{number}", number) for number in range(1, int(count) + 1)]
    wire = Host(f"{folder}/wire")
    tell("up")
    for line in sys.stdin:
        number, *words = json.loads(line)
        if not number:
            tell(getattr(wire, words[0])(*words[1:]))
            continue
        _, ask, answer = hosts[number - 1]
        print(json.dumps(words), file=ask)
        sys.stdout.write(answer.readline() or '"gone"\n')
        sys.stdout.flush()
    # Each was begun with the pipes of those before it.
    for child, ask, _ in reversed(hosts):
        ask.close()
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
