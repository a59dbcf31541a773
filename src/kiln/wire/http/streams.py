"""Bodies: how much of one is parsed at once, and when one that its application takes as it comes is too slow."""

from __future__ import annotations

from collections.abc import Iterable

from kiln.wire.http import bounds

_DIGITS = 20  # No parser of HTTP takes more, and Python takes no thousands of them.


def told_length(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    """How long the body is by its Content-Length; None where it comes in chunks, or there is no such header."""
    told = dict(headers).get(b"content-length", b"")
    return int(told[:_DIGITS]) if told.isdigit() else None


def slice_bytes(left: int | None) -> int:
    """How much may be given to the parser within a body of which so many bytes have not come: nothing of what follows.

    None: its length was not told, and each of its chunks is a piece. Else it is
    one piece whatever is given, and in slices of a few kilobytes a megabyte of
    it would keep everybody waiting for milliseconds.
    """
    return bounds.SLICE if left is None else max(1, min(bounds.STREAM_SLICE, left))


class Stream:
    """What is known of a body that its application takes as it comes, since *now*."""

    def __init__(self, now: float) -> None:
        self._since = now
        self._bytes_then = 0

    def is_late(self, now: float, last_byte: float, came: int, *, is_ours: bool) -> bool:
        """Whether too little has come; *is_ours*: it is not the client who is slow."""
        if is_ours:
            self._since, self._bytes_then = now, came
            return False
        if now - max(last_byte, self._since) > bounds.PAUSE_S:
            return True
        if now - self._since < bounds.STREAM_WINDOW_S:
            return False
        is_slow = came - self._bytes_then < bounds.STREAM_LEAST
        self._since, self._bytes_then = now, came
        return is_slow
