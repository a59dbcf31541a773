"""Terminal sessions: who may join which instance's console, until when, and what has become of it.

A session is joined at one process, which ends it; every process knows of it, by
its row. That its URL does for one time is decided by the statement that joins it.
"""

from __future__ import annotations

from sqlalchemy import Index, or_

from kiln.ground.values import dataclass
from kiln.store.changes import Told
from kiln.store.conditions import Condition
from kiln.store.database import Transaction
from kiln.store.order import Key, Order
from kiln.store.rows import Rows

NOUN = "terminal_session"
#: Nobody has come by its URL yet; somebody has; it is over; somebody came, and could not be joined to the console.
CONNECTING, CONNECTED, TERMINATED, FAILED = "Connecting", "Connected", "Terminated", "Failed"

URL_S = 600  #: So long after StartTerminalSession its URL can be used, once. Source: StartTerminalSession.
KEPT_OF_ACCOUNT = 1000  #: Source: DescribeTerminalSessions.
_DOOR_GONE = "the Kiln where it was joined has ended"
_DOOR_GIVEN_UP = "the others gave up the Kiln where it was joined"


@dataclass(frozen=True, kw_only=True)
class Terminal:
    """One session."""

    id: str
    account: str
    region: str
    instance: str
    status: str
    token_hash: str  #: SHA-256 in hexadecimal digits; the token itself is kept nowhere.
    created_at: float
    access_key_id: str  #: Which asked for it. This and the next four say by whose right it is joined.
    role: str  #: Of a key that AssumeRole gave; empty otherwise, like the next two.
    role_name: str
    role_parent: str
    role_expires_at: float
    client_host: str  #: Where that came from.
    started_at: float | None
    ended_at: float | None
    reason: str  #: Why it ended.
    door: str  #: The ID of the process at which it was joined; empty where one process is all that there is.


terminals: Rows[Terminal] = Rows(
    "terminals",
    Terminal,
    told=Told(NOUN, is_shown=False),
    indexes=[
        Index("terminals_list", "account", "region", "created_at", "id"),
        Index("terminals_status", "status", "instance"),
    ],
)

NEWEST: Order = (
    Key(terminals.c.created_at, lambda row: row.created_at, float, falls=True),
    Key(terminals.c.id, lambda row: row.id, falls=True),
)


def is_open(now: float) -> Condition:
    """The condition that a session is joined, or can be."""
    return or_(
        terminals.c.status == CONNECTED,
        (terminals.c.status == CONNECTING) & (terminals.c.created_at > now - URL_S),
    )


def add(tx: Transaction, session: Terminal) -> None:
    """Have a session that can be joined; the oldest of its account that are over are forgotten."""
    beyond = terminals.page(tx, order=NEWEST, limit=1, offset=KEPT_OF_ACCOUNT - 1, account=session.account)
    if beyond:
        is_old = terminals.c.created_at <= beyond[0].created_at
        terminals.delete(tx, is_old, ~is_open(session.created_at), account=session.account)
    terminals.insert(tx, session)


def join(tx: Transaction, session: str, token_hash: str, door: str, now: float) -> bool:
    """Record that somebody has come by a session's URL; False where somebody has before, or it is over."""
    changes = {"status": CONNECTED, "started_at": now, "door": door}
    return terminals.update(tx, changes, id=session, status=CONNECTING, token_hash=token_hash) > 0


def end(tx: Transaction, session: str, reason: str, now: float, *, has_failed: bool = False) -> None:
    """Record that a session is over; one that is stays as it is."""
    changes = {"status": FAILED if has_failed else TERMINATED, "ended_at": now, "reason": reason}
    for before in (CONNECTING, CONNECTED):
        terminals.update(tx, changes, id=session, status=before)


def is_any_joined(tx: Transaction, door: str) -> bool:
    """Whether ``door_gone`` would change something."""
    return terminals.count(tx, status=CONNECTED, door=door) > 0


def door_gone(tx: Transaction, door: str, now: float, *, is_given_up: bool = False) -> None:
    """Record that the sessions are over that were joined at a process which has ended, or *is_given_up*."""
    changes = {"status": TERMINATED, "ended_at": now, "reason": _DOOR_GIVEN_UP if is_given_up else _DOOR_GONE}
    for one in terminals.all(tx, status=CONNECTED, door=door):
        terminals.update(tx, changes, id=one.id, status=CONNECTED)
