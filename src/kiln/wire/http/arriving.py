"""What has come of one request, and which of the bounds of ``bounds`` it breaks: its size, its pieces, its time.

It counts, and decides nothing: the connection asks what is wrong, and ends it.
"""

from __future__ import annotations

from kiln.wire.http import bounds
from kiln.wire.http.refusals import fault_of
from kiln.wire.http.streams import Stream, slice_bytes, told_length


class Arriving:
    """The request that is on its way on a connection, or the next one. Times are the event loop's."""

    def __init__(self, now: float) -> None:
        self.fault = ""  #: The reason to refuse it, the first that was found.
        self.is_in_head = True  #: Whether its head has not come whole; so it is where nothing of it has come.
        self.head_bytes = 0
        self.stream: Stream | None = None  #: Where its application takes the body as it comes.
        self._head_since: float | None = now  #: None: nobody waits for a head.
        self._body_since = self._last_byte = now
        self._body_bytes = self._pieces = self._trailers = 0
        self._left: int | None = None
        self._unread_of_chunk: int | None = None

    @property
    def next_slice(self) -> int:
        """How many bytes may be given to the parser next."""
        return bounds.SLICE if self.is_in_head else slice_bytes(self._left)

    def came(self, now: float) -> None:
        """Something has come, of whichever request it is."""
        self._last_byte = now

    def time_head_anew(self, now: float) -> None:
        """A head has all of its time from *now* on: until now it was a handshake that had it, or that was to begin."""
        self._head_since = now

    def time_head(self, now: float) -> None:
        """Bytes come for the parser: where they are of a head, its time runs from the first of them on."""
        if self.is_in_head and self._head_since is None:
            self._head_since = now

    def begin(self) -> None:
        """Its first byte is there."""
        self.is_in_head, self.head_bytes = True, 0

    def take_target(self, length: int) -> None:
        """So many bytes of its target have come."""
        if length > bounds.REQUEST_LINE:
            self.fault = "line_too_long"

    def take_header(self, length: int, count: int) -> None:
        """A header of so many bytes has come; with it there are *count*."""
        if length > bounds.ONE_HEADER or count > bounds.HEADER_COUNT:
            self.fault = "headers_too_large"

    def take_trailer(self) -> None:
        """A header has come behind the body."""
        self._trailers += 1
        if self._trailers > bounds.HEADER_COUNT:
            self.find("headers_too_large")

    def end_head(self, headers: list[tuple[bytes, bytes]], now: float) -> None:
        """The head is whole, and the body begins."""
        self.is_in_head, self._head_since = False, None
        self._body_since, self._body_bytes, self._pieces, self._trailers = now, 0, 0, 0
        self._left, self._unread_of_chunk = told_length(headers), None
        self.find(fault_of(headers))

    def begin_chunk(self) -> None:
        """A chunk of the body begins."""
        self._unread_of_chunk = 0

    def end_chunk(self) -> None:
        """It is whole."""
        self._unread_of_chunk = None

    def take_body(self, length: int) -> None:
        """The parser has found so many bytes of the body."""
        if self._unread_of_chunk is not None:
            self._unread_of_chunk = 0
        self._pieces += 1
        self._left = None if self._left is None else self._left - length
        if self._pieces > bounds.FEW_PIECES + self._body_bytes // bounds.LEAST_OF_PIECE:
            self.find("body_in_crumbs")

    def end(self) -> None:
        """It is whole."""
        self.begin()
        self.stream = None

    def take_parsed(self, length: int, *, began_in_head: bool) -> None:
        """The parser has had so many bytes, which began in a head or in a body, and said what was in them."""
        if self.is_in_head:
            self.head_bytes += length if began_in_head else 0
            if self.head_bytes > bounds.REQUEST_LINE + bounds.HEADERS:
                self.find("headers_too_large")
        elif not began_in_head:
            self._body_bytes += length
            if self._body_bytes > bounds.BODY_ON_THE_WIRE and self.stream is None:
                self.find("body_too_large")
            if self._unread_of_chunk is not None:
                # A chunk that gives no body is the last, and this a trailer, which the parser copies with each piece.
                self._unread_of_chunk += length
                if self._unread_of_chunk > bounds.HEADERS:
                    self.find("headers_too_large")

    def find(self, fault: str) -> None:
        """Something is wrong with it, unless it is "": what was found first is what is told."""
        self.fault = self.fault or fault

    def is_head_late(self, now: float) -> bool:
        """Whether a head, or the handshake before it, has taken too long."""
        return self._head_since is not None and now - self._head_since > bounds.HEAD_S

    def is_body_late(self, now: float, *, is_ours: bool) -> bool:
        """Whether a body has taken too long; *is_ours*: where it is streamed, it is not the client who is slow."""
        if self.stream is not None:
            return self.stream.is_late(now, self._last_byte, self._body_bytes, is_ours=is_ours)
        return now - self._last_byte > bounds.PAUSE_S or now - self._body_since > bounds.BODY_S
