"""Keys for a while: a role of an account, taken by one of its AccessKeys or instances, and the token that says so.

The token is the session: sealed as secrets are, it holds the key, its secret,
whose it is and until when. So nothing is kept of it, a restart ends none, and
whoever has no master key can neither read nor make one. With the AccessKey that
asked for it, or the role of the instance that it was made for, it goes.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import string

from kiln.ground.values import dataclass

#: By which a session's AccessKey ID is told from others.
PREFIX = "STS."

#: How roles are called. Every one of an account's is there, and may do what the account may.
ROLE_NAME = "[A-Za-z0-9.-]{1,64}"

_MARK = "session:1:"  #: Before what is sealed: no other secret begins so.
_LONGEST_TOKEN = 4096
_INSTANCE = "instance/"
_LETTERS = string.ascii_letters + string.digits


@dataclass(frozen=True, kw_only=True)
class Session:
    """A role that was taken."""

    role: str
    name: str  #: Who took it, in the words of who did.
    parent: str  #: The AccessKey that asked for it, or ``of_instance``.
    expires_at: float

    @property
    def instance(self) -> str:
        """The instance whose role it is; empty where an AccessKey has taken it."""
        return self._given[0]

    @property
    def instance_role(self) -> str:
        """The role that this instance has to have still, as it was given; its guest may have taken another with it."""
        return self._given[1]

    @property
    def _given(self) -> tuple[str, str]:
        if not self.parent.startswith(_INSTANCE):
            return "", ""
        instance, _, role = self.parent.removeprefix(_INSTANCE).partition("/")
        return instance, role

    def role_id(self, account: str) -> str:
        """What the service would number the role by: the same for the same role."""
        digest = hashlib.sha256(f"{account}/{self.role}".encode()).digest()
        return f"3{int.from_bytes(digest[:8]) % 10**16:016}"


@dataclass(frozen=True, kw_only=True)
class SessionKey:
    """What a token holds."""

    key_id: str
    secret: str
    account: str
    session: Session


def of_instance(instance: str, role: str) -> str:
    """What the ``parent`` of a session is that an instance began; *role* is its role as it was given."""
    return f"{_INSTANCE}{instance}/{role}"


def new_key(account: str, session: Session) -> SessionKey:
    """A key of its own for a session."""
    return SessionKey(key_id=PREFIX + _letters(24), secret=_letters(32), account=account, session=session)


def to_text(key: SessionKey) -> str:
    """What is to be sealed."""
    held = (key.key_id, key.secret, key.account, *_members(key.session))
    return _MARK + json.dumps(held)


def _members(session: Session) -> tuple[str, str, str, float]:
    return session.role, session.name, session.parent, session.expires_at


def may_be_token(token: str) -> bool:
    """Whether it is worth opening."""
    return token.isascii() and len(token) <= _LONGEST_TOKEN


def from_text(text: str) -> SessionKey | None:
    """What was sealed; None of another secret, or of a later version's."""
    if not text.startswith(_MARK):
        return None
    key_id, secret, account, role, name, parent, expires_at = json.loads(text.removeprefix(_MARK))
    session = Session(role=role, name=name, parent=parent, expires_at=expires_at)
    return SessionKey(key_id=key_id, secret=secret, account=account, session=session)


def _letters(count: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(count))
