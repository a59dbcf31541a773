"""The serial console of an instance: what it printed, what it prints, and a terminal to type into it."""

from __future__ import annotations

import base64
import os
import select
import socket
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kiln.cli import exits, output
from kiln.cli.exits import Refusal
from kiln.client.client import Client
from kiln.service.datafolder import DataFolder

LOOK_AGAIN_S = 0.5
LEAVE = b"\x1d"  #: Ctrl-], which telnet and virsh use too.
_READ_BYTES = 65536


def show(client: Client, instance: str, *, follow: bool, raw: bool) -> None:
    """Print what the instance printed; with *follow* go on until interrupted."""
    seen = b""
    while True:
        printed = base64.b64decode(client.call("GetInstanceConsoleOutput", InstanceId=instance)["ConsoleOutput"])
        write(new_part(seen, printed), raw=raw)
        if not follow:
            return
        seen = printed
        time.sleep(LOOK_AGAIN_S)


def new_part(seen: bytes, printed: bytes) -> bytes:
    """What *printed* has beyond *seen*, where both are the last part of one growing text."""
    if printed.startswith(seen):
        return printed[len(seen) :]
    # The service keeps the last 64 KiB: what was seen has moved towards the beginning, or out of it.
    for kept in (seen[-4096:], seen[-256:]):
        at = printed.rfind(kept)
        if kept and at >= 0:
            return printed[at + len(kept) :]
    return printed


def write(printed: bytes, *, raw: bool) -> None:
    """Write to standard output; without *raw* a guest cannot command the terminal."""
    if raw:
        sys.stdout.buffer.write(printed)
    else:
        lines = printed.decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n").split("\n")
        sys.stdout.write("\n".join(output.clean(line.replace("\t", "    ")) for line in lines))
    sys.stdout.flush()


def attach(data: Path, instance: str) -> None:
    """Join this terminal to the serial port of a machine on this host until Ctrl-] is typed. Raises Refusal."""
    path = DataFolder(data).console(instance)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as port:
        try:
            port.connect(str(path))
        except OSError as error:
            hint = "Does the instance run, and on this machine?"
            raise Refusal(f"{path}: {error.strerror}", exits.FILE, hint) from error
        output.note(f"joined to the console of {instance}; Ctrl-] leaves")
        with raw_terminal():
            _bridge(port)
    output.note("\nleft the console")


def _bridge(port: socket.socket) -> None:
    keyboard = sys.stdin.fileno()
    while True:
        ready, _, _ = select.select([port, keyboard], [], [])
        if port in ready:
            printed = port.recv(_READ_BYTES)
            if not printed:
                return
            sys.stdout.buffer.write(printed)
            sys.stdout.flush()
        if keyboard in ready:
            typed = os.read(keyboard, _READ_BYTES)
            if not typed or LEAVE in typed:
                return
            port.sendall(typed)


@contextmanager
def raw_terminal() -> Iterator[None]:
    """Hand every key over as it is typed, where standard input is a terminal."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setraw(sys.stdin)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
