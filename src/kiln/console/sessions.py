"""Who has signed in: by a link that does once, or by an AccessKey. All of it is in memory, and ends with the server.

A session keeps the pair of keys, as any client does, and calls the API with it;
the browser has a random name for the session and never the pair. Names and
links are kept by their hash alone.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import field
from typing import NamedTuple

from kiln.client.client import Client
from kiln.client.parameters import ParameterRefused
from kiln.console.attempts import Attempts
from kiln.ground.clock import Clock
from kiln.ground.units import KiB
from kiln.ground.values import dataclass

COOKIE = "kiln_session"  #: By which a browser is known.
LINK_S = 3600  #: So long a link can be used, once.
IDLE_S = 2 * 3600  #: So long a session lives that asks for nothing.
LONGEST_S = 12 * 3600
MOST = 64  #: Sessions; another one takes the place of one of the account that has most: of what was idle longest.
_MOST_NOTICES = 5
_MOST_HELD = 8  #: Forms whose secrets are kept for one session, and their letters of each:
_LONGEST_HELD = 64 * KiB  #: The longest that an action takes, UserData, has 44 KiB.


#: Codes that say that a pair of keys is wrong, or will not do any more.
KEYS_GONE = ("InvalidAccessKeyId.NotFound", "InvalidAccessKeyId.Inactive", "SignatureDoesNotMatch")


class Keys(NamedTuple):
    """An AccessKey."""

    id: str
    secret: str


class Link(NamedTuple):
    """What a link signs in with."""

    keys: Keys
    until: float
    is_operators: bool  #: Whether it is for who reads the service's log or its files, and not for a key's owner alone.


class Who(NamedTuple):
    """Whose keys they are, as GetCallerIdentity says."""

    account: str
    arn: str


@dataclass
class Session:
    """One browser that has signed in."""

    client: Client
    who: Who
    region: str
    began_at: float
    seen_at: float
    key_id: str
    regions: tuple[str, ...] = ()  #: Those that there are.
    is_operators: bool = False  #: Whether it was signed in by such a link.
    notices: deque[str] = field(default_factory=lambda: deque(maxlen=_MOST_NOTICES))  #: To be said on the next page.
    held: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)
    """Secrets that were typed into a form which is to be sent once more, by the form's own token: no page has them."""
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)  #: Makes the tokens of forms.

    def hold(self, form: str, typed: dict[str, str]) -> dict[str, str]:
        """The secrets of a form: those that are *typed* now, and those that were before; of a few forms.

        Raises ParameterRefused for longer ones than any action takes: they would lie in memory as long as the session.
        """
        kept = {**self.held.pop(form, {}), **typed}
        if sum(map(len, (form, *kept, *kept.values()))) > _LONGEST_HELD:
            raise ParameterRefused(f"the secrets of a form have {_LONGEST_HELD} letters at most")
        if kept:
            self.held[form] = kept
        while len(self.held) > _MOST_HELD:
            self.held.pop(next(iter(self.held)))
        return kept

    def form_token(self) -> str:
        """A token for a form; another one each time, so that compressed pages say nothing of it by their length."""
        salt = secrets.token_urlsafe(12)
        return f"{salt}.{self._proof(salt)}"

    def is_own(self, token: str) -> bool:
        """Whether *token* was made for a form of this session."""
        salt, _, proof = token.partition(".")
        return hmac.compare_digest(proof.encode(), self._proof(salt).encode())

    def _proof(self, salt: str) -> str:
        return hmac.new(self.secret, salt.encode(), hashlib.sha256).hexdigest()


class Sessions:
    """See the module. Used from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.attempts = Attempts(clock)  #: To sign in with a pair of keys.
        self._lock = threading.Lock()
        self._links: dict[bytes, Link] = {}
        self._sessions: dict[bytes, Session] = {}

    def make_link(self, keys: Keys, *, is_operators: bool = False) -> str:
        """A token that signs in with *keys*, once, within ``LINK_S``; *is_operators* as a ``Link`` has it."""
        token, now = secrets.token_urlsafe(24), self._clock()
        with self._lock:
            links = {name: one for name, one in self._links.items() if one.until > now}
            if len(links) >= MOST:
                # They are in the order in which they were made.
                del links[_of_most({name: one.keys.id for name, one in links.items()})]
            self._links = {**links, _hash(token): Link(keys, now + LINK_S, is_operators)}
        return token

    def redeem(self, token: str) -> Link | None:
        """A link that was not used yet; it is used now."""
        with self._lock:
            link = self._links.pop(_hash(token), None)
        return link if link is not None and link.until > self._clock() else None

    def begin(
        self, client: Client, keys: Keys, who: Who, regions: tuple[str, ...] = (), *, is_operators: bool = False
    ) -> str:
        """A session; returns the name by which the browser is to be known."""
        name, now = secrets.token_urlsafe(24), self._clock()
        began = Session(client, who, client.region, now, now, keys.id, regions, is_operators)
        with self._lock:
            ended = [self._sessions.pop(one) for one in self._over(now)]
            self._sessions[_hash(name)] = began
        for one in ended:
            one.client.close()
        return name

    def find(self, name: str) -> Session | None:
        """The session of that name, if it lives; it has been seen now."""
        now = self._clock()
        with self._lock:
            found = self._sessions.get(_hash(name))
            if found is None or not _lives(found, now):
                return None
            found.seen_at = now
            return found

    def lives(self, name: str) -> bool:
        """Whether the session of that name lives; it is not seen by this."""
        with self._lock:
            found = self._sessions.get(_hash(name))
        return found is not None and _lives(found, self._clock())

    def end(self, name: str) -> None:
        """End a session, if there is one of that name."""
        with self._lock:
            ended = self._sessions.pop(_hash(name), None)
        if ended is not None:
            ended.client.close()

    def end_all(self) -> None:
        """End all sessions and forget all links."""
        with self._lock:
            ended = list(self._sessions.values())
            self._sessions.clear()
            self._links.clear()
        for one in ended:
            one.client.close()

    def _over(self, now: float) -> list[bytes]:
        """Those that have ended; and where there are too many, one of who has most, the one that was seen first."""
        over = [name for name, one in self._sessions.items() if not _lives(one, now)]
        if len(self._sessions) - len(over) >= MOST:
            living = {name: one for name, one in self._sessions.items() if name not in over}
            by_age = sorted(living, key=lambda name: living[name].seen_at)
            over.append(_of_most({name: living[name].who.account for name in by_age}))
        return over


def _of_most(owners: Mapping[bytes, str]) -> bytes:
    """The first of whoever owns most, so that one account's crowd sends nobody else away."""
    loudest, _ = Counter(owners.values()).most_common(1)[0]
    return next(name for name, owner in owners.items() if owner == loudest)


def _lives(session: Session, now: float) -> bool:
    return now < session.began_at + LONGEST_S and now < session.seen_at + IDLE_S


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()
