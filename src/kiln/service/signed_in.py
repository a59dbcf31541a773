"""The console's sessions, links and wrong tries between all processes of a deployment, in the database that they share.

A page reads one row. Who is known here is remembered with the client that asks the API for him, and nothing that
decides anything: that he has signed out, wherever, the next page knows.
"""

from __future__ import annotations

import json
import math
import secrets
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from kiln.client.client import Client
from kiln.console.attempts import MOST as MOST_TRIES
from kiln.console.attempts import MOST_PAIRS, WINDOW_S, Attempts, TooMany
from kiln.console.sessions import (
    IDLE_S,
    LINK_S,
    LONGEST_S,
    MOST_HELD,
    MOST_NOTICES,
    Keys,
    Link,
    OpenClient,
    Session,
    SessionsUnavailable,
    Tenure,
    Who,
    hash_of,
    of_most,
    to_be_ended,
)
from kiln.ground.clock import Clock
from kiln.ground.journal import Journal
from kiln.ground.values import dataclass
from kiln.service.errors import SecretBroken
from kiln.service.secrets import Sealer
from kiln.store import console_sessions as rows
from kiln.store.console_sessions import ConsoleLink, ConsoleSession, ConsoleTries
from kiln.store.database import Database, Transaction
from kiln.store.errors import DatabaseBusy, DatabaseDown, DatabaseFull, DatabaseMalformed

log = Journal("kiln.service")

MOST = 1024  #: Sessions of all accounts,
MOST_OF_ACCOUNT = 64  #: and of one; of which links that were not used.
_SEEN_EVERY_S = 60.0  #: That a session was seen is written no more often.
_MOST_KNOWN = 256  #: Clients that are kept for pages to come; another one is made as quickly as its first connection.
_MARK = "console:1:"  #: Before what is sealed: no other secret begins so.


@contextmanager
def _unavailable_said() -> Iterator[None]:
    """Say what befalls the database as the console knows it."""
    try:
        yield
    except (DatabaseDown, DatabaseBusy, DatabaseFull, DatabaseMalformed) as error:
        raise SessionsUnavailable(str(error)) from error


@dataclass(frozen=True, kw_only=True)
class _Changing:
    """What pages change of a session."""

    region: str
    notices: tuple[str, ...]
    held: dict[str, dict[str, str]]

    @classmethod
    def of(cls, session: Session) -> _Changing:
        return cls(region=session.region, notices=tuple(session.notices), held=dict(session.held))


@dataclass
class _Found(Session):
    """A session as one page found it."""

    before: _Changing | None = None


