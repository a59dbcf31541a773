"""Asks the processes of other hosts: the near side of ``kiln.wire.peers``.

All of it is on the event loop, so that a host that stands still costs no thread; of
each host so many questions are open at a time, and one that has more is asked
nothing else meanwhile.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from kiln.calls.agents import Told
from kiln.calls.elsewhere import Reach
from kiln.calls.errors import ServiceUnavailableHostSilent
from kiln.ground.journal import Journal
from kiln.machines.port import Make
from kiln.store.database import Transaction
from kiln.store.workers import Member
from kiln.wire.peers import words
from kiln.wire.peers.passage import STALLS_S, carry
from kiln.wire.peers.proof import Proof, name_of
from kiln.wire.peers.words import NotUnderstood, Question, Refused

log = Journal("kiln.wire")

#: A little less than an answer waits for others than the database, so that who asked is told by whom it waited.
WITHIN_S = 3.3
ARRIVAL_S = 300.0  #: A machine has to be started for an arrival, and the guest runs on meanwhile.
MOST_OPEN = 64  #: Questions to one host, and arrivals there, which are counted for themselves: they may take minutes.

Found = TypeVar("Found")

#: The process that has the machines of a host, if there is one.
Find = Callable[[Transaction, str], Member | None]


class Asking:
    """See the module. *find* looks processes up; *works*: whether the machines of *host* are this one's.

    A guest that is carried elsewhere is left where nobody there takes anything for *stalls_s*.
    """

    def __init__(
        self, find: Find, host: str, *, works: bool, within_s: float = WITHIN_S, stalls_s: float = STALLS_S
    ) -> None:
        self._find, self._host, self._works, self._within_s = find, host, works, within_s
        self._stalls_s = stalls_s
        self._proof: Proof | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open: Counter[tuple[str, bool]] = Counter()  #: By host, and whether arrivals or other questions.
        self._carrying: set[asyncio.Future[None]] = set()  #: Guests that are on their way.

    def begin(self, proof: Proof) -> None:
        """Be able to ask, on the running event loop. Before that there is nobody who could be asked."""
        self._proof, self._loop = proof, asyncio.get_running_loop()

    def is_here(self, host: str) -> bool:
        """See ``Elsewhere``."""
        return not host or (self._works and host == self._host)

    def console(self, tx: Transaction, host: str, instance: str) -> Future[bytes]:
        """See ``Elsewhere``."""
        return self._ask(tx, host, Question(about=words.CONSOLE, instances=(instance,)), words.console_of)

    def agents(self, tx: Transaction, host: str, instances: Sequence[str]) -> Future[dict[str, Told]]:
        """See ``Elsewhere``."""
        asked = tuple(instances)
        question = Question(about=words.AGENTS, instances=asked)
        return self._ask(tx, host, question, lambda found: words.agents_of(found, asked))

    def reach(self, tx: Transaction, host: str, instance: str) -> Future[Reach]:
        """See ``Elsewhere``."""
        return self._ask(tx, host, Question(about=words.REACH, instances=(instance,)), words.reach_of)

    def member(self, tx: Transaction, host: str) -> Member:
        """The process that has the machines of a host. Raises ServiceUnavailableHostSilent where none can be asked."""
        member = self._find(tx, host)
        if member is None:
            raise ServiceUnavailableHostSilent(host=host, reason="no process of Kiln is seen there")
        if not member.peer or self._loop is None:
            raise ServiceUnavailableHostSilent(host=host, reason="its process takes no questions")
        return member

    async def terminal(self, member: Member, instance: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the console of an instance of that process, on which ``frames`` come from now on.

        Raises ServiceUnavailableHostSilent.
        """
        question = Question(about=words.TERMINAL, instances=(instance,))
        async with self._told(member, question):
            reader, writer = await self._connect(member)
            try:
                writer.write(words.line_of(question))
                words.found_in(await reader.readuntil(b"\n"))
            except BaseException:
                writer.transport.abort()
                raise
        return reader, writer

    def entrance(self, tx: Transaction, host: str, instance: str, make: Make) -> Future[socket.socket | None]:
        """See ``Elsewhere``."""
        question = Question(about=words.ARRIVAL, instances=(instance,), make=make)
        came: list[socket.socket] = []
        asked = self._begin(tx, host, lambda member: self._enter(member, question, came))
        asked.add_done_callback(lambda done: self._close_late(done, came))
        return asked

    def _close_late(self, asked: Future[socket.socket | None], came: list[socket.socket]) -> None:
        """Close a way that had come when it was given up, and was not told to anybody: after that none comes."""

        def close() -> None:
            for way in came:
                way.close()

        if asked.cancelled() and self._loop is not None:
            with suppress(RuntimeError):  # The loop is closed: this process ends.
                self._loop.call_soon_threadsafe(close)

    def _ask(
        self, tx: Transaction, host: str, question: Question, read: Callable[[Mapping[str, Any]], Found]
    ) -> Future[Found]:
        return self._begin(tx, host, lambda member: self._asked(member, question, read))

    def _begin(self, tx: Transaction, host: str, ask: Callable[[Member], Coroutine[Any, Any, Found]]) -> Future[Found]:
        try:
            asking = ask(self.member(tx, host))
        except ServiceUnavailableHostSilent as error:
            return _failed(error)
        assert self._loop is not None  # Else there would be no member.
        try:
            return asyncio.run_coroutine_threadsafe(asking, self._loop)
        except RuntimeError:  # The loop is closed: this process ends.
            asking.close()
            return _failed(ServiceUnavailableHostSilent(host=host, reason="this Kiln stops"))

    async def _asked(self, member: Member, question: Question, read: Callable[[Mapping[str, Any]], Found]) -> Found:
        async with self._told(member, question):
            return read(words.found_in(await self._exchange(member, words.line_of(question))))

    async def _enter(self, member: Member, question: Question, came: list[socket.socket]) -> socket.socket | None:
        async with self._told(member, question, ARRIVAL_S):
            reader, writer = await self._connect(member)
            try:
                writer.write(words.line_of(question))
                comes = words.arrival_of(words.found_in(await reader.readuntil(b"\n")))
            except BaseException:
                writer.transport.abort()
                raise
        if not comes:
            writer.transport.abort()
            return None
        guests, ours = socket.socketpair()
        came.append(guests)
        carrying = asyncio.ensure_future(carry(ours, reader, writer, self._stalls_s))
        self._carrying.add(carrying)
        carrying.add_done_callback(self._carrying.discard)
        return guests

    @asynccontextmanager
    async def _told(self, member: Member, question: Question, within_s: float | None = None) -> AsyncIterator[None]:
        """Have what goes wrong with a question be told as ServiceUnavailableHostSilent, in bounded time.

        The log has what a caller need not know.
        """
        kind = (member.host, question.about == words.ARRIVAL)
        if self._open[kind] >= MOST_OPEN:
            raise ServiceUnavailableHostSilent(host=member.host, reason="too much is asked of it at a time")
        self._open[kind] += 1
        try:
            async with asyncio.timeout(within_s or self._within_s):
                yield
                return
        except Refused as refused:
            reason, why = str(refused), "refused"
        except TimeoutError:
            reason, why = "it did not answer in time", "too late"
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            reason, why = "it can't be reached", f"{type(error).__name__}: {error}"
        except NotUnderstood as error:
            reason, why = "its answer makes no sense", str(error)
        finally:
            self._open[kind] -= 1
            self._open += Counter()  # Hosts of which nothing is asked are forgotten.
        log.warning("host_silent", host=member.host, worker=member.id, about=question.about, reason=why)
        raise ServiceUnavailableHostSilent(host=member.host, reason=reason)

    async def _connect(self, member: Member) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        assert self._proof is not None  # Nothing is asked before the beginning.
        host, _, port = member.peer.rpartition(":")
        return await asyncio.open_connection(
            host.strip("[]"),
            int(port),
            limit=words.MOST_ANSWER,
            ssl=self._proof.asks,
            server_hostname=name_of(member.id),
        )

    async def _exchange(self, member: Member, line: bytes) -> bytes:
        reader, writer = await self._connect(member)
        try:
            writer.write(line)
            await writer.drain()
            return await reader.readuntil(b"\n")
        finally:
            writer.transport.abort()  # Whole or not, nothing more is said, and nobody waits for a goodbye.


def _failed(error: ServiceUnavailableHostSilent) -> Future[Any]:
    failed: Future[Any] = Future()
    failed.set_exception(error)
    return failed
