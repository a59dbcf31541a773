"""Answers what other processes of the deployment ask: the far side of ``kiln.wire.peers``.

Who connects has some seconds to prove who it is, and is read only then. A guest, a
tenant, or a process of another deployment gets no further than that; the log is told
of them, once in a while. Where too many of them say nothing, who has said nothing for
longest makes room: who is of the deployment may come from the same address, as what
a guest sends by its host's network does, and proves it within milliseconds.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from kiln.calls.call import NotYet, Ports
from kiln.calls.reaching import reach_of
from kiln.declare.errors import ApiError
from kiln.ground.journal import Journal
from kiln.machines.errors import MachineError, MachineMissing
from kiln.networks.errors import NetworkError
from kiln.pools.errors import PoolError
from kiln.store.errors import DatabaseBusy, DatabaseDown
from kiln.store.instances import host_of
from kiln.upkeep.live import NotAwaited, receive
from kiln.wire.paths.consoles import Console, Consoles, Viewer
from kiln.wire.peers import frames, words
from kiln.wire.peers.passage import STALLS_S, carry
from kiln.wire.peers.proof import Proof
from kiln.wire.peers.words import NotUnderstood, Question

log = Journal("kiln.wire")

PROOF_S = 5.0  #: So long who connects has to prove who it is, and then to ask.
AGENTS_S = 3.1  #: Silent guests are waited for so long: a guest's agent is given three seconds.
_AT_ONCE = 8  #: Questions that are looked up at a time; each reads a file, or some rows.
_ARRIVALS_AT_ONCE = 8  #: Machines that are made to wait for guests at a time, which may take a minute.
_MOST = 512  #: Connections of who has proved it; of terminals there are half as many at most.
_TYPED = 4096
_MOST_STRANGERS = 16  #: Connections of one address that have proved nothing yet,
_MOST_STRANGERS_IN_ALL = 256  #: and of all.
_REST_S = 0.5  #: Where no connection can be taken, as no file can be opened.
_TOLD_EVERY_S = 10.0  #: A refusal in the log; those between are counted.


class Answering:
    """See the module. All but what looks things up is on the event loop's thread.

    A guest that comes is left where its machine here takes nothing for *stalls_s*.
    """

    def __init__(
        self, ports: Ports, consoles: Consoles, listener: socket.socket, *, stalls_s: float = STALLS_S
    ) -> None:
        self._ports, self._consoles, self._listener = ports, consoles, listener
        self._tasks: set[asyncio.Task[None]] = set()
        #: Who has proved nothing yet, and from which address; who came first is the first.
        self._strangers: dict[socket.socket, str] = {}
        self._proved = 0
        self._stalls_s = stalls_s
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="peer")
        self._arrivals = ThreadPoolExecutor(_ARRIVALS_AT_ONCE, thread_name_prefix="arrival")
        self._arriving = asyncio.Semaphore(_ARRIVALS_AT_ONCE)
        self._refused = 0
        self._told_at = float("-inf")

    def begin(self, proof: Proof) -> None:
        """Answer from now on."""
        self._listener.setblocking(False)
        self._keep(self._accept(proof))

    def end(self) -> None:
        """Answer nobody any more."""
        for task in self._tasks:
            task.cancel()
        self._consoles.end()
        for threads in (self._threads, self._arrivals):
            threads.shutdown(wait=False, cancel_futures=True)

    def _keep(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, proof: Proof) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(self._listener)
            except OSError as error:
                log.warning("peers_not_accepted", reason=str(error))
                await asyncio.sleep(_REST_S)
                continue
            peer = address[0]
            if self._proved >= _MOST:
                connection.close()
                self._refuse(peer, "too many are connected")
                continue
            self._make_room(peer)
            self._strangers[connection] = peer
            self._keep(self._attend(connection, peer, proof))

    def _make_room(self, peer: str) -> None:
        """Send away who has proved nothing for longest, where there would be too many of one address, or in all."""
        own = [one for one, address in self._strangers.items() if address == peer]
        longest = own if len(own) >= _MOST_STRANGERS else list(self._strangers)
        if longest is own or len(longest) >= _MOST_STRANGERS_IN_ALL:
            self._strangers.pop(longest[0])
            with suppress(OSError):  # It has left by itself.
                longest[0].shutdown(socket.SHUT_RDWR)  # Who attends to it is told, and closes it.

    async def _attend(self, connection: socket.socket, peer: str, proof: Proof) -> None:
        writer = None
        try:
            reader, writer = await self._proven(connection, proof)
            self._proved += 1
            async with asyncio.timeout(PROOF_S):
                question = words.question_of(await reader.readuntil(b"\n"))
            if question.about == words.TERMINAL:
                await self._show(question, reader, writer)
            elif question.about == words.ARRIVAL:
                await self._let_in(question, reader, writer)
            else:
                writer.write(await self._answer(question))
            writer.close()
        except (NotUnderstood, EOFError, asyncio.LimitOverrunError, TimeoutError, OSError) as error:
            self._refuse(peer, (isinstance(error, ssl.SSLError) and error.reason) or str(error) or type(error).__name__)
        except Exception:
            log.exception("peer_not_answered", peer=peer)
        finally:
            if writer is None:
                connection.close()
            else:
                self._proved -= 1
                if not writer.is_closing():
                    writer.transport.abort()

    async def _proven(
        self, connection: socket.socket, proof: Proof
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The connection, once who asks is known to be of the deployment. Raises OSError."""
        loop, reader = asyncio.get_running_loop(), asyncio.StreamReader(limit=words.MOST_QUESTION)
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            # What uvloop gives beside the transport is no protocol of ours.
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol,
                connection,
                ssl=proof.answers,
                ssl_handshake_timeout=PROOF_S,
                ssl_shutdown_timeout=PROOF_S,
            )
        finally:
            self._strangers.pop(connection, None)
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)

    async def _show(self, question: Question, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Show the console of a machine, and type what is typed, until either side ends. Raises OSError."""
        viewer = Viewer()
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, self._require_here, question.one)
            console = await self._consoles.join(question.one, viewer)
        except (MachineError, NotUnderstood) as error:
            writer.write(words.refusal(str(error)))
            return
        writer.write(words.answer({}))
        work = (_show(viewer, writer), _type(console, viewer, reader), _beat(writer))
        tasks = [asyncio.ensure_future(one) for one in work]
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await console.leave(viewer)
        writer.write(frames.frame(frames.END, viewer.reason.encode()))

    async def _let_in(self, question: Question, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Have a machine wait for the guest of an instance, and carry to it what comes. Raises OSError."""
        make = question.make
        if make is None:
            raise NotUnderstood("a guest comes from a machine of which nothing is told")
        loop = asyncio.get_running_loop()
        async with self._arriving:
            # A machine for who has left meanwhile would end the one to which the next try has sent the guest.
            if reader.at_eof() or reader.exception() is not None:
                return
            try:
                way = await loop.run_in_executor(self._arrivals, receive, self._ports, question.one, make)
            except Exception as error:  # noqa: BLE001 - whoever asks is told, and ours is logged.
                writer.write(_refusal(question, error))
                return
        writer.write(words.answer(words.arrival_told(way)))
        if way is not None:
            log.info("guest_comes", instance=question.one)
            await carry(way, reader, writer, self._stalls_s)

    def _require_here(self, instance: str) -> None:
        """Raise MachineMissing for the instance of another host: nobody is led on from here."""
        try:
            with self._ports.database.read() as tx:
                is_here = self._ports.elsewhere.is_here(host_of(tx, instance))
        except (DatabaseDown, DatabaseBusy) as error:
            raise MachineMissing("The host has lost its database.") from error
        if not is_here:
            raise MachineMissing("The machine is on another host by now.")

    async def _answer(self, question: Question) -> bytes:
        try:
            found = await self._find(question)
        except Exception as error:  # noqa: BLE001 - whoever asks is told, and ours is logged.
            return _refusal(question, error)
        return words.refusal("it does not know that question") if found is None else words.answer(found)

    async def _find(self, question: Question) -> Mapping[str, Any] | None:
        """What is asked for; None for what this version knows nothing of."""
        loop = asyncio.get_running_loop()
        if question.about == words.CONSOLE:
            console = self._ports.machines.console
            return words.console_told(await loop.run_in_executor(self._threads, console, question.one))
        if question.about == words.REACH:
            return words.reach_told(await loop.run_in_executor(self._threads, self._reach, question.one))
        if question.about == words.AGENTS:
            return words.agents_told(await self._agents(question.instances))
        return None

    async def _agents(self, instances: tuple[str, ...]) -> dict[str, Any]:
        ports = self._ports
        asked = ports.agents.ask(ports.machines, ports.clock, instances)
        if asked is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(AGENTS_S):
                    await asyncio.shield(asyncio.wrap_future(asked))
        known = {instance: ports.agents.known(instance) for instance in instances}
        return {instance: told for instance, told in known.items() if told is not None}

    def _reach(self, instance: str) -> Any:
        with self._ports.database.read() as tx:
            return reach_of(tx, self._ports.machines, self._ports.plane, instance)

    def _refuse(self, peer: str, reason: str) -> None:
        self._refused += 1
        now = time.monotonic()
        if now - self._told_at >= _TOLD_EVERY_S:
            log.warning("peer_refused", peer=peer, reason=reason, others=self._refused - 1)
            self._refused, self._told_at = 0, now


def _refusal(question: Question, error: Exception) -> bytes:
    """What whoever asked is told of *error*, which is being handled: our own faults go to the log as well."""
    if isinstance(error, MachineError | PoolError | NetworkError | NotAwaited | NotYet | ApiError):
        return words.refusal(str(error))
    if isinstance(error, NotUnderstood):
        return words.refusal(f"it does not understand the question: {error}")
    if isinstance(error, DatabaseDown | DatabaseBusy):
        return words.refusal("it has lost its database")
    if isinstance(error, OSError):
        log.warning("peer_not_answered", about=question.about, reason=str(error))
        return words.refusal("its disk or a limit of it failed")
    log.exception("peer_not_answered", about=question.about)  # noqa: LOG004 - whoever calls it handles it.
    return words.refusal("it failed")


async def _show(viewer: Viewer, writer: asyncio.StreamWriter) -> None:
    while piece := await viewer.take(frames.PIECE):
        writer.write(frames.frame(frames.OUTPUT, piece))
        await writer.drain()


async def _type(console: Console, viewer: Viewer, reader: asyncio.StreamReader) -> None:
    while typed := await reader.read(_TYPED):
        await console.type(typed)
    viewer.end(viewer.reason)


async def _beat(writer: asyncio.StreamWriter) -> None:
    while True:
        await asyncio.sleep(frames.BEAT_S)
        writer.write(frames.frame(frames.BEAT))
        await writer.drain()
