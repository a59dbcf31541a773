"""Who has signed in: by a link that does once, or by an AccessKey.

A session keeps the pair of keys, as any client does, and calls the API with it;
the browser has a random name for the session and never the pair. Names and
links are kept by their hash alone.

``Sessions`` is the port. ``MemorySessions`` are those of one process, and end
with it; where several processes answer they need sessions between them.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import NamedTuple, Protocol, TypeVar

from kiln.client.client import Client
from kiln.client.parameters import ParameterRefused
from kiln.console.attempts import Attempts, MemoryAttempts
from kiln.ground.clock import Clock
from kiln.ground.units import KiB
from kiln.ground.values import dataclass

COOKIE = "kiln_session"  #: By which a browser is known.
LINK_S = 3600  #: So long a link can be used, once.
IDLE_S = 2 * 3600  #: So long a session lives that asks for nothing.
LONGEST_S = 12 * 3600
MOST = 64  #: Sessions; another one takes the place of one of the account that has most: of what was idle longest.
MOST_NOTICES = 5
MOST_HELD = 8  #: Forms whose secrets are kept for one session, and their letters of each:
_LONGEST_HELD = 64 * KiB  #: The longest that an action takes, UserData, has 44 KiB.


#: Codes that say that a pair of keys is wrong, or will not do any more.
KEYS_GONE = ("InvalidAccessKeyId.NotFound", "InvalidAccessKeyId.Inactive", "SignatureDoesNotMatch")


Name = TypeVar("Name")


class Keys(NamedTuple):
    """An AccessKey."""

    id: str
    secret: str


#: Makes a client of the API with a pair of keys, which begins in a region.
OpenClient = Callable[[Keys, str], Client]


class Link(NamedTuple):
    """What a link signs in with."""

    keys: Keys
    until: float
    is_operators: bool  #: Whether it is for who reads the service's log or its files, and not for a key's owner alone.


class Who(NamedTuple):
    """Whose keys they are, as GetCallerIdentity says."""

    account: str
    arn: str


class Tenure(NamedTuple):
    """How long a session was there, and whose it is."""

    account: str
    began_at: float
    seen_at: float

    def lives(self, now: float) -> bool:
        """Whether it has not ended of silence or of age."""
        return now < self.began_at + LONGEST_S and now < self.seen_at + IDLE_S


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
    notices: deque[str] = field(default_factory=lambda: deque(maxlen=MOST_NOTICES))  #: To be said on the next page.
    held: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)
    """Secrets that were typed into a form which is to be sent once more, by the form's own token: no page has them."""
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)  #: Makes the tokens of forms.

    @property
    def tenure(self) -> Tenure:
        """Of which it depends how long it lives."""
        return Tenure(self.who.account, self.began_at, self.seen_at)

    def hold(self, form: str, typed: dict[str, str]) -> dict[str, str]:
        """The secrets of a form: those that are *typed* now, and those that were before; of a few forms.

        Raises ParameterRefused for longer ones than any action takes: they would lie in memory as long as the session.
        """
        kept = {**self.held.pop(form, {}), **typed}
        if sum(map(len, (form, *kept, *kept.values()))) > _LONGEST_HELD:
            raise ParameterRefused(f"the secrets of a form have {_LONGEST_HELD} letters at most")
        if kept:
            self.held[form] = kept
        while len(self.held) > MOST_HELD:
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


class SessionsUnavailable(Exception):
    """Where sessions are kept is not to be reached just now; the message says why."""


class Sessions(Protocol):
    """See the module. Used from any thread; all but ``known`` may wait, and raise SessionsUnavailable."""

    @property
    def attempts(self) -> Attempts:
        """To sign in with a pair of keys."""

    def attach(self, open_client: OpenClient) -> None:
        """Be told, before anything else, how a session's client is made: another process may have begun it."""

    def make_link(self, keys: Keys, *, is_operators: bool = False) -> str:
        """A token that signs in with *keys*, once, within ``LINK_S``; *is_operators* as a ``Link`` has it."""

    def redeem(self, token: str) -> Link | None:
        """A link that was not used yet; it is used now."""

    def begin(
        self, client: Client, keys: Keys, who: Who, regions: tuple[str, ...] = (), *, is_operators: bool = False
    ) -> str:
        """A session; returns the name by which the browser is to be known."""

    def known(self, name: str) -> Who | None:
        """Whose session it is as far as this process knows, at once; it may have ended elsewhere."""

    def find(self, name: str) -> Session | None:
        """The session of that name, if it lives; it has been seen now."""

    def lives(self, name: str) -> bool:
        """Whether the session of that name lives; it is not seen by this."""

    def keep(self, name: str, session: Session) -> None:
        """Have the next page find what a page has changed of a session that was found."""

    def end(self, name: str) -> None:
        """End a session, if there is one of that name."""

    def close(self) -> None:
        """End what is kept in this process alone."""


