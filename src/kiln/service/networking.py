"""Carries networks and answers instances' questions for metadata while a Kiln serves."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from kiln.networks.answering import Answering
from kiln.networks.metadata import Tokens
from kiln.service.assemble import Assembly
from kiln.upkeep.describing import describe
from kiln.upkeep.networks import Following


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
    following.start()
    answerer.start()
    try:
        yield
    finally:
        stop.set()
        following.stop()
        answerer.join()
        plane.networks.close()
