"""The news of other processes: each tells all others what it has committed, by the NOTIFY of the server.

    database.write -> hub -> herald -> its thread -> NOTIFY      after the commit, and together what comes together
    LISTEN -> its other thread -> hub (every ear but the herald), and whoever else is to know

Inside the transaction NOTIFY would have every commit of the whole database wait for the one before it, so it goes out
on a connection of its own. What is told that way is news, as the hub's is, and less: between processes it comes in no
order, and what was told while a connection was broken is lost. Then everybody is told that something was missed, and
looks at all. Whoever may connect to the database may send a message: one that cannot be understood is taken as missed
news, and what one says is believed of nothing but that it is worth a look.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from typing import Any

from kiln.ground.journal import Journal
from kiln.ground.threads import ended
from kiln.ground.values import dataclass
from kiln.store.changes import Change
from kiln.store.conninfo import Server, connect
from kiln.store.database import Database
from kiln.store.faults import words_of

_CHANNEL = "kiln"
_MOST_BYTES = 7500  #: Of one message; the server takes 8,000.
_MOST_WAITING = 4096  #: Pieces of news that are kept for a server that does not take them.
_GATHER_S = 0.004  #: Between the first piece of news and its message, for those that come with it.
_LOOK_S = 1.0  #: How often the threads look whether they are to end.
_REST_S = 1.0  #: Before a connection that broke is made again.

CHANGES, TOUCHED, PARCELS, WEBHOOKS, MISSED = "changes", "touched", "parcels", "webhooks", "missed"

log = Journal("kiln.store")

Touched = Collection[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What one message says."""

    sender: str
    changes: tuple[Change, ...] = ()
    touched: tuple[tuple[str, str], ...] = ()  #: Kind and ID of resources of which something changed.
    has_parcels: bool = False  #: Webhooks are to be told something.
    has_webhooks: bool = False  #: There are other webhooks than before.
    has_missed: bool = False  #: There was more than could be told.


class Herald:
    """See the module's docstring. Begun by ``start``, ended by ``stop``; both once.

    What it hears beside changes it hands to what is set here, which must be quick.
    """

    def __init__(self, server: Server, database: Database, sender: str) -> None:
        self._server, self._database, self._sender = server, database, sender
        self._waiting: list[tuple[str, Any]] = []
        self._bell = threading.Condition()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._keep_at, args=[self._tell], name="herald-tells"),
            threading.Thread(target=self._keep_at, args=[self._listen], name="herald-listens"),
        ]
        self.on_touched: Callable[[Touched], None] = lambda _: None
        self.on_parcels: Callable[[], None] = lambda: None
        self.on_webhooks: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Begin to tell and to listen."""
        self._database.hub.attach(self)
        self._database.tell = self.touched
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End; what was not told yet the others find by looking."""
        self._stopping.set()
        with self._bell:
            self._bell.notify_all()
        for thread in self._threads:
            thread.join()

    def dead(self) -> list[str]:
        """The names of the threads that have ended although nobody stopped them."""
        return [] if self._stopping.is_set() else ended(self._threads)

    def put(self, changes: Sequence[Change]) -> None:
        """Have *changes* told, which this process has committed; as an ear of the hub's."""
        self._add((CHANGES, change) for change in changes)

    def touched(self, resources: Touched) -> None:
        """Have it told that something of these has changed."""
        self._add((TOUCHED, one) for one in resources)

    def parcels(self) -> None:
        """Have it told that webhooks are to be told something."""
        self._add([(PARCELS, True)])

    def webhooks(self) -> None:
        """Have it told that there are other webhooks than before."""
        self._add([(WEBHOOKS, True)])

    def _add(self, news: Any) -> None:
        with self._bell:
            self._waiting.extend(news)
            if len(self._waiting) > _MOST_WAITING:
                self._waiting = [(MISSED, True)]
            self._bell.notify_all()

    def _keep_at(self, work: Callable[[Any], None]) -> None:
        """Do *work* on a connection, and on a new one when that breaks."""
        while not self._stopping.is_set():
            try:
                with closing(connect(self._server)) as connection:
                    connection.autocommit = True
                    work(connection)
            except Exception as error:  # noqa: BLE001 - whatever it is, the next connection may do better.
                log.warning("herald_broken", reason=words_of(error))
                # What others told meanwhile, or were to be told, nobody knows.
                self._database.hub.miss()
                self._add([(MISSED, True)])
                self._stopping.wait(_REST_S)

    def _tell(self, connection: Any) -> None:
        while not self._stopping.is_set():
            with self._bell:
                if not self._waiting and not self._stopping.is_set():
                    self._bell.wait(_LOOK_S)
                if not self._waiting:
                    continue
            self._stopping.wait(_GATHER_S)
            with self._bell:
                news, self._waiting = self._waiting, []
            for message in messages(self._sender, news):
                _send(connection, message)
        # The thread that listens wakes by it, and sees that it is to end.
        _send(connection, _spelled(self._sender, {}))

    def _listen(self, connection: Any) -> None:
        connection.execute(f"LISTEN {_CHANNEL}")
        self._database.hub.miss()  # What was told before.
        while not self._stopping.is_set():
            for told in connection.notifies(timeout=_LOOK_S):
                self._hear(told.payload)
                if self._stopping.is_set():
                    return

    def _hear(self, payload: str) -> None:
        heard = understood(payload)
        if heard.sender == self._sender:
            return
        if heard.changes:
            self._database.hub.tell_all_but(self, heard.changes)
        if heard.touched:
            self.on_touched(heard.touched)
        if heard.has_webhooks or heard.has_missed:
            self.on_webhooks()
        elif heard.has_parcels:
            self.on_parcels()
        if heard.has_missed:
            self._database.hub.miss()