class MemorySessions:
    """Those of one process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.attempts: Attempts = MemoryAttempts(clock)
        self._lock = threading.Lock()
        self._links: dict[str, Link] = {}
        self._sessions: dict[str, Session] = {}

    def attach(self, open_client: OpenClient) -> None:
        pass  # Each has the client that it began with.

    def make_link(self, keys: Keys, *, is_operators: bool = False) -> str:
        token, now = secrets.token_urlsafe(24), self._clock()
        with self._lock:
            links = {name: one for name, one in self._links.items() if one.until > now}
            if len(links) >= MOST:
                # They are in the order in which they were made.
                del links[of_most({name: one.keys.id for name, one in links.items()})]
            self._links = {**links, hash_of(token): Link(keys, now + LINK_S, is_operators)}
        return token

    def redeem(self, token: str) -> Link | None:
        with self._lock:
            link = self._links.pop(hash_of(token), None)
        return link if link is not None and link.until > self._clock() else None

    def begin(
        self, client: Client, keys: Keys, who: Who, regions: tuple[str, ...] = (), *, is_operators: bool = False
    ) -> str:
        name, now = secrets.token_urlsafe(24), self._clock()
        began = Session(client, who, client.region, now, now, keys.id, regions, is_operators)
        with self._lock:
            tenures = {name: one.tenure for name, one in self._sessions.items()}
            ended = [self._sessions.pop(one) for one in to_be_ended(tenures, who.account, now, MOST)]
            self._sessions[hash_of(name)] = began
        for one in ended:
            one.client.close()
        return name

    def known(self, name: str) -> Who | None:
        with self._lock:
            found = self._sessions.get(hash_of(name))
        return found.who if found is not None and found.tenure.lives(self._clock()) else None

    def find(self, name: str) -> Session | None:
        now = self._clock()
        with self._lock:
            found = self._sessions.get(hash_of(name))
            if found is None or not found.tenure.lives(now):
                return None
            found.seen_at = now
            return found

    def lives(self, name: str) -> bool:
        return self.known(name) is not None

    def keep(self, name: str, session: Session) -> None:
        pass  # It is the one that is kept.

    def end(self, name: str) -> None:
        with self._lock:
            ended = self._sessions.pop(hash_of(name), None)
        if ended is not None:
            ended.client.close()

    def close(self) -> None:
        with self._lock:
            ended = list(self._sessions.values())
            self._sessions.clear()
            self._links.clear()
        for one in ended:
            one.client.close()


def to_be_ended(
    tenures: Mapping[str, Tenure], account: str, now: float, most: int, most_of_account: int | None = None
) -> list[str]:
    """Which sessions end when *account* begins one: those that are over, and where there are too many one more.

    That is the one of the account, or of who has most in all, which was seen first.
    """
    over = [name for name, one in tenures.items() if not one.lives(now)]
    living = {name: one.account for name, one in tenures.items() if one.lives(now)}
    by_age = {name: living[name] for name in sorted(living, key=lambda name: tenures[name].seen_at)}
    own = [name for name, owner in by_age.items() if owner == account]
    if most_of_account is not None and len(own) >= most_of_account:
        return [*over, own[0]]
    return [*over, of_most(by_age)] if len(living) >= most else over


def of_most(owners: Mapping[Name, str]) -> Name:
    """The first of whoever owns most, so that one account's crowd sends nobody else away."""
    loudest, _ = Counter(owners.values()).most_common(1)[0]
    return next(name for name, owner in owners.items() if owner == loudest)


def hash_of(token: str) -> str:
    """What is kept of a name or a link."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
