"""A process that asks and one that is asked, on one event loop, without a database that they share."""

from __future__ import annotations

import asyncio
import socket
import threading
import uuid
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import pytest
import uvloop

from kiln.calls.errors import ServiceUnavailableHostSilent
from kiln.service.peers import prove
from kiln.service.secrets import Sealer
from kiln.store.workers import Member
from kiln.wire.paths.consoles import Consoles
from kiln.wire.peers.answering import Answering
from kiln.wire.peers.asking import Asking
from kiln.wire.peers.proof import Proof

Found = TypeVar("Found")


class Loop:
    """An event loop of the service's kind on a thread of its own."""

    def __init__(self) -> None:
        self.loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    def call(self, work: Callable[[], object]) -> None:
        self.made(work)

    def run(self, work: Coroutine[Any, Any, Found]) -> Found:
        """What *work* comes to there."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(300)

    def made(self, kind: Callable[[], Found]) -> Found:
        """One that was made there."""

        async def there() -> Found:
            return kind()

        return self.run(there())

    def close(self) -> None:
        async def rest() -> None:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(rest(), self.loop).result(300)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(300)
        self.loop.close()


@pytest.fixture
def loop() -> Iterator[Loop]:
    with closing(Loop()) as it:
        yield it


def a_sealer(folder) -> Sealer:
    folder.mkdir(exist_ok=True)
    sealer = Sealer.in_folder(folder)
    sealer.make_key()
    return sealer


class Deployment:
    """A process that asks, and one that is asked."""

    def __init__(
        self,
        loop: Loop,
        cloud,
        folder,
        *,
        within_s: float = 300.0,
        near_stalls_s: float = 300.0,
        far_stalls_s: float = 300.0,
    ) -> None:
        self.loop, self.cloud, self.far_stalls_s = loop, cloud, far_stalls_s
        self.is_far = True  #: Whether it has the machines of the host by whose name it is asked.
        self.sealer = a_sealer(folder / "keys")
        self.member = Member(id=uuid.uuid4().hex, host="far", role="worker", address="", peer="")
        self.asking = Asking(
            lambda _, host: self.member if host == "far" else None,
            "near",
            works=False,
            within_s=within_s,
            stalls_s=near_stalls_s,
        )
        loop.call(lambda: self.asking.begin(prove(self.sealer, uuid.uuid4().hex)))

    @contextmanager
    def answering(self, proof: Proof | None = None) -> Iterator[tuple[str, int]]:
        """The process that is asked, which shows *proof*; where it listens."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            ports = replace(self.cloud.ports, elsewhere=Asking(lambda *_: None, "far", works=self.is_far))
            it = Answering(ports, Consoles(ports.machines), listener, stalls_s=self.far_stalls_s)
            self.loop.call(lambda: it.begin(proof or prove(self.sealer, self.member.id)))
            self.lies_at(listener)
            try:
                yield listener.getsockname()
            finally:
                self.loop.call(it.end)

    def lies_at(self, listener: socket.socket) -> None:
        host, port = listener.getsockname()
        about = {**vars(self.member), "peer": f"{host}:{port}"}
        self.member = Member(**about)

    def console(self, instance: str = "i-1") -> Future[bytes]:
        return self.asking.console(None, "far", instance)

    def refuses(self, asked: Future[bytes]) -> str:
        """Why no answer came."""
        error = asked.exception(300)
        assert isinstance(error, ServiceUnavailableHostSilent)
        assert error.facts["host"] == "far"
        return error.facts["reason"]
