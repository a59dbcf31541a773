"""A console by the API, from anywhere: joined to this terminal (``--attach``), or obeyed to by a sample's guest."""

from __future__ import annotations

import os
import select
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

from kiln.cli import exits, output
from kiln.cli.console import LEAVE, raw_terminal
from kiln.cli.exits import OutputLost, Refusal
from kiln.client.client import Client
from kiln.client.terminal import BROKEN, SessionRefused, Terminal
from kiln.guest.errors import GuestSilent
from kiln.guest.session import Session

_READ_BYTES = 16 * 1024
_GOODBYE_S = 5.0
_SAY_S = 60.0  #: So often the service is told that somebody is there who types nothing.


def join(client: Client, instance: str) -> None:
    """Join this terminal to the instance's console until Ctrl-] is typed, or it ends. Raises Refusal and OutputLost."""
    with closing(_joined(client, instance)) as terminal:
        output.note(f"joined to the console of {instance}; Ctrl-] leaves")
        with raw_terminal():
            has_left = _bridge(terminal)
    if not has_left and terminal.reason == BROKEN:
        raise Refusal(f"the session is over: {BROKEN}", exits.UNREACHABLE, "The guest goes on, and so does its login.")
    output.note("\nleft the console" if has_left else f"\nthe session is over: {terminal.reason}")


@contextmanager
def opened(client: Client, instance: str, timeout_s: float) -> Iterator[Session]:
    """The guest of a sample's instance, once it is up, wherever its machine is. Raises Refusal, GuestSilent."""
    with closing(_joined(client, instance)) as terminal, _attended(terminal):
        session = Session(_Line(terminal))
        session.wait_ready(timeout_s)
        yield session


def _joined(client: Client, instance: str) -> Terminal:
    try:
        return Terminal(client, instance)
    except SessionRefused as error:
        raise Refusal(str(error), exits.REFUSED) from error


@contextmanager
def _attended(terminal: Terminal) -> Iterator[None]:
    """Tell the service that somebody is there, however long he thinks."""
    has_left = threading.Event()

    def say() -> None:
        while not has_left.wait(_SAY_S) and terminal.type(b""):
            pass

    saying = threading.Thread(target=say, daemon=True)
    saying.start()
    try:
        yield
    finally:
        has_left.set()
        saying.join()


class _Line:
    """A terminal session, as ``kiln.guest.session`` has a console."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._timeout_s = 0.0
        self._shown = b""

    def settimeout(self, value: float, /) -> None:
        self._timeout_s = value

    def sendall(self, data: bytes, /) -> None:
        if not self._terminal.type(data):
            raise self._over()

    def recv(self, bufsize: int, /) -> bytes:
        if not self._shown:
            shown = self._terminal.read(self._timeout_s)
            if shown is None:
                raise self._over()
            self._shown = shown
        piece, self._shown = self._shown[:bufsize], self._shown[bufsize:]
        return piece

    def _over(self) -> GuestSilent:
        """That it has ended; what was said last says why."""
        with suppress(TimeoutError):
            while self._terminal.read(_GOODBYE_S) is not None:
                pass
        return GuestSilent(f"The session is over: {self._terminal.reason}.")


def _bridge(terminal: Terminal) -> bool:
    """Show and type; whether it was left, and did not end by itself. Raises OutputLost where nothing can be shown."""
    ended, ending = os.pipe()
    lost: list[OutputLost] = []
    showing = threading.Thread(target=_show, args=[terminal, ending, lost], daemon=True)
    showing.start()
    keyboard = sys.stdin.fileno()
    try:
        while True:
            ready, _, _ = select.select([ended, keyboard], [], [], _SAY_S)
            if ended in ready:
                if lost:
                    raise lost[0]
                return False
            typed = os.read(keyboard, _READ_BYTES) if keyboard in ready else b""
            if keyboard in ready and (not typed or LEAVE in typed):
                return True
            if not terminal.type(typed):
                return False
    finally:
        terminal.close()
        showing.join()
        os.close(ended)


def _show(terminal: Terminal, ending: int, lost: list[OutputLost]) -> None:
    try:
        while (shown := terminal.read()) is not None:
            sys.stdout.buffer.write(shown)
            sys.stdout.flush()
    except OutputLost as error:
        lost.append(error)  # It is for the thread that ends the program to say.
    finally:
        os.close(ending)
