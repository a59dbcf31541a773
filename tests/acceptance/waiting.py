"""Waiting for what the service does after it has answered."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def wait_for(probe: Callable[[], Found | None], *, within_s: float = 30.0) -> Found:
    """What *probe* finds, asked until it finds something. Raises AssertionError after *within_s*."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        found = probe()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"did not happen within {within_s} s")
