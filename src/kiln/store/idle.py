"""Connections that are kept open between one use and the next.

Whoever needs one takes it, so it is nobody else's, and gives it back. All may be
closed while some are in use: those are closed when they are given back.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, Protocol, TypeVar


class Closable(Protocol):
    """What can be kept."""

    def close(self) -> object:
        """End it."""


Connection = TypeVar("Connection", bound=Closable)


class Idle(Generic[Connection]):
    """No more than *most* that wait for work. Safe to use from any thread."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: deque[Connection] = deque()

    def take(self) -> Connection | None:
        """One of them, which is the caller's now; None where none waits."""
        try:
            return self._waiting.pop()
        except IndexError:
            return None

    def put_back(self, connection: Connection) -> None:
        """Keep one for the next, or close one where enough wait or ``close`` was called."""
        self._waiting.append(connection)
        # Only now is it asked whether all were closed: between the question and the append they could be.
        if len(self._waiting) > self._most:
            self._close_all_but(self._most)

    def close_waiting(self) -> None:
        """Close those that wait; what is given back later is kept again."""
        self._close_all_but(0)

    def close(self) -> None:
        """Close those that wait, and from here on each that is given back."""
        self._most = 0
        self._close_all_but(0)

    def _close_all_but(self, many: int) -> None:
        while len(self._waiting) > many and (connection := self.take()) is not None:  # Others take some meanwhile.
            connection.close()
