"""Named places at which a test can end the program.

Every step that changes something outside memory passes a point before and
after itself: ``reach("create_image.overlays_made")``. In service nothing
listens and a point costs next to nothing: it is remembered as the last that this
thread has passed, which the log tells of a task. The kill tests set a hook that ends
the process there with ``os._exit``, as ``kill -9`` would.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

_hook: Callable[[str], None] | None = None


_OF_DATABASE = "database."  # Passed by whoever writes, or leads others who do: no step of anybody's.


class _Passed(threading.local):
    point = ""


_passed = _Passed()


def reach(point: str) -> None:
    """Say that the program has come to *point*."""
    if not point.startswith(_OF_DATABASE):
        _passed.point = point
    if _hook is not None:
        _hook(point)


def passed() -> str:
    """The point that this thread has passed last; empty before the first."""
    return _passed.point


def listen(hook: Callable[[str], None] | None) -> None:
    """Have *hook* called at every point from now on; ``None`` stops that."""
    global _hook  # noqa: PLW0603 - the one switch of the whole program, set once at start.
    _hook = hook
