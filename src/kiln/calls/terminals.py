"""Terminal sessions: who may join which instance's console, until when, and what has become of it.

They are kept in memory alone. A session lives on a connection to this process,
so one that nobody remembers after a restart is one that has ended: nothing has
to be swept or upgraded, and a URL from before opens nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Callable
from dataclasses import field, replace
from enum import StrEnum

from kiln.calls.sessions import Session
from kiln.ground.values import dataclass

URL_S = 600  #: So long after StartTerminalSession its URL can be used, once. Source: StartTerminalSession.
MOST_OPEN = 100  #: Of an account in a region: those that can be joined, or are. Source: StartTerminalSession.
MOST_CONNECTED = 20  #: Of an instance. Source: StartTerminalSession.
_KEPT_OF_ACCOUNT = 1000  #: Source: DescribeTerminalSessions.
_KEPT = 10_000

_UNUSED = "its URL was not used in time"


class TerminalStatus(StrEnum):
    """How a session stands. Source: DescribeTerminalSessions."""

    CONNECTING = "Connecting"  #: Nobody has come by its URL yet.
    CONNECTED = "Connected"
    TERMINATED = "Terminated"
    FAILED = "Failed"  #: Somebody came, and could not be joined to the console.


class TerminalRefused(Exception):
    """The session cannot be joined; the message is for a person."""


@dataclass(frozen=True, kw_only=True)
class Terminal:
    """One session."""

    id: str
    account: str
    region: str
    instance: str
    token_hash: bytes = field(repr=False)
    created_at: float
    access_key_id: str  #: Which asked for it.
    role: Session | None = None  #: Of a key that AssumeRole gave.
    client_host: str = ""  #: Where that came from.
    status: TerminalStatus = TerminalStatus.CONNECTING
    started_at: float | None = None
    ended_at: float | None = None
    reason: str = ""  #: Why it ended.

    @property
    def is_open(self) -> bool:
        return self.ended_at is None

    def at(self, now: float) -> Terminal:
        """As it stands at that time: whose URL was not used is over."""
        if self.status is not TerminalStatus.CONNECTING or now < self.created_at + URL_S:
            return self
        ended = self.created_at + URL_S
        return replace(self, status=TerminalStatus.TERMINATED, ended_at=ended, reason=_UNUSED)


def hash_of(token: str) -> bytes:
    """What is kept of a session's token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


class Terminals:
    """All sessions since the start. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: dict[str, Terminal] = {}  #: The newest last.
        self._enders: dict[str, Callable[[str], None]] = {}  #: What ends the connection of one that is joined.

    def add(self, session: Terminal) -> None:
        """Have a session that can be joined; the oldest that are over are forgotten."""
        with self._lock:
            self._all[session.id] = session
            own = [one for one in self._all.values() if one.account == session.account]
            self._forget(own, _KEPT_OF_ACCOUNT, session.created_at)
            self._forget(list(self._all.values()), _KEPT, session.created_at)

    def find(self, session: str, now: float) -> Terminal | None:
        """The session of that ID."""
        with self._lock:
            found = self._all.get(session)
        return None if found is None else found.at(now)

    def of_account(self, account: str, region: str, now: float) -> list[Terminal]:
        """Its sessions, the newest first."""
        with self._lock:
            found = [one for one in self._all.values() if (one.account, one.region) == (account, region)]
        return [one.at(now) for one in reversed(found)]

    def join(self, session: str, token: str, now: float, end: Callable[[str], None]) -> Terminal:
        """Use the session's token, which does for one time. *end*, called on any thread, is to end the connection.

        Raises TerminalRefused, for an ID that there is not with the same words as for a wrong token.
        """
        with self._lock:
            known = self._all.get(session)
            # What is compared takes as long whether there is such a session or not.
            is_right = hmac.compare_digest(hash_of(token), hash_of("") if known is None else known.token_hash)
            if known is None or not is_right:
                raise TerminalRefused("There is no such session, or this is not its token.")
            if known.started_at is not None:
                raise TerminalRefused("The session was joined before: its URL is good for one time.")
            if not known.at(now).is_open:
                raise TerminalRefused("The session is over: its URL is good for ten minutes, or until it is ended.")
            connected = [one for one in self._all.values() if one.status is TerminalStatus.CONNECTED]
            if sum(one.instance == known.instance for one in connected) >= MOST_CONNECTED:
                raise TerminalRefused(f"{MOST_CONNECTED} sessions are joined to {known.instance} already.")
            joined = replace(known, status=TerminalStatus.CONNECTED, started_at=now)
            self._all[session] = joined
            self._enders[session] = end
        return joined

    def end(self, session: str, reason: str, now: float, *, has_failed: bool = False) -> None:
        """Have it be over, and its connection ended; one that is over stays as it is."""
        with self._lock:
            known = self._all.get(session)
            end = self._enders.pop(session, None)
            if known is not None and known.at(now).is_open:
                status = TerminalStatus.FAILED if has_failed else TerminalStatus.TERMINATED
                self._all[session] = replace(known, status=status, ended_at=now, reason=reason)
        if end is not None:
            end(reason)

    def _forget(self, found: list[Terminal], most: int, now: float) -> None:
        for one in found[: max(0, len(found) - most)]:
            if not one.at(now).is_open:
                self._all.pop(one.id, None)