class SharedSessions:
    """As ``kiln.console.sessions.Sessions``. Times are the database's."""

    def __init__(self, database: Database, sealer: Sealer, clock: Clock) -> None:
        self._database, self._sealer, self._clock = database, sealer, clock
        self.attempts: Attempts = SharedAttempts(database, clock)
        self._open_client: OpenClient | None = None
        self._lock = threading.Lock()
        self._known: OrderedDict[str, Session] = OrderedDict()  #: By the hash of the name, the last used last.

    def attach(self, open_client: OpenClient) -> None:
        self._open_client = open_client

    def make_link(self, keys: Keys, *, is_operators: bool = False) -> str:
        token = secrets.token_urlsafe(24)
        sealed = self._seal([*keys, is_operators])

        def work(tx: Transaction) -> None:
            now = self._now(tx)
            rows.links.delete(tx, rows.links.c.until <= now)
            by_age = {one.name: one.key for one in sorted(rows.links.all(tx), key=lambda one: one.until)}
            if len(by_age) >= MOST_OF_ACCOUNT:
                rows.links.delete(tx, name=of_most(by_age))
            link = ConsoleLink(name=hash_of(token), key=keys.id, sealed=sealed, until=now + LINK_S)
            rows.links.insert(tx, link)

        self._write(work)
        return token

    def redeem(self, token: str) -> Link | None:
        def work(tx: Transaction) -> tuple[ConsoleLink, float] | None:
            found = rows.links.find(tx, name=hash_of(token))
            if found is None:
                return None
            rows.links.delete(tx, name=found.name)
            return found, self._now(tx)

        taken = self._write(work)
        if taken is None or taken[0].until <= taken[1]:
            return None
        opened = self._open(taken[0].sealed)
        return None if opened is None else Link(Keys(opened[0], opened[1]), taken[0].until, bool(opened[2]))

    def begin(
        self, client: Client, keys: Keys, who: Who, regions: tuple[str, ...] = (), *, is_operators: bool = False
    ) -> str:
        name = secrets.token_urlsafe(24)
        began = Session(client, who, client.region, 0.0, 0.0, keys.id, regions, is_operators)
        sealed = self._seal([*keys, who.arn, regions, is_operators, began.secret.hex()])

        def work(tx: Transaction) -> float:
            now = self._now(tx)
            there = {name: Tenure(*told) for name, told in rows.tenures(tx).items()}
            for one in to_be_ended(there, who.account, now, MOST, MOST_OF_ACCOUNT):
                rows.sessions.delete(tx, name=one)
            row = ConsoleSession(
                name=hash_of(name), account=who.account, sealed=sealed, region=began.region, began_at=now, seen_at=now
            )
            rows.sessions.insert(tx, row)
            return now

        began.began_at = began.seen_at = self._write(work)
        self._remember(hash_of(name), began)
        return name

    def known(self, name: str) -> Who | None:
        with self._lock:
            found = self._known.get(hash_of(name))
        return None if found is None else found.who

    def find(self, name: str) -> Session | None:
        row, now = self._look(name)
        if row is None:
            return None
        session = self._session(row)
        if session is not None and now >= row.seen_at + _SEEN_EVERY_S:
            # A session that nobody could note to be seen is none the worse for this page.
            with suppress(SessionsUnavailable):
                self._write(lambda tx: rows.sessions.update(tx, {"seen_at": now}, name=row.name))
        return session

    def lives(self, name: str) -> bool:
        return self._look(name)[0] is not None

    def keep(self, name: str, session: Session) -> None:
        before = session.before if isinstance(session, _Found) else None
        after = _Changing.of(session)
        if before is not None and before != after:
            self._write(lambda tx: self._merge(tx, hash_of(name), before, after))

    def end(self, name: str) -> None:
        self._forget(hash_of(name))
        self._write(lambda tx: rows.sessions.delete(tx, name=hash_of(name)))

    def close(self) -> None:
        with self._lock:
            known = list(self._known.values())
            self._known.clear()
        for one in known:
            one.client.close()

    def _now(self, tx: Transaction) -> float:
        return self._database.time_of_leases(tx, self._clock())

    def _write(self, work: Callable[[Transaction], Any]) -> Any:
        with _unavailable_said():
            return self._database.write(work)

    def _look(self, name: str) -> tuple[ConsoleSession | None, float]:
        """The row of the session of that name, if it lives, and the time."""
        with _unavailable_said(), self._database.read() as tx:
            row, now = rows.sessions.find(tx, name=hash_of(name)), self._now(tx)
        if row is None or not Tenure(row.account, row.began_at, row.seen_at).lives(now):
            self._forget(hash_of(name))
            return None, now
        return row, now

    def _session(self, row: ConsoleSession) -> Session | None:
        """A row as a page has it. None where it was sealed with another master key: nobody can go on with it."""
        with self._lock:
            known = self._known.get(row.name)
        if known is None:
            opened = self._open(row.sealed)
            if opened is None:
                return None
            key_id, secret, arn, regions, is_operators, proving = opened
            assert self._open_client is not None  # It is told at once.
            client = self._open_client(Keys(key_id, secret), row.region)
            who = Who(row.account, arn)
            known = Session(client, who, row.region, row.began_at, row.seen_at, key_id, tuple(regions), is_operators)
            known.secret = bytes.fromhex(proving)
            known = self._remember(row.name, known)
        held = self._open(row.sealed_forms) if row.sealed_forms else {}
        found = _Found(
            client=known.client,
            who=known.who,
            region=row.region,
            began_at=row.began_at,
            seen_at=row.seen_at,
            key_id=known.key_id,
            regions=known.regions,
            is_operators=known.is_operators,
            held=held or {},
            secret=known.secret,
        )
        found.notices.extend(json.loads(row.notices))
        found.before = _Changing.of(found)
        return found

    def _merge(self, tx: Transaction, name: str, before: _Changing, after: _Changing) -> None:
        """Write what a page has changed into what another may have changed meanwhile."""
        row = rows.sessions.find(tx, name=name)
        if row is None:
            return  # It has ended.
        changes: dict[str, Any] = {}
        if after.region != before.region:
            changes["region"] = after.region
        if after.notices != before.notices:
            said = Counter(before.notices) - Counter(after.notices)
            fresh = list((Counter(after.notices) - Counter(before.notices)).elements())
            left = [one for one in json.loads(row.notices) if one not in said]
            changes["notices"] = json.dumps([*left, *fresh][-MOST_NOTICES:])
        if after.held != before.held:
            held = dict((self._open(row.sealed_forms) if row.sealed_forms else None) or {})
            for form in before.held.keys() - after.held.keys():
                held.pop(form, None)
            for form, typed in after.held.items():
                if typed != before.held.get(form):
                    held.pop(form, None)
                    held[form] = typed
            kept = dict(list(held.items())[-MOST_HELD:])
            changes["sealed_forms"] = self._seal(kept) if kept else ""
        rows.sessions.update(tx, changes, name=name)

    def _remember(self, name: str, session: Session) -> Session:
        """Keep a session for the pages to come; the one of another thread that was quicker stays."""
        left = []
        with self._lock:
            kept = self._known.setdefault(name, session)
            if kept is not session:
                left.append(session)
            self._known.move_to_end(name)
            while len(self._known) > _MOST_KNOWN:
                left.append(self._known.popitem(last=False)[1])
        for one in left:
            one.client.close()
        return kept

    def _forget(self, name: str) -> None:
        with self._lock:
            known = self._known.pop(name, None)
        if known is not None:
            known.client.close()

    def _seal(self, held: Any) -> str:
        try:
            return self._sealer.seal(_MARK + json.dumps(held))
        except SecretBroken as error:
            raise SessionsUnavailable(str(error)) from error

    def _open(self, sealed: str) -> Any:
        """What was sealed; None of what another master key has sealed, or is no session's."""
        try:
            text = self._sealer.open(sealed)
        except SecretBroken as error:
            log.warning("console_session_sealed", reason=str(error))
            return None
        return json.loads(text.removeprefix(_MARK)) if text.startswith(_MARK) else None


