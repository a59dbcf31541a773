"""What somebody else does while a thing is used: at each line of that use in turn, since a thread may come at any."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import FrameType, ModuleType
from typing import Any


def rounds(use: Callable[[Any], object], make: Callable[[], Any], *modules: ModuleType) -> Iterator[Any]:
    """For each line of *modules* that *use* comes to: what was made, used, and closed before that line.

    The last is closed after its use: no further line came.
    """
    line, was_closed = 0, True
    while was_closed:
        made = make()
        was_closed = _is_closed_at(line, made, use, {module.__file__ for module in modules})
        if not was_closed:
            made.close()
        yield made
        line += 1


def _is_closed_at(line: int, made: Any, use: Callable[[Any], object], files: set[str | None]) -> bool:
    left, before = line, sys.gettrace()

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal left
        if frame.f_code.co_filename not in files:
            return None
        if event == "line":
            left -= 1
            if left == -1:
                made.close()
        return trace

    sys.settrace(trace)
    try:
        use(made)
    finally:
        sys.settrace(before)
    return left < 0
