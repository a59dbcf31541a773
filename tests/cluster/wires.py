"""Hosts with networks of their own, on one wire: several on one machine would not speak as hosts do.

Each is a network namespace, held by a process that does nothing, and so gone with it. The kernel hands what goes from
one tunnel to another of the same namespace over in its own way, which passes by what hosts meet.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from kiln.testing.served import Served, serving
from tests.tools import lacks, needs
from tests.waiting import wait_for

_NETWORK = 0x40000000  #: CLONE_NEWNET.


class Wire:
    """See the module's docstring. The first is the wire itself, which is 10.7.0.254; the host *n* is 10.7.0.n."""

    def __init__(self, names: tuple[str, ...], stack: ExitStack) -> None:
        self._at = {name: stack.enter_context(_namespace()) for name in ("", *names)}
        self._ip("", "link", "add", "wire", "type", "bridge")
        self._ip("", "addr", "add", "10.7.0.254/24", "dev", "wire")
        self._ip("", "link", "set", "wire", "up")
        for number, name in enumerate(names, 1):
            there = str(self._at[name])
            self._ip("", "link", "add", f"w{number}", "type", "veth", "peer", "name", "h0", "netns", there)
            self._ip("", "link", "set", f"w{number}", "master", "wire", "up")
            self._ip(name, "addr", "add", f"{self.address_of(name)}/24", "dev", "h0")
            self._ip(name, "link", "set", "h0", "up")

    def address_of(self, name: str) -> str:
        """Where others on the wire reach the host."""
        return f"10.7.0.{list(self._at).index(name)}"

    @contextmanager
    def at(self, name: str = "") -> Iterator[None]:
        """What this thread opens meanwhile is in that host's network; in that of whoever is on the wire for none."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        there = os.open(f"/proc/{self._at[name]}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter(there)
            yield
        finally:
            _enter(before)
            os.close(there)
            os.close(before)

    @contextmanager
    def start_kiln(self, data: Path, machines: str = "none", **settings: Any) -> Iterator[Served]:
        """As ``kiln.testing.start_kiln``, at the host that the settings name; what is no host is on the wire."""
        made = _There.of(data, machines, settings)
        made.holder = self._at.get(settings["host"], self._at[""])
        with serving(made) as kiln:
            yield kiln

    def _ip(self, name: str, *words: str) -> None:
        subprocess.run(["nsenter", f"--net=/proc/{self._at[name]}/ns/net", "ip", *words], check=True)


class _There(Served):
    """A served Kiln in the namespace of a process."""

    holder = 0

    def begin(self, environment: dict[str, str], log: BinaryIO) -> subprocess.Popen[bytes]:
        program = [sys.executable, "-P", "-m", "kiln.cli.main", "serve"]
        command = ["nsenter", f"--net=/proc/{self.holder}/ns/net", *program]
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


@contextmanager
def wire_of(*names: str) -> Iterator[Wire]:
    """Hosts of these names on a wire; without the rights or the tools the test is skipped, or fails in CI."""
    needs("ip", "nsenter", "unshare")
    if os.geteuid():
        lacks("root, who may make networks of hosts")
    with ExitStack() as stack:
        yield Wire(names, stack)


@contextmanager
def _namespace() -> Iterator[int]:
    """The process that holds one."""
    own = Path("/proc/self/ns/net").readlink()
    command = ["unshare", "--net", "sh", "-c", "ip link set lo up && exec sleep infinity"]
    with subprocess.Popen(command) as holder:
        try:
            there = Path(f"/proc/{holder.pid}")
            wait_for(lambda: (there / "comm").read_text() == "sleep\n", within_s=300)
            assert (there / "ns" / "net").readlink() != own
            yield holder.pid
        finally:
            holder.kill()


def _enter(namespace: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(namespace, _NETWORK):
        raise OSError(ctypes.get_errno(), "setns")
