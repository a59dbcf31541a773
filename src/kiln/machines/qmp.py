"""QMP, QEMU's control protocol, behind a synchronous face.

``qemu.qmp`` is asyncio; its loop runs in one background thread that starts with
the first connection. QEMU serves one connection at a time and lets the next
wait, so connections are short: open one, send a few commands, close it. Nothing
is kept between them, so a restarted Kiln simply connects again.

https://www.qemu.org/docs/master/interop/qmp-spec.html
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import threading
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from qemu.qmp import ConnectError, ExecuteError, QMPClient, QMPError

from kiln.machines import sockets
from kiln.machines.errors import MachineMissing, MachineRefused, MachineSilent

T = TypeVar("T")

TIMEOUT_S = 20.0  #: For one answer. QEMU's slowest commands wait for the disks to drain.


class Session:
    """One open connection."""

    def __init__(self, client: QMPClient, timeout_s: float) -> None:
        self._client = client
        self._timeout_s = timeout_s

    def execute(self, command: str, arguments: Mapping[str, object] | None = None) -> Any:
        """Send a command and return its answer.

        Raises MachineRefused with QEMU's words, MachineSilent, and
        MachineMissing when QEMU ended meanwhile.
        """
        with self._explained(command):
            return _wait(self._client.execute(command, arguments), self._timeout_s)

    def execute_each(self, command: str, each: Sequence[Mapping[str, object]]) -> list[Any]:
        """Send a command once for each of the arguments, and return the answers in that order.

        QEMU carries them out in order, but none waits for the answer to the one
        before it. A refusal does not keep the later ones from being carried
        out; the first is raised when all are answered. Raises as ``execute``
        does; all answers together have the time that one has there.
        """
        with self._explained(command):
            answers = _wait(_answers(self._client, command, each), self._timeout_s)
            for answer in answers:
                if isinstance(answer, BaseException):
                    raise answer
            return answers

    @contextmanager
    def _explained(self, command: str) -> Iterator[None]:
        try:
            yield
        except ExecuteError as error:
            raise MachineRefused(f"{command}: {error}") from error
        except TimeoutError as error:
            raise MachineSilent(f"QEMU did not answer {command} within {self._timeout_s:.0f} s.") from error
        except (QMPError, EOFError, OSError) as error:
            raise MachineMissing(f"QEMU ended during {command}.") from error


async def _answers(client: QMPClient, command: str, each: Sequence[Mapping[str, object]]) -> list[Any]:
    """What each of the commands was answered, be it an exception."""
    return await asyncio.gather(*(client.execute(command, arguments) for arguments in each), return_exceptions=True)


@contextmanager
def open_session(path: Path, timeout_s: float = TIMEOUT_S) -> Iterator[Session]:
    """Connect to the QMP socket at *path*.

    Raises MachineMissing when no QEMU listens and MachineSilent when it does
    not greet, which is also so while somebody else keeps it busy.
    """
    client = QMPClient("kiln")
    client.logger.disabled = True  # It logs an error for each quit; what is an error is raised here anyway.
    try:
        connection = sockets.connect(path, timeout_s)
    except TimeoutError as error:
        raise MachineSilent(f"QEMU did not take a connection within {timeout_s:.0f} s.") from error
    except OSError as error:
        raise MachineMissing("No QEMU listens for commands.") from error
    with contextlib.closing(connection):
        try:
            _wait(client.connect(connection), timeout_s)
        except TimeoutError as error:
            raise MachineSilent(f"QEMU did not greet within {timeout_s:.0f} s.") from error
        except (ConnectError, EOFError, OSError) as error:
            raise MachineMissing("QEMU ended before it greeted.") from error
        try:
            yield Session(client, timeout_s)
        finally:
            # After quit the library reports QEMU's hanging up as EOFError; it has hung up, which is what we want.
            with contextlib.suppress(QMPError, EOFError, OSError, TimeoutError):
                _wait(client.disconnect(), timeout_s)


def execute(path: Path, command: str, timeout_s: float = TIMEOUT_S) -> Any:
    """One command over a connection of its own; raises as :meth:`Session.execute` and :func:`open_session` do."""
    with open_session(path, timeout_s) as session:
        return session.execute(command)


class _Loop:
    """The background thread with asyncio's loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="qmp", daemon=True)
                self._thread.start()
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def stop(self) -> None:
        with self._lock:
            if self._loop is not None and self._thread is not None:
                self._loop.call_soon_threadsafe(self._loop.stop)
                self._thread.join()
                self._loop.close()
                self._loop = self._thread = None

    def forget(self) -> None:
        """Begin anew: a forked child inherits this object, but neither the thread nor who holds the lock."""
        self._lock, self._loop, self._thread = threading.Lock(), None, None


_loop = _Loop()
atexit.register(_loop.stop)
os.register_at_fork(after_in_child=_loop.forget)


def _wait(work: Coroutine[Any, Any, T], timeout_s: float) -> T:
    return _loop.run(asyncio.wait_for(work, timeout_s))
