"""Named places at which a test can end the program.

Every step that changes something outside memory passes a point before and
after itself: ``reach("create_image.overlays_made")``. In service nothing
listens and a point costs one comparison. The kill tests set a hook that ends
the process there with ``os._exit``, as ``kill -9`` would.
"""

from __future__ import annotations

from collections.abc import Callable

_hook: Callable[[str], None] | None = None


def reach(point: str) -> None:
    """Say that the program has come to *point*."""
    if _hook is not None:
        _hook(point)


def listen(hook: Callable[[str], None] | None) -> None:
    """Have *hook* called at every point from now on; ``None`` stops that."""
    global _hook  # noqa: PLW0603 - the one switch of the whole program, set once at start.
    _hook = hook
