"""Threads that work until they are stopped."""

from __future__ import annotations

import threading
from collections.abc import Iterable


def ended(threads: Iterable[threading.Thread]) -> list[str]:
    """The names of those that were started and have ended: where nobody stopped them, by a fault."""
    return [thread.name for thread in threads if thread.ident is not None and not thread.is_alive()]
