"""What a story is at, for whoever watches a terminal: the last line, with its seconds, until there is a next."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from kiln.service.terminal import terminal_room

_EVERY_S = 1.0
_CLEARED = "\r\x1b[K"


class AtWork:
    """Says lines by *say*, and shows on *stream*, where that is a terminal, what is being done meanwhile."""

    def __init__(self, say: Callable[[str], None], stream: TextIO) -> None:
        self._say = say
        self._stream = stream
        self._lock = threading.Lock()
        self._what = ""
        self._began = 0.0

    def say(self, line: str) -> None:
        """Say it above what is shown."""
        with self._lock:
            self._show("")
            self._say(line)

    def at(self, what: str) -> None:
        """From now on this is what is being done."""
        with self._lock:
            self._what, self._began = what, time.monotonic()

    @contextmanager
    def on(self, what: str) -> Iterator[None]:
        """Show within it that *what* is being done, from its second second on; nothing of it stays."""
        if not self._stream.isatty():
            yield
            return
        self.at(what)
        over = threading.Event()
        ticking = threading.Thread(target=self._tick, args=(over,), name="at-work", daemon=True)
        ticking.start()
        try:
            yield
        finally:
            over.set()
            ticking.join()
            self._show("")

    def _tick(self, over: threading.Event) -> None:
        while not over.wait(_EVERY_S):
            with self._lock:
                self._show(f"    {self._what} … {time.monotonic() - self._began:.0f} s")

    def _show(self, line: str) -> None:
        room = terminal_room(self._stream)
        if room:
            # A line that is as long as the terminal is wide would stay there in part.
            self._stream.write(_CLEARED + line[: room - 1])
            self._stream.flush()
