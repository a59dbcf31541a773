"""What proves who asks. It is apart from the doors, so that who looks after keys does not load all operations."""

from __future__ import annotations

from dataclasses import field

from kiln.calls.sessions import Session
from kiln.ground.values import dataclass


@dataclass(frozen=True, kw_only=True)
class Key:
    """An AccessKey, or an app of the Apsara route: who it belongs to, and what it signs with."""

    id: str
    secret: str = field(repr=False)
    account_id: str
    active: bool = True
    session: Session | None = None  #: Of a key of a role, which nobody keeps.
