"""A body that its application takes as it comes: how much of it is parsed at once, and when it is too slow."""

from __future__ import annotations

from collections.abc import Iterable

from kiln.wire.http import bounds


class Stream:
    """What is known of one such body. *headers* are its request's."""

    def __init__(self, headers: Iterable[tuple[bytes, bytes]], now: float) -> None:
        told = dict(headers).get(b"content-length", b"")
        self._length = int(told) if told.isdigit() else None
        self._since = now
        self._bytes_then = 0

    def slice_bytes(self, came: int) -> int:
        """How much may be given to the parser, which has seen *came* of the body: little of a next request."""
        if self._length is None:
            return bounds.SLICE
        return max(1, min(bounds.STREAM_SLICE, self._length - came))

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
