"""Carries networks and answers instances' questions for metadata while a Kiln serves."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from kiln.calls.tunnels import Tunnels
from kiln.ground.journal import Journal
from kiln.networks.answering import Answering
from kiln.networks.metadata import Tokens
from kiln.service.assemble import Assembly
from kiln.upkeep.describing import describe
from kiln.upkeep.networks import Following

log = Journal("kiln.service")


@contextmanager
def networks_carried(assembly: Assembly) -> Iterator[None]:
    """Until the context ends; what is carried by then goes on, and questions wait for the next Kiln."""
    ports, plane = assembly.ports, assembly.ports.plane
    if plane is None:
        yield
        return
    tokens = Tokens(assembly.sealer.derived("metadata tokens"))
    answering = Answering(plane.networks, lambda *who: describe(ports, *who), tokens, ports.clock)
    stop = threading.Event()
    answerer = threading.Thread(target=answering.run, args=[stop], name="metadata")
    following = Following(ports.database, plane)
    if plane.tunnels is not None:
        # Before anything is carried: without it what is joined would be taken apart.
        _say(plane.tunnels)
    following.start()
    answerer.start()
    try:
        yield
    finally:
        stop.set()
        following.stop()
        answerer.join()
        plane.networks.close()


def _say(tunnels: Tunnels) -> None:
    try:
        tunnels.say()
    except Exception:  # It is said again with the first look, which carries nothing without it.
        log.exception("tunnels_not_said")
