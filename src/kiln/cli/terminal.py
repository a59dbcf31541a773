"""``kiln instance console INSTANCE --attach``: this terminal joined to a console by the API, from anywhere."""

from __future__ import annotations

import os
import select
import sys
import threading
from contextlib import closing

from kiln.cli import exits, output
from kiln.cli.console import LEAVE, raw_terminal
from kiln.cli.exits import OutputLost, Refusal
from kiln.client.client import Client
from kiln.client.terminal import BROKEN, SessionRefused, Terminal

_READ_BYTES = 16 * 1024
_SAY_S = 60.0  #: So often the service is told that somebody is there who types nothing.


def join(client: Client, instance: str) -> None:
    """Join this terminal to the instance's console until Ctrl-] is typed, or it ends. Raises Refusal and OutputLost."""
    try:
        terminal = Terminal(client, instance)
    except SessionRefused as error:
        raise Refusal(str(error), exits.REFUSED) from error
    with closing(terminal):
        output.note(f"joined to the console of {instance}; Ctrl-] leaves")
        with raw_terminal():
            has_left = _bridge(terminal)
    if not has_left and terminal.reason == BROKEN:
        raise Refusal(f"the session is over: {BROKEN}", exits.UNREACHABLE, "The guest goes on, and so does its login.")
    output.note("\nleft the console" if has_left else f"\nthe session is over: {terminal.reason}")


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
