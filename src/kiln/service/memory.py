"""How the C library shares memory out among threads."""

from __future__ import annotations

import contextlib
import ctypes

_M_ARENA_MAX = -8  #: malloc.h of glibc.
_HEAPS = 2


def share_heaps() -> None:
    """Have all threads share two heaps; to be called before there are others than the first.

    glibc gives each of up to eight threads a processor a heap of its own, and gives back of it what is free at its end
    alone. What SQLite keeps of pages for each connection lay in seven of them. Threads that take turns at Python's lock
    hardly ever wait for a heap. A C library without this setting shares as it likes.
    """
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _HEAPS)
