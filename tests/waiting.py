"""Waiting for what happens by itself: it is asked for again and again, and not for ever."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def wait_for(probe: Callable[[], Found | None], *, within_s: float = 300.0, pause_s: float = 0.05) -> Found:
    """What *probe* finds, asked until it finds something. Raises AssertionError after *within_s*."""
    deadline = time.monotonic() + within_s
    while not (found := probe()):
        assert time.monotonic() < deadline, f"did not happen within {within_s} s"
        time.sleep(pause_s)
    return found
