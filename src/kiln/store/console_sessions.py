"""Who has signed in at the console of a deployment whose processes share a database, and how often somebody failed to.

Of names, links, peers and keys only digests lie here. What opens anything is sealed;
only ``service.secrets`` can open it.
"""

from __future__ import annotations

from sqlalchemy import select

from kiln.ground.values import dataclass
from kiln.store.database import Transaction
from kiln.store.rows import Rows


@dataclass(frozen=True, kw_only=True)
class ConsoleSession:
    """One browser that has signed in."""

    name: str  #: SHA-256 of the name by which the browser is known.
    account: str
    sealed: str  #: What does not change: keys, and what makes the tokens of forms.
    region: str
    began_at: float
    seen_at: float  #: As of a minute ago, at most: a page writes nothing.
    notices: str = "[]"  #: To be said on the next page, as a list of JSON.
    sealed_forms: str = ""  #: Secrets that were typed into forms which are to be sent once more; empty: none.


@dataclass(frozen=True, kw_only=True)
class ConsoleLink:
    """A link that was not used yet."""

    name: str  #: SHA-256 of its token.
    key: str  #: The ID of the AccessKey that it signs in with.
    sealed: str
    until: float


@dataclass(frozen=True, kw_only=True)
class ConsoleTries:
    """How often a peer has tried a key in vain."""

    peer: str  #: SHA-256, as of the key's ID: both are texts of somebody who is not known.
    key: str
    count: int
    until: float  #: When they are forgotten.


sessions: Rows[ConsoleSession] = Rows("console_sessions", ConsoleSession, key=("name",))
links: Rows[ConsoleLink] = Rows("console_links", ConsoleLink, key=("name",))
tries: Rows[ConsoleTries] = Rows("console_tries", ConsoleTries, key=("peer", "key"))


def tenures(tx: Transaction) -> dict[str, tuple[str, float, float]]:
    """Of all sessions by their names: whose they are, when they began, and when they were seen last."""
    c = sessions.c
    found = tx.execute(select(c.name, c.account, c.began_at, c.seen_at))
    return {row.name: (row.account, row.began_at, row.seen_at) for row in found}


def end_all(tx: Transaction) -> None:
    """Have nobody be signed in, and no link be of any use."""
    sessions.delete(tx)
    links.delete(tx)


def forget(tx: Transaction, now: float, *, longest_s: float, idle_s: float) -> int:
    """Remove what is over; returns how much that was."""
    is_over = (sessions.c.began_at <= now - longest_s) | (sessions.c.seen_at <= now - idle_s)
    gone = sessions.delete(tx, is_over)
    return gone + links.delete(tx, links.c.until <= now) + tries.delete(tx, tries.c.until <= now)
