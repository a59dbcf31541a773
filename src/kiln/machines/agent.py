"""The guest agent (qemu-ga), through which file systems in the guest are held still.

https://www.qemu.org/docs/master/interop/qemu-ga-ref.html
"""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kiln.declare.units import KiB
from kiln.machines import sockets

THAW_TIMEOUT_S = 10.0
_LONGEST_ANSWER = 64 * KiB  #: Whatever runs in the guest may send without end.
_DELIMITER = b"\xff"  #: The agent sets it before the answer to guest-sync-delimited, after whatever was left over.


class _Refused(Exception):
    """The agent did not do what it was asked to."""


class _Conversation:
    """One connection to the agent; every call has a moment by which it must be answered."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._received = b""

    def synchronize(self, deadline: float) -> None:
        """Throw away what an earlier conversation has left in the channel. Raises TimeoutError."""
        token = secrets.randbelow(2**31)
        self._connection.sendall(_DELIMITER)
        self.send("guest-sync-delimited", id=token)
        while True:
            self._read_until(_DELIMITER, deadline)
            with contextlib.suppress(ValueError):
                if self._answer(deadline).get("return") == token:
                    return

    def call(self, command: str, deadline: float) -> Any:
        """Raises _Refused, TimeoutError, OSError, and ValueError for what is no answer."""
        self.send(command)
        answer = self._answer(deadline)
        if "return" not in answer:
            raise _Refused
        return answer["return"]

    def send(self, command: str, **arguments: Any) -> None:
        self._connection.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")

    def _answer(self, deadline: float) -> dict[str, Any]:
        answer = json.loads(self._read_until(b"\n", deadline))
        if not isinstance(answer, dict):
            raise ValueError("an agent answers with objects")  # noqa: TRY004 - it is about what came, not about types.
        return answer

    def _read_until(self, end: bytes, deadline: float) -> bytes:
        while end not in self._received:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._connection.settimeout(left)
            received = self._connection.recv(4096)
            if not received:
                raise ConnectionResetError
            self._received += received
            if len(self._received) > _LONGEST_ANSWER:
                raise ValueError("an agent has less to say")
        before, _, self._received = self._received.partition(end)
        return before


@contextmanager
def frozen(path: Path, within_s: float) -> Iterator[bool]:
    """Hold the guest's file systems frozen, by the agent on the socket *path*.

    Yields True when they are; False when the agent did not manage within
    *within_s*. A freeze that was asked for is always taken back, also one that
    came too late to be of use.
    """
    deadline = time.monotonic() + within_s
    with contextlib.ExitStack() as held:
        is_frozen = False
        with contextlib.suppress(OSError, ValueError, _Refused):  # ValueError: that is no agent.
            conversation = _Conversation(held.enter_context(sockets.connect(path, within_s)))
            conversation.synchronize(deadline)
            held.callback(_thaw, conversation)
            is_frozen = _freeze(conversation, deadline)
        yield is_frozen


def _freeze(conversation: _Conversation, deadline: float) -> bool:
    try:
        count = conversation.call("guest-fsfreeze-freeze", deadline)
    except _Refused:
        # A Kiln that was killed in the middle left them frozen: then the agent refuses to freeze once more.
        return bool(conversation.call("guest-fsfreeze-status", deadline) == "frozen")
    return isinstance(count, int) and count > 0


def _thaw(conversation: _Conversation) -> None:
    """The agent carries out what it reads in order: when it answers what was sent last, all is thawed.

    So even a thaw whose answer does not come in time is done when it can be.
    """
    with contextlib.suppress(OSError, ValueError):
        conversation.send("guest-fsfreeze-thaw")
        conversation.synchronize(time.monotonic() + THAW_TIMEOUT_S)
