"""How a process of the command line ends: by itself, by a signal, or because nobody reads what it prints."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from kiln.cli import exits
from kiln.cli.exits import OutputLost

_STANDARD_OUTPUT = 1
_STANDARD_ERROR = 2


@contextmanager
def orderly(*, hears_one_interrupt: bool = False) -> Iterator[None]:
    """Within it SIGTERM and SIGHUP end the program as Ctrl-C does, so that what it began is taken away.

    The exit code is that of the signal, as a shell tells it: 128 and its number. A signal that is ignored, as nohup
    has it, stays ignored. Later ones change nothing while what was begun is taken away; nor does a second Ctrl-C where
    only one is heard, as by what would leave machines running else.
    """
    signals = (signal.SIGTERM, signal.SIGHUP, *([signal.SIGINT] if hears_one_interrupt else []))
    heeded = [one for one in signals if signal.getsignal(one) is not signal.SIG_IGN]

    def end(number: int, _frame: object) -> None:
        for one in heeded:
            signal.signal(one, signal.SIG_IGN)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)

    before = {one: signal.signal(one, end) for one in heeded}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def hear_interrupts() -> None:
    """From here on Ctrl-C raises KeyboardInterrupt, where ``kiln.cli.start`` had it end the process."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def run(do: Callable[[], Any], explain: Callable[[OutputLost], int]) -> int:
    """Do what is to be done; returns the exit code, *explain*'s where standard output could not be written.

    Ctrl-C ends the process from here on: what is left to do is the interpreter's, which would show where it was.
    """
    _guard()
    code: Any = 0
    try:
        try:
            do()
        finally:
            if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
                signal.signal(signal.SIGINT, signal.SIG_DFL)
    except SystemExit as error:
        code = error.code
    except KeyboardInterrupt:  # As it was ending, where typer hears it no more.
        code = exits.INTERRUPTED.number
    except OutputLost as error:
        code = explain(error)
    try:
        sys.stdout.flush()
    except OutputLost as error:
        code = explain(error)
    return code if isinstance(code, int) else 0 if code is None else 1


class _Output(io.FileIO):
    """Standard output, whose errors are told apart from those of files. It is lost once, and then says nothing more."""

    def __init__(self, *, is_closed: bool) -> None:
        super().__init__(_STANDARD_OUTPUT, "w", closefd=False)
        self._is_closed = is_closed
        self._is_lost = False

    def write(self, data: Any) -> int:
        # What is left in the buffers is tried again when the interpreter ends.
        if self._is_lost:
            return len(data)
        if self._is_closed:
            self._is_lost = True
            raise OutputLost("it is closed")
        try:
            return super().write(data)
        except OSError as error:
            self._is_lost = True
            raise OutputLost("" if error.errno == errno.EPIPE else error.strerror or str(error)) from error


def _guard() -> None:
    """Put such an output in the place of Python's, which has none at all where it was closed."""
    is_closed = sys.stdout is None
    while True:  # A socket would get the number of what is closed, and be written to.
        lowest = os.open(os.devnull, os.O_RDWR)
        if lowest > _STANDARD_ERROR:
            os.close(lowest)
            break
    if sys.stderr is None:
        sys.stderr = io.TextIOWrapper(io.FileIO(_STANDARD_ERROR, "w", closefd=False), "utf-8", "backslashreplace")
    encoding = "utf-8" if sys.stdout is None else sys.stdout.encoding
    output = io.BufferedWriter(_Output(is_closed=is_closed))
    sys.stdout = io.TextIOWrapper(output, encoding, "backslashreplace", line_buffering=os.isatty(_STANDARD_OUTPUT))
