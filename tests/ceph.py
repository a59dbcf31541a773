"""A Ceph of one node for the tests, with what they do to it.

Starting one takes two seconds, so a run has one (``ceph`` of the fixtures), and
who wants a pool to itself takes a namespace in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from kiln.service.engines import ceph as engine
from kiln.service.engines.ceph import POOL, PROGRAMS, daemon, started_ceph
from tests.tools import needs
from tests.waiting import wait_for

__all__ = ["POOL", "Ceph", "start_ceph"]


@dataclass
class Ceph(engine.Ceph):
    """A cluster that runs, and that can be made full."""

    _has_manager: bool = field(default=False)

    def have_manager(self) -> None:
        """Start the manager, which alone can tell how full a cluster is, and wait until it does."""
        if not self._has_manager:
            folder = self.configuration.parent
            (folder / "mgr").mkdir()
            self.stack.enter_context(daemon(folder, "ceph-mgr", "x"))
            self._has_manager = True
        wait_for(lambda: re.search(r'"total_bytes":\s*[1-9]', self.run("ceph", "df", "--format=json")), within_s=300)

    def lose_power(self) -> None:
        """Kill all its daemons at once."""
        self.stack.close()
        self._has_manager = False

    def have_power(self) -> None:
        """Start them again, of a cluster that keeps its bytes, and wait until it answers."""
        for program, name in (("ceph-mon", "a"), ("ceph-osd", "0")):
            self.stack.enter_context(daemon(self.configuration.parent, program, name))
        self.run("rbd", "ls", POOL)

    @contextmanager
    def full(self) -> Iterator[None]:
        """Have it be full for so long."""
        self._count_as_full_from("0.0000001", "0.0000001", "0.0000001")
        wait_for(self._is_full)
        try:
            yield
        finally:
            self._count_as_full_from("0.95", "0.90", "0.85")
            wait_for(lambda: not self._is_full())

    def _count_as_full_from(self, full: str, backfill: str, near: str) -> None:
        for which, ratio in (("full", full), ("backfillfull", backfill), ("nearfull", near)):
            self.run("ceph", "osd", f"set-{which}-ratio", ratio)

    def _is_full(self) -> bool:
        return any(
            "full" in one["flags_names"]
            for one in json.loads(self.run("ceph", "osd", "dump", "--format=json"))["pools"]
        )


@contextmanager
def start_ceph(*, keeps: bool = False) -> Iterator[Ceph]:
    """Yields a cluster with one pool, ``POOL``, that is empty; with *keeps* one that outlives its daemons."""
    needs(*PROGRAMS)
    with started_ceph(keeps=keeps) as it:
        yield Ceph(it.configuration, it.stack)
