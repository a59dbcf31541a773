"""Images are removed by a process of its own, which Kiln outlives.

librbd 16.2.15 was seen to end the process in which it removed an image, by a
segmentation fault of which no cause is known. So it is ``removal_child`` that ends,
and another one does it again: librbd goes on with a removal where it was left.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from dataclasses import asdict
from typing import Any

from kiln.ground.journal import Journal
from kiln.ground.whereabouts import own
from kiln.pools.errors import PoolClosed, PoolFull, PoolOutOfReach, ToolFailed, VolumeBusy
from kiln.pools.rbd.entrances import Address

log = Journal("kiln.pools")

_TRIES = 3  #: One of which goes to a child that ended while it had nothing to do.
_ENDS_WITHIN_S = 30.0  #: Of which it takes five at most for its leave of Ceph.
_ERRORS = {kind.__name__: kind for kind in (PoolClosed, PoolFull, VolumeBusy)}
_TOOLS = {kind.__name__: kind for kind in (PoolOutOfReach, ToolFailed)}


class Removals:
    """Those of the pool at *address*. Safe to use from many threads, of which each gets a child for as long as it asks.

    One child is kept for the next, with its connection to Ceph.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._lock = threading.Lock()
        self._idle: list[_Child] = []

    def remove(self, image: str) -> bool:
        """Remove an image; False where a snapshot is kept in it for a clone still. Idempotent.

        Raises VolumeBusy while a client has it open, which a child that crashed has until Ceph knows; PoolFull,
        PoolClosed, and ToolFailed, also where each child that was to do it ended.
        """
        status = 0
        for _ in range(_TRIES):
            child = self._taken()
            answer = child.ask(image)
            if answer is not None:
                if answer.get("error") == PoolClosed.__name__:
                    child.end()  # Ceph may refuse this client alone, for an hour.
                else:
                    self._give_back(child)
                return _told(answer)
            status = child.end()
            log.warning("remover_ended", image=image, status=status)
        raise ToolFailed(f"{self._address}: what was to remove {image} ended with {status}", status)

    def close(self) -> None:
        """End what is kept; the next removal begins another."""
        with self._lock:
            idle, self._idle = self._idle, []
        for child in idle:
            if child.of_process == os.getpid():
                child.end()

    def _taken(self) -> _Child:
        with self._lock:
            # Who was forked has the same pipes as who it was forked from, and both would read one answer.
            if self._idle and self._idle[-1].of_process == os.getpid():
                return self._idle.pop()
        return _Child(self._address)

    def _give_back(self, child: _Child) -> None:
        with self._lock:
            is_kept = not self._idle or self._idle[-1].of_process != os.getpid()
            if is_kept:
                self._idle.append(child)
        if not is_kept:
            child.end()


class _Child:
    """One process that removes what it is asked to. It ends with the one that began it, which holds the line."""

    def __init__(self, address: Address) -> None:
        self.of_process = os.getpid()
        where = None if address.configuration is None else str(address.configuration)
        said = json.dumps(asdict(address) | {"configuration": where})
        self._line, theirs = socket.socketpair()
        with theirs:
            # What Ceph's library reads of the environment it is to read there as here.
            self._process: subprocess.Popen[bytes] = subprocess.Popen(
                [sys.executable, "-P", "-m", "kiln.pools.rbd.removal_child", said, json.dumps(asdict(own()))],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                start_new_session=True,
            )
        self._answers = self._line.makefile("rb")

    def ask(self, image: str) -> dict[str, Any] | None:
        """What became of the image; None where the child ended instead of saying so."""
        try:
            self._line.sendall(json.dumps(image).encode() + b"\n")
            said = self._answers.readline()
        except ConnectionError:
            return None
        except BaseException:
            self._process.kill()
            self.end()
            raise
        if not said.endswith(b"\n"):
            return None
        try:
            answer: dict[str, Any] = json.loads(said)
        except ValueError:  # Ceph's library printed something.
            return None
        return answer

    def end(self) -> int:
        """Have it end, whatever it does; how it did."""
        # A process that was forked has the line open too, and closing it here would be no end there.
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)
        self._answers.close()
        self._line.close()
        try:
            return self._process.wait(_ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:  # It stands still, and would hold up who waits for it.
            self._process.kill()
            return self._process.wait()


def _told(answer: dict[str, Any]) -> bool:
    """What a child says was the outcome. Raises the error that it says."""
    if "error" not in answer:
        return bool(answer["is_removed"])
    kind, words = answer["error"], answer["words"]
    if kind in _ERRORS:
        raise _ERRORS[kind](words)
    raise _TOOLS.get(kind, ToolFailed)(words, answer["status"])
