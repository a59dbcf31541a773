"""The guest agent (qemu-ga): how it is spoken to, and how file systems in the guest are held still through it.

https://www.qemu.org/docs/master/interop/qemu-ga-ref.html
"""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kiln.declare.metrics import FREEZES, THAWS_UNANSWERED
from kiln.ground.units import KiB
from kiln.machines import sockets
from kiln.machines.errors import AgentForbidden, AgentRefused, AgentSilent, MachineGarbled
from kiln.machines.hearing import Hearing, parse, words

THAW_TIMEOUT_S = 1.0
_LONGEST_ANSWER = 64 * KiB  #: Whatever runs in the guest may send without end.
_MOST_BYTES_LEFT_OVER = 1024 * KiB
_UNASKED = 200  #: Lines that are passed over while the agent is looked for.
_DELIMITER = b"\xff"  #: The agent sets it before the answer to guest-sync-delimited, after whatever was left over.
_DISABLED = "CommandNotFound"  #: The class of its error for what its configuration does not let it do, or a freeze.

_FAILURES = (OSError, EOFError, MachineGarbled, AgentRefused)


class Conversation:
    """One connection to the agent; all of it has to be over at a moment."""

    def __init__(self, hearing: Hearing) -> None:
        self._hearing = hearing

    def synchronize(self) -> None:
        """Throw away what an earlier conversation has left in the channel. Raises what ``call`` raises."""
        token = secrets.randbelow(2**31)
        self._hearing.send(_DELIMITER)
        self.send("guest-sync-delimited", id=token)
        left_over = 0
        for _ in range(_UNASKED):
            left_over += len(self._hearing.line(_LONGEST_ANSWER, _DELIMITER))
            with contextlib.suppress(MachineGarbled):
                line = self._hearing.line(_LONGEST_ANSWER)
                left_over += len(line)
                answer = parse(line).get("return")
                if type(answer) is int and answer == token:
                    return
            if left_over > _MOST_BYTES_LEFT_OVER:
                break
        raise MachineGarbled("The agent is not to be heard through what else is said.")

    def call(self, command: str, **arguments: Any) -> Any:
        """Raises AgentRefused, OSError with TimeoutError, EOFError, and MachineGarbled for what is no answer."""
        self.send(command, **arguments)
        answer = parse(self._hearing.line(_LONGEST_ANSWER))
        if "return" not in answer:
            said = answer.get("error")
            error = said if isinstance(said, dict) else {}
            kind = AgentForbidden if error.get("class") == _DISABLED else AgentRefused
            raise kind(words(error.get("desc", "")))
        return answer["return"]

    def send(self, command: str, **arguments: Any) -> None:
        """Raises OSError with TimeoutError."""
        self._hearing.send(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")


class Freeze:
    """A freeze that was asked for; ``is_held`` while the guest's file systems are known to be frozen."""

    def __init__(self, conversation: Conversation | None, hearing: Hearing | None, *, is_held: bool) -> None:
        self._conversation, self._hearing = conversation, hearing
        self.is_held = is_held
        self._is_asked_back = False

    def left(self) -> float:
        """Seconds for which it may still be held."""
        return 0.0 if self._hearing is None else max(0.0, self._hearing.deadline - time.monotonic())

    def ask_back(self) -> None:
        """Send the thaw, without waiting for it. Once is enough: the agent does what it reads, when it reads it."""
        self.is_held = False
        if self._conversation is None or self._hearing is None or self._is_asked_back:
            return
        self._is_asked_back = True
        with contextlib.suppress(*_FAILURES):
            self._hearing.deadline = time.monotonic() + THAW_TIMEOUT_S
            self._conversation.send("guest-fsfreeze-thaw")

    def take_back(self) -> bool:
        """Send the thaw if it was not, and wait a little for the agent to have done it; whether it says so.

        The agent carries out what it reads in order: when it answers what was sent last, all is thawed. False too where
        no agent was found.
        """
        if self._conversation is None or self._hearing is None:
            return False
        self.ask_back()
        with contextlib.suppress(*_FAILURES):
            self._hearing.deadline = time.monotonic() + THAW_TIMEOUT_S
            self._conversation.synchronize()
            return True
        return False


@contextmanager
def conversing(path: Path, within_s: float) -> Iterator[Conversation]:
    """A conversation with the agent on the socket *path*, all of which is over *within_s* seconds from now.

    QEMU serves one caller at a time, so whoever converses keeps others waiting: it is to be short. Raises AgentSilent
    for an agent that is not there, does not answer, or not with what it was asked for; AgentRefused where it says no.
    """
    try:
        with sockets.connect(path, within_s) as connection:
            conversation = Conversation(Hearing(connection, time.monotonic() + within_s))
            conversation.synchronize()
            yield conversation
    except (OSError, EOFError, MachineGarbled) as error:
        raise AgentSilent("The guest agent does not answer.") from error


@contextmanager
def frozen(
    path: Path, within_s: float, owe: Callable[[], None] = lambda: None, paid: Callable[[], None] = lambda: None
) -> Iterator[Freeze]:
    """Hold the guest's file systems frozen, by the agent on the socket *path*.

    Yields a freeze that is held when the agent did it within *within_s*, which
    is also as long as it should be held. A freeze that was asked for is always
    taken back, also one that came too late to be of use. *owe* is called before
    it is asked for, and *paid* when the agent has said that it took it back:
    without that ``thaw`` is to be tried again, by whoever finds that it is owed.
    """
    with contextlib.ExitStack() as held:
        freeze, asked_at = Freeze(None, None, is_held=False), None
        with contextlib.suppress(*_FAILURES):
            deadline = time.monotonic() + within_s
            hearing = Hearing(held.enter_context(sockets.connect(path, within_s)), deadline)
            conversation = Conversation(hearing)
            conversation.synchronize()
            freeze = Freeze(conversation, hearing, is_held=False)
            # Before, because whoever is killed from here on can say nothing any more.
            owe()
            asked_at = time.monotonic()
            freeze.is_held = _freeze(conversation)
        try:
            yield freeze
        finally:
            is_thawed = freeze.take_back()
            if asked_at is not None:
                FREEZES.observe(time.monotonic() - asked_at)
            if is_thawed:
                paid()
            elif asked_at is not None:
                THAWS_UNANSWERED.add()


def thaw(path: Path, within_s: float) -> bool:
    """Thaw whatever an earlier conversation may have left frozen; whether the agent says that it did."""
    with contextlib.suppress(*_FAILURES), sockets.connect(path, within_s) as connection:
        conversation = Conversation(Hearing(connection, time.monotonic() + within_s))
        conversation.send("guest-fsfreeze-thaw")
        conversation.synchronize()
        return True
    return False


def _freeze(conversation: Conversation) -> bool:
    try:
        count = conversation.call("guest-fsfreeze-freeze")
    except AgentRefused:
        # A Kiln that was killed in the middle left them frozen: then the agent refuses to freeze once more.
        return bool(conversation.call("guest-fsfreeze-status") == "frozen")
    return type(count) is int and count > 0
