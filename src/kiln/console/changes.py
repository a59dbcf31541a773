"""Tells signed-in browsers what changes while it changes, as server-sent events: they show again what it is about.

    event: listening      what changes from here on is told; whatever is shown may be older
    event: changed        data: {"noun": "images", "id": "m-..."}
    event: missed         too much has changed to be told one by one

However many browsers look at an account, the API has one reader of it here: a
thread, which lives as long as somebody looks. Each browser is told of a thing
once however often it has changed meanwhile, so one that reads slowly holds up
nobody and keeps no more than a few names.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

from kiln.client.client import AnswerBroken, ApiFailure, Client
from kiln.client.feed import Feed, Heard
from kiln.client.transport import Unreachable
from kiln.console.nouns.noun import noun_of
from kiln.console.sessions import Keys
from kiln.ground.journal import Journal

log = Journal("kiln.console")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MOST = 128  #: Browsers that are told at a time; of these any account may have all that no other wants.
BEAT_S = 10.0  #: So often something is sent in any case, and it is asked whether the session lives.
_WAITING = 200  #: Things that wait to be told to one browser.
_BREAKS = (ApiFailure, AnswerBroken, Unreachable, OSError, EOFError)


class Pace:
    """That something is done once in so many seconds, however often it is asked for."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._next = 0.0

    def is_due(self) -> bool:
        """Whether it is time."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._every_s
        return True


class Viewer:
    """One browser. All is on the event loop's thread."""

    def __init__(self) -> None:
        self._due: dict[str, str] = {"": "listening"}
        self._bell = asyncio.Event()
        self._bell.set()
        self.has_ended = False

    def tell(self, resource: str) -> None:
        """That *resource* has changed; empty: that anything may have."""
        if resource and len(self._due) < _WAITING:
            self._due[resource] = "changed"
        else:
            # Who is yet to be told that all may be older is told nothing else of that.
            self._due = {"": self._due.get("", "missed")}
        self._bell.set()

    def end(self) -> None:
        """Tell nothing more."""
        self.has_ended = True
        self._bell.set()

    async def next(self, beat_s: float) -> bytes:
        """The events that are due, or a comment when there was none for *beat_s*."""
        with suppress(TimeoutError):
            async with asyncio.timeout(beat_s):
                await self._bell.wait()
        self._bell.clear()
        due, self._due = self._due, {}
        return b"".join(map(_spell, due, due.values())) or b": beat\n\n"


class Account:
    """Those who look at one account, and the thread that reads its changes."""

    def __init__(self, client: Client, loop: asyncio.AbstractEventLoop) -> None:
        self.viewers: dict[Viewer, None] = {}  #: In the order in which they came.
        self.has_ended = False
        self._client = client
        self._feed: Feed = client.feed()
        self._loop = loop
        self._thread = threading.Thread(target=self._read, name="console-changes", daemon=True)
        self._thread.start()

    def tell(self, resource: str) -> None:
        """Tell all who look."""
        for viewer in self.viewers:
            viewer.tell(resource)

    def end(self) -> None:
        """Read no more. Who looks yet is told nothing more."""
        self.has_ended = True
        self._feed.close()
        for viewer in self.viewers:
            viewer.end()

    def _read(self) -> None:
        try:
            for heard in self._feed:
                self._call(self.tell, _resource_of(heard))
        except _BREAKS as error:
            # A browser asks again by itself, and whoever it is then finds out why.
            log.info("console_changes_ended", reason=str(error))
        finally:
            self._client.close()
            self._call(self.end)

    def _call(self, done: Callable[..., None], *given: str) -> None:
        with suppress(RuntimeError):  # The loop is closed, and with it everybody's connection.
            self._loop.call_soon_threadsafe(done, *given)


class Changes:
    """All who look. All is on the event loop's thread."""

    def __init__(self, *, most: int = MOST, beat_s: float = BEAT_S) -> None:
        self._accounts: dict[Keys, Account] = {}
        self._most = most
        self._beat_s = beat_s
        self._has_ended = False

    def has_room(self, keys: Keys) -> bool:
        """Whether one more browser of *keys* is told, be it in the place of one of who has most."""
        return not self._has_ended and (self._count < self._most or self._loudest(keys) is not None)

    @property
    def _count(self) -> int:
        return sum(len(one.viewers) for one in self._accounts.values())

    def _loudest(self, keys: Keys) -> Account | None:
        """Who has most browsers; None where *keys* would have as many with one more."""
        own = self._accounts.get(keys)
        most = max(self._accounts.values(), key=lambda one: len(one.viewers), default=None)
        wanted = 1 + (0 if own is None else len(own.viewers))
        return most if most is not None and len(most.viewers) > wanted else None

    async def serve(
        self,
        client: Callable[[], Client],
        keys: Keys,
        lives: Callable[[], Awaitable[bool]],
        receive: Receive,
        send: Send,
    ) -> None:
        """Tell one browser until it leaves, until *lives* says no, or until this ends."""
        account = self._accounts.get(keys)
        if account is None or account.has_ended:
            account = self._accounts[keys] = Account(client(), asyncio.get_running_loop())
        if self._count >= self._most and (loudest := self._loudest(keys)) is not None:
            first = next(iter(loudest.viewers))
            del loudest.viewers[first]
            first.end()
        viewer = Viewer()
        account.viewers[viewer] = None
        gone = asyncio.ensure_future(_left(receive, viewer))
        try:
            while not viewer.has_ended and await lives():
                await send({"type": "http.response.body", "body": await viewer.next(self._beat_s), "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            gone.cancel()
            account.viewers.pop(viewer, None)
            if not account.viewers and self._accounts.get(keys) is account:
                del self._accounts[keys]
                account.end()

    def end(self) -> None:
        """End all."""
        self._has_ended = True
        for account in self._accounts.values():
            account.end()


async def _left(receive: Receive, viewer: Viewer) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    viewer.end()


def _resource_of(heard: Heard) -> str:
    """What has changed; empty where anything may have."""
    return str(heard.event["data"]["resourceId"]) if heard.event is not None else ""


def _spell(resource: str, word: str) -> bytes:
    noun = noun_of(resource)
    data = json.dumps({"noun": noun, "id": resource})
    return f"event: {word}\ndata: {data}\n\n".encode()
