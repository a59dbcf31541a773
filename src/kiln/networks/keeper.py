"""The process that carries one VPC, whether Kiln runs or not.

Started as ``python -m kiln.networks.keeper UID LOCK CONTROL READY`` with three
descriptors: the file whose lock says that it lives, the listening socket at
which Kiln speaks to it, and a pipe on which it says that it carries, or why it
cannot. It ends when it is told to, or when its folder is gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import selectors
import socket
import sys
from collections.abc import Sequence
from typing import Any

from kiln.networks import namespace, records, spoken
from kiln.networks.carrying import Carrier
from kiln.networks.polling import Poll
from kiln.networks.spoken import SPEAKS

_LOOK_S = 5.0  #: How often it looks whether its folder is still there.
_TALK_S = 10.0
_MOST_FILES = 8192


class Talk:
    """What Kiln says at the control socket."""

    def __init__(self, poll: Poll, carrier: Carrier, control: socket.socket) -> None:
        self._poll, self._carrier = poll, carrier
        control.setblocking(False)
        poll.register(control, selectors.EVENT_READ, (self._accept, control))

    def _accept(self, _: int, control: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection, _address = control.accept()
            connection.settimeout(_TALK_S)
            self._poll.register(connection, selectors.EVENT_READ, (self._hear, connection))

    def _hear(self, _: int, connection: socket.socket) -> None:
        try:
            said, descriptors = spoken.hear(connection)
            spoken.say(connection, self._answer(said, descriptors))
            if "ask" in said:
                connection.setblocking(False)  # A Kiln that stands still holds up no frame.
                self._carrier.ask_through(connection)
        except (OSError, EOFError, ValueError):
            self._poll.unregister(connection)
            self._carrier.lose(connection)
            connection.close()

    def _answer(self, said: dict[str, object], descriptors: list[int]) -> dict[str, object]:
        try:
            if "give" in said:
                names, counts = _a_list(said["give"]), _a_list(said["counts"])
                for name, count in zip(names, counts, strict=True):
                    self._carrier.give(name, [descriptors.pop(0) for _ in range(count)])
            elif "untie" in said:
                self._carrier.untie()
            elif "place" in said:
                told = [(name, address, port) for name, address, port in _a_list(said["listeners"])]
                egress, leaving = str(said["egress"]), frozenset(map(str, _a_list(said["leaving"])))
                self._carrier.set(records.from_text(str(said["place"])), told, (egress, leaving))
        except (OSError, KeyError, TypeError, ValueError, IndexError) as error:
            return {"error": f"{type(error).__name__}: {error}"}
        finally:
            for left in descriptors:
                os.close(left)
        return {"has": self._carrier.has(), "speaks": SPEAKS}


def _a_list(said: object) -> list[Any]:
    if not isinstance(said, list):
        raise ValueError("a message without a list")  # noqa: TRY004 - of a wrong value, as those of JSON are.
    return said


def main(arguments: Sequence[str]) -> None:
    """See the module's docstring."""
    uid, lock, control, ready = arguments
    with os.fdopen(int(ready), "w") as said:
        try:
            # Taken before the user changes, and let go of by the kernel alone.
            fcntl.lockf(int(lock), fcntl.LOCK_EX | fcntl.LOCK_NB)
            _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(_MOST_FILES, most), min(_MOST_FILES, most)))
            if uid:
                namespace.become(int(uid))
            namespace.enter()
            poll = Poll()
            carrier = Carrier(poll)
            Talk(poll, carrier, socket.socket(fileno=int(control)))
        except (OSError, ValueError) as error:
            said.write(str(error))
            sys.exit(1)
        said.write("ok")
    while os.fstat(int(lock)).st_nlink:
        poll.turn(_LOOK_S)
        carrier.tick()


if __name__ == "__main__":
    main(sys.argv[1:])