def _send(connection: Any, message: str) -> None:
    connection.execute("SELECT pg_notify(%s, %s)", (_CHANNEL, message))


def messages(sender: str, news: Sequence[tuple[str, Any]]) -> Iterator[str]:
    """The news as messages, each of which the server takes."""
    told: dict[str, list[Any]] = {}
    size = 0
    others = dict.fromkeys(one for one in news if one[0] != CHANGES)  # What changed several times is told once.
    for what, piece in [*(one for one in news if one[0] == CHANGES), *others]:
        length = len(json.dumps(piece, ensure_ascii=False).encode()) + len(what) + 8
        if told and size + length > _MOST_BYTES - 200:
            yield _spelled(sender, told)
            told, size = {}, 0
        told.setdefault(what, []).append(piece)
        size += length
    if told:
        yield _spelled(sender, told)


def _spelled(sender: str, told: dict[str, list[Any]]) -> str:
    return json.dumps({"from": sender, **told}, ensure_ascii=False, separators=(",", ":"))


def understood(payload: str) -> Heard:
    """What a message says. One that is none of ours says that something was missed."""
    try:
        told = json.loads(payload)
        return Heard(
            sender=_text(told["from"]),
            changes=tuple(_change(one) for one in told.get(CHANGES, ())),
            touched=tuple((_text(kind), _text(name)) for kind, name in told.get(TOUCHED, ())),
            has_parcels=bool(told.get(PARCELS)),
            has_webhooks=bool(told.get(WEBHOOKS)),
            has_missed=bool(told.get(MISSED)),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Heard(sender="", has_missed=True)


def _change(told: Any) -> Change:
    noun, id_, old, new, account, is_shown, region, name = told
    return Change(
        _text(noun),
        _text(id_),
        None if old is None else _text(old),
        None if new is None else _text(new),
        _text(account),
        is_shown is True,
        _text(region),
        _text(name),
    )


def _text(told: Any) -> str:
    if not isinstance(told, str):
        raise TypeError
    return told