class SharedAttempts:
    """As ``kiln.console.attempts.Attempts``, counted at every door together."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def take(self, peer: str, key_id: str) -> None:
        pair = {"peer": hash_of(peer), "key": hash_of(key_id)}

        def work(tx: Transaction) -> int:
            """The seconds that are to be waited for; 0 where it may be tried."""
            now = self._database.time_of_leases(tx, self._clock())
            known = rows.tries.find(tx, **pair)
            if known is not None and known.until > now:
                if known.count >= MOST_TRIES:
                    return max(1, math.ceil(known.until - now))
                rows.tries.update(tx, {"count": known.count + 1}, **pair)
                return 0
            rows.tries.delete(tx, **pair)
            _make_room(tx, now)
            rows.tries.insert(tx, ConsoleTries(**pair, count=1, until=now + WINDOW_S))
            return 0

        with _unavailable_said():
            wait_s = self._database.write(work)
        if wait_s:
            raise TooMany(wait_s)

    def give_back(self, peer: str, key_id: str) -> None:
        pair = {"peer": hash_of(peer), "key": hash_of(key_id)}

        def work(tx: Transaction) -> None:
            known = rows.tries.find(tx, **pair)
            if known is not None and known.count:
                rows.tries.update(tx, {"count": known.count - 1}, **pair)

        with _unavailable_said():
            self._database.write(work)

    def forget(self, peer: str, key_id: str) -> None:
        with _unavailable_said():
            self._database.write(lambda tx: rows.tries.delete(tx, peer=hash_of(peer), key=hash_of(key_id)))


def _make_room(tx: Transaction, now: float) -> None:
    if rows.tries.count(tx) < MOST_PAIRS:
        return
    rows.tries.delete(tx, rows.tries.c.until <= now)
    found = rows.tries.all(tx)
    if len(found) >= MOST_PAIRS:
        first = of_most({(one.peer, one.key): one.peer for one in found})
        rows.tries.delete(tx, peer=first[0], key=first[1])


def forget(database: Database, clock: Clock) -> int:
    """Remove from the database what is over; returns how much that was."""

    def work(tx: Transaction) -> int:
        now = database.time_of_leases(tx, clock())
        return rows.forget(tx, now, longest_s=LONGEST_S, idle_s=IDLE_S)

    return database.write(work)
