"""Terminal sessions: who may join which instance's console, until when, and what has become of it.

Their rows say it, to every process of the deployment. A connection lives at one of
them, which hears when the row says that the session is over, whoever ended it.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from kiln.calls.sessions import Session
from kiln.store import terminals as rows
from kiln.store.changes import Change
from kiln.store.database import Database, Transaction
from kiln.store.terminals import CONNECTED, CONNECTING, FAILED, TERMINATED, URL_S, Terminal, terminals

MOST_OPEN = 100  #: Of an account in a region: those that can be joined, or are. Source: StartTerminalSession.
MOST_CONNECTED = 20  #: Of an instance. Source: StartTerminalSession.

ENDED = "EndTerminalSession ended it"
OVER = "it was ended elsewhere"  #: Of a session whose row says that it is over: there is why.
_UNUSED = "its URL was not used in time"
_UNKNOWN = "There is no such session, or this is not its token."


class TerminalRefused(Exception):
    """The session cannot be joined; the message is for a person."""


def hash_of(token: str) -> str:
    """What is kept of a session's token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def role_of(session: Terminal) -> Session | None:
    """The role whose key asked for it; None of an AccessKey of its own."""
    if not session.role:
        return None
    return Session(
        role=session.role, name=session.role_name, parent=session.role_parent, expires_at=session.role_expires_at
    )


def as_of(session: Terminal, now: float) -> Terminal:
    """As it stands at that time: whose URL was not used is over."""
    if session.status != CONNECTING or now < session.created_at + URL_S:
        return session
    return replace(session, status=TERMINATED, ended_at=session.created_at + URL_S, reason=_UNUSED)


def is_open(session: Terminal, now: float) -> bool:
    """Whether it is joined, or can be."""
    return as_of(session, now).ended_at is None


def find(tx: Transaction, session: str, now: float) -> Terminal | None:
    """The session of that ID."""
    found = terminals.find(tx, id=session)
    return None if found is None else as_of(found, now)


def _joinable(tx: Transaction, session: str, token: str, now: float) -> Terminal:
    """The session of that ID, if this is its token and it can be joined still. Raises TerminalRefused."""
    known = terminals.find(tx, id=session)
    # What is compared takes as long whether there is such a session or not.
    is_right = hmac.compare_digest(hash_of(token), hash_of("") if known is None else known.token_hash)
    if known is None or not is_right:
        raise TerminalRefused(_UNKNOWN)
    if known.started_at is not None:
        raise TerminalRefused("The session was joined before: its URL is good for one time.")
    if not is_open(known, now):
        raise TerminalRefused("The session is over: its URL is good for ten minutes, or until it is ended.")
    return known


class Terminals:
    """The connections of this process. Safe to use from any thread."""

    def __init__(self) -> None:
        #: What ends the connection of a session that is joined, and of those who try to join it just now.
        self._enders: dict[str, list[Callable[[str], None]]] = {}
        self._lock = threading.Lock()
        self.door = ""  #: The ID of this process, where there can be others.

    def put(self, changes: Sequence[Change]) -> None:
        """End the connections of sessions that are over; as an ear of the hub's."""
        for change in changes:
            if change.noun == rows.NOUN and change.new in (TERMINATED, FAILED):
                self._drop(change.id, OVER)

    def join(self, database: Database, session: str, token: str, now: float, end: Callable[[str], None]) -> Terminal:
        """Use the session's token, which does for one time. *end*, called on any thread, is to end the connection.

        Raises TerminalRefused, for an ID that there is not with the same words as for a wrong token; DatabaseDown.
        Nobody is known before that: who has not the right token costs the database a look, and no turn of who writes.
        """
        if not session.isprintable():  # PostgreSQL takes no NUL, and no ID has one.
            raise TerminalRefused(_UNKNOWN)
        with database.read() as tx:
            _joinable(tx, session, token, now)
        with self._lock:
            self._enders.setdefault(session, []).append(end)  # First: who ends it once it is joined has to find it.
        try:
            return database.write(lambda tx: self._joined(tx, session, token, now))
        except BaseException:
            self._forget(session, end)
            raise

    def _joined(self, tx: Transaction, session: str, token: str, now: float) -> Terminal:
        known = _joinable(tx, session, token, now)
        if terminals.count(tx, status=CONNECTED, instance=known.instance) >= MOST_CONNECTED:
            raise TerminalRefused(f"{MOST_CONNECTED} sessions are joined to {known.instance} already.")
        if not rows.join(tx, session, hash_of(token), self.door, now):
            raise TerminalRefused("The session was joined before: its URL is good for one time.")
        return replace(known, status=CONNECTED, started_at=now, door=self.door)

    def end(self, database: Database, session: str, reason: str, now: float, *, has_failed: bool = False) -> None:
        """Record that one is over that was joined here; one that is over stays as it is."""
        with self._lock:
            self._enders.pop(session, None)
        database.write(lambda tx: rows.end(tx, session, reason, now, has_failed=has_failed), gives_back=True)

    def _drop(self, session: str, reason: str) -> None:
        with self._lock:
            enders = self._enders.pop(session, [])
        for end in enders:
            end(reason)

    def _forget(self, session: str, end: Callable[[str], None]) -> None:
        with self._lock:
            left = [one for one in self._enders.pop(session, []) if one is not end]
            if left:
                self._enders[session] = left
