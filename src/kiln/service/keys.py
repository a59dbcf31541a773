"""Key pairs of accounts: made, listed, switched off and on, replaced and removed, beside a running service too.

An account may have any number of pairs of each kind, and all that are active come
in. A service that runs learns of a change within the seconds that it keeps a key.
"""

from __future__ import annotations

import secrets
import string

from kiln.ground.values import dataclass
from kiln.service.secrets import Sealer
from kiln.store import accounts
from kiln.store.accounts import Credential
from kiln.store.database import Database, Transaction

ACCESS_KEY, APP = "access_key", "app"
KINDS = (ACCESS_KEY, APP)
_LETTERS = string.ascii_letters + string.digits


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A pair in the clear, to be shown once."""

    account: str
    kind: str
    id: str
    secret: str
    active: bool = True


class KeyUnknown(LookupError):
    """No account has a key of that ID."""


class AccountUnknown(LookupError):
    """There is no account of that ID."""


class KeyKept(ValueError):
    """The key cannot be removed; the message says why."""


def known(database: Database, account: str | None = None) -> list[Credential]:
    """Every pair, or an account's, by account and kind, the oldest first. Raises AccountUnknown."""
    with database.read() as tx:
        if account is not None:
            require_account(tx, account)
        rows = accounts.credentials.all(tx, **({} if account is None else {"account": account}))
    return sorted(rows, key=lambda row: (row.account, row.kind, row.created_at, row.id))


def add(database: Database, sealer: Sealer, account: str, kind: str, now: float) -> Pair:
    """Another pair of an account. Raises AccountUnknown, SecretBroken."""

    def work(tx: Transaction) -> Pair:
        require_account(tx, account)
        require_fitting(tx, sealer)
        return insert_new(tx, sealer, account, kind, now)

    return database.write(work)


def rotate(database: Database, sealer: Sealer, key_id: str, now: float, *, is_old_disabled: bool) -> Pair:
    """A new pair beside one, of its account and kind; the old one goes on unless it is to be switched off at once.

    Both in one transaction. Raises KeyUnknown, SecretBroken.
    """

    def work(tx: Transaction) -> Pair:
        old = _require(tx, key_id)
        require_fitting(tx, sealer)
        pair = insert_new(tx, sealer, old.account, old.kind, now)
        if is_old_disabled:
            accounts.credentials.update(tx, {"active": False}, id=key_id)
        return pair

    return database.write(work)


def disable(database: Database, key_id: str) -> Credential:
    """Switch a key off; it stays known, and is told so. Raises KeyUnknown."""

    def work(tx: Transaction) -> Credential:
        row = _require(tx, key_id)
        accounts.credentials.update(tx, {"active": False}, id=key_id)
        return row

    return database.write(work)


def enable(database: Database, sealer: Sealer, key_id: str) -> Credential:
    """Switch a key on again. Raises KeyUnknown, and SecretBroken when its secret cannot be opened."""

    def work(tx: Transaction) -> Credential:
        row = _require(tx, key_id)
        sealer.open(row.sealed_secret)
        accounts.credentials.update(tx, {"active": True}, id=key_id)
        return row

    return database.write(work)


def delete(database: Database, key_id: str) -> None:
    """Remove a key that is switched off. Raises KeyUnknown, and KeyKept of any other and of the last of its kind."""

    def work(tx: Transaction) -> None:
        row = _require(tx, key_id)
        if row.active:
            raise KeyKept(f"{key_id} is active: switch it off first, and see that nobody misses it")
        if accounts.credentials.count(tx, account=row.account, kind=row.kind) == 1:
            # A start makes a pair for the first account where it has none, which whoever removed it did not ask for.
            raise KeyKept(f"{key_id} is the last of its kind that account {row.account} has: it can stay switched off")
        accounts.credentials.delete(tx, id=key_id)

    database.write(work)


def insert_new(tx: Transaction, sealer: Sealer, account: str, kind: str, now: float) -> Pair:
    """A pair that is made up now."""
    pair = Pair(account=account, kind=kind, id=_new_id(kind), secret=new_secret())
    accounts.credentials.insert(tx, to_row(sealer, account, kind, (pair.id, pair.secret), now))
    return pair


def new_secret() -> str:
    """A secret as ECS makes them."""
    return "".join(secrets.choice(_LETTERS) for _ in range(30))


def to_row(sealer: Sealer, account: str, kind: str, pair: tuple[str, str], now: float) -> Credential:
    """The row of a pair of ID and secret."""
    sealed = sealer.seal(pair[1])
    return Credential(id=pair[0], kind=kind, account=account, sealed_secret=sealed, active=True, created_at=now)


def require_account(tx: Transaction, account: str) -> None:
    """Raise AccountUnknown unless there is one of that ID."""
    if accounts.accounts.find(tx, id=account) is None:
        raise AccountUnknown(account)


def require_fitting(tx: Transaction, sealer: Sealer) -> None:
    """Raise SecretBroken unless the master key opens every active key's secret.

    Else what is sealed from now on would need one master key, and what was sealed another.
    """
    for row in accounts.credentials.all(tx, active=True):
        sealer.open(row.sealed_secret)


def _require(tx: Transaction, key_id: str) -> Credential:
    row = accounts.credentials.find(tx, id=key_id)
    if row is None:
        raise KeyUnknown(key_id)
    return row


def _new_id(kind: str) -> str:
    """An AccessKey ID as ECS makes them, with a prefix that tells whose it is; an AppKey of digits."""
    if kind == APP:
        return str(secrets.randbelow(900_000_000) + 100_000_000)
    return "LTAIKiln" + "".join(secrets.choice(_LETTERS) for _ in range(16))
