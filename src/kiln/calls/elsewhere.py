"""What only the host of an instance knows, for the processes that are not on it.

A machine is on one host: what its console has printed, what its guest's agent
says and where it is reached lie there. Where several processes share a deployment
any of them may be asked for that, and asks the process that serves that host. It
has its answer, or an error that says which host gave none: never an empty answer
for a host that did not speak.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from typing import Any, Protocol

from kiln.calls.agents import Told
from kiln.ground.values import dataclass
from kiln.machines.port import Make
from kiln.store.database import Transaction


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Where the guest of an instance is reached, on the host that has its machine, and whether it can answer."""

    network: str = ""  #: ``cable`` or ``user``; empty where no machine runs.
    ssh: str = ""  #: HOST:PORT that leads to port 22 of the guest; empty where none does.
    #: Of each forwarded port: the public address, the guest's TCP port, and the address's port for it.
    ports: tuple[tuple[str, int, int], ...] = ()
    still: str = ""  #: Why the guest does not go on though its machine runs, in sentences; empty where it does.


class Elsewhere(Protocol):
    """The other hosts of the deployment. Safe to use from any thread; whoever asks waits without one.

    What is given is done within the time that an answer may wait for others than
    the database. It raises ServiceUnavailableHostSilent where the host has no process, does not
    answer, or cannot prove who it is.
    """

    def is_here(self, host: str, /) -> bool:
        """Whether the machines of the host of that name are this process's; so are those of no host."""

    def console(self, tx: Transaction, host: str, instance: str, /) -> Future[bytes]:
        """What the serial console of an instance has printed, as ``Machines.console`` has it."""

    def agents(self, tx: Transaction, host: str, instances: Sequence[str], /) -> Future[dict[str, Told]]:
        """What the agents of instances said just now, of those that did."""

    def reach(self, tx: Transaction, host: str, instance: str, /) -> Future[Reach]:
        """Where the guest of an instance is reached."""

    def entrance(self, tx: Transaction, host: str, instance: str, make: Make, /) -> Future[socket.socket | None]:
        """Have a machine of that *make* wait there for the guest of an instance: the way to it, None if it needs none.

        What goes by it is encrypted, and read by no other. That takes as long as a machine takes to start.
        """


class NoOtherHost(Exception):
    """Somebody asks for what is elsewhere where everything is here."""


class Alone:
    """Of a process that is the only one: everything is here."""

    def is_here(self, *_: object) -> bool:
        return True

    def console(self, *_: object) -> Future[bytes]:
        raise NoOtherHost

    def agents(self, *_: object) -> Future[dict[str, Told]]:
        raise NoOtherHost

    def reach(self, *_: object) -> Future[Reach]:
        raise NoOtherHost

    def entrance(self, *_: object) -> Future[socket.socket | None]:
        raise NoOtherHost


def together(asked: Iterable[Future[Any]]) -> Future[list[Any]]:
    """Done when all of them are: what each came to, or what the first of them raised that failed."""
    every = list(asked)
    done: Future[list[Any]] = Future()
    left, lock = len(every), threading.Lock()
    if not every:
        done.set_result([])

    def one_less(_: Future[Any]) -> None:
        nonlocal left
        with lock:
            left -= 1
            is_last = not left
        if not is_last:
            return
        failed = next((error for one in every if (error := one.exception()) is not None), None)
        if failed is None:
            done.set_result([one.result() for one in every])
        else:
            done.set_exception(failed)

    for one in every:
        one.add_done_callback(one_less)
    return done
