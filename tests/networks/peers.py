"""Guests without machines, as tests start and ask them: see ``peer``."""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kiln.networks.trying import why_not
from kiln.networks.values import Interface, Place
from tests.tools import lacks, needs

_PROGRAM = Path(__file__).with_name("peer.py")
LIMIT_S = 300.0  #: For what happens.
BRIEF_S = 1.0  #: For what does not: on a slow machine it passes more easily, and never fails for it.


class Peer:
    """One that runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, *words: object) -> Any:
        self.begin(*words)
        return self.hear()

    def begin(self, *words: object) -> None:
        print(json.dumps(words), file=self._process.stdin, flush=True)

    def hear(self) -> Any:
        ready, _, _ = select.select([self._process.stdout], [], [], 2 * LIMIT_S)
        line = self._process.stdout.readline() if ready else ""
        assert line, "the peer does not answer"
        return json.loads(line)


@contextlib.contextmanager
def namespace(program: Path, *arguments: object) -> Iterator[Peer]:
    """A program as root of a network of its own, which ends when nobody can ask it any more.

    The test is skipped, or fails in CI, where no such network can be made.
    """
    needs("ip", "unshare")
    if reason := why_not():
        lacks(reason)
    command = ["unshare", "--user", "--map-root-user", "--net", sys.executable, program, *arguments]
    with subprocess.Popen(
        list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        asked = Peer(process)
        try:
            assert asked.hear() == "up"
            yield asked
        finally:
            process.stdin.close()
            process.wait(300)


@contextlib.contextmanager
def peer_at(networks, place: Place, interface: Interface, uid=None):
    """A peer at the end of an interface's cable, as QEMU would be as that user."""
    cable = networks.cable(place.vpc.id, interface.id, uid)
    switch = place.vswitch(interface.vswitch)
    arguments = [cable.folder, cable.mac, interface.address, switch.network.prefixlen, switch.gateway, uid or ""]
    with subprocess.Popen(
        [sys.executable, str(_PROGRAM), *map(str, arguments)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
    ) as process:  # fmt: skip
        try:
            peer = Peer(process)
            assert peer.hear() == "up"
            yield peer
        finally:
            process.kill()
