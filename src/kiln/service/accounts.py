"""The first account and its keys, and who may come in at the doors."""

from __future__ import annotations

import secrets
import string
import threading
import time
from dataclasses import dataclass

from kiln.declare.clock import Clock
from kiln.service.secrets import Sealer
from kiln.service.settings import SettingRefused, Settings
from kiln.store import accounts
from kiln.store.accounts import Account, Credential, ResourceGroup, User
from kiln.store.database import Database, Transaction
from kiln.wire.doors.door import Key

_LETTERS = string.ascii_letters + string.digits
_KEPT_SECONDS = 5.0
_Pair = tuple[str, str]  #: ID and secret.

_ANY: _Pair = ("", "")  #: As the pair that is wanted: whichever is there.


@dataclass(frozen=True, kw_only=True)
class Keys:
    """The keys of one account, in the clear."""

    account: str
    access_key_id: str
    access_key_secret: str
    app_key: str
    app_secret: str
    are_new: bool  #: Made just now, and never shown before.

    @classmethod
    def of(cls, account: str, key: _Pair, app: _Pair, *, are_new: bool) -> Keys:
        """The keys in these pairs of an AccessKey and of an app."""
        return cls(
            account=account,
            access_key_id=key[0],
            access_key_secret=key[1],
            app_key=app[0],
            app_secret=app[1],
            are_new=are_new,
        )

    def has(self, key: _Pair, app: _Pair) -> bool:
        """Whether these pairs, as far as they are named, are among them."""
        mine = (self.access_key_id, self.access_key_secret), (self.app_key, self.app_secret)
        return all(wanted in (_ANY, own) for wanted, own in zip((key, app), mine, strict=True))


def ensure_first_account(database: Database, sealer: Sealer, settings: Settings, now: float) -> Keys:
    """Make the first account and its keys at the first start; keys that the settings name are put beside them.

    Where all that is done already, nothing is written. Raises DatabaseFull, and
    SettingRefused for a key that is another account's.
    """
    wanted_key = (settings.server_access_key_id, settings.server_access_key_secret)
    wanted_app = (settings.server_app_key, settings.server_app_secret)
    known = known_keys(database, sealer, settings)
    if known is not None and known.has(wanted_key, wanted_app):
        return known

    def work(tx: Transaction) -> Keys:
        first = accounts.first_account(tx)
        account = first.id if first else _new_account(tx, now)
        key, is_key_new = _ensure(tx, sealer, account, "access_key", wanted=wanted_key, now=now)
        app, is_app_new = _ensure(tx, sealer, account, "app", wanted=wanted_app, now=now)
        return Keys.of(account, key, app, are_new=is_key_new or is_app_new)

    return database.write(work)


def known_keys(database: Database, sealer: Sealer, settings: Settings) -> Keys | None:
    """The first account's keys as they are, those that the settings name before its others; None before a first start.

    Changes nothing, whatever secrets the settings hold.
    """
    with database.read() as tx:
        account = accounts.first_account(tx)
        if account is None:
            return None
        key = _known(tx, sealer, account.id, "access_key", settings.server_access_key_id)
        app = _known(tx, sealer, account.id, "app", settings.server_app_key)
    return None if key is None or app is None else Keys.of(account.id, key, app, are_new=False)


def _known(tx: Transaction, sealer: Sealer, account: str, kind: str, wanted: str) -> _Pair | None:
    """The account's pair of that ID, else any of its pairs of that kind."""
    rows = accounts.credentials.all(tx, account=account, kind=kind, active=True)
    rows.sort(key=lambda row: row.id != wanted)
    return (rows[0].id, sealer.open(rows[0].sealed_secret)) if rows else None


def add_account(database: Database, sealer: Sealer, name: str, now: float) -> Keys:
    """Another account with keys of its own."""

    def work(tx: Transaction) -> Keys:
        account = _new_account(tx, now, name)
        key, _ = _ensure(tx, sealer, account, "access_key", wanted=_ANY, now=now)
        app, _ = _ensure(tx, sealer, account, "app", wanted=_ANY, now=now)
        return Keys.of(account, key, app, are_new=True)

    return database.write(work)


def keys_where_none_are(database: Database, sealer: Sealer, settings: Settings, now: float) -> list[Keys]:
    """Make keys for every account that has none, those that the settings name for the first; they are shown once."""
    with database.read() as tx:
        has = {(row.account, row.kind) for row in accounts.credentials.all(tx, active=True)}
        bare = [
            account.id
            for account in accounts.accounts.all(tx)
            if not {(account.id, "access_key"), (account.id, "app")} <= has
        ]
        first = accounts.first_account(tx)

    def work(tx: Transaction, account: str) -> Keys:
        key, _ = _ensure(tx, sealer, account, "access_key", wanted=_ANY, now=now)
        app, _ = _ensure(tx, sealer, account, "app", wanted=_ANY, now=now)
        return Keys.of(account, key, app, are_new=True)

    made = []
    for account in bare:
        if first is not None and account == first.id:
            made.append(ensure_first_account(database, sealer, settings, now))
        else:
            made.append(database.write(lambda tx, account=account: work(tx, account)))  # type: ignore[misc]
    return made


class AccountUnknown(LookupError):
    """There is no account of that ID."""


class AlreadyThere(ValueError):
    """The account has a user or a resource group of that name; the message says so."""


def names(database: Database) -> dict[str, str]:
    """The name of every account, by its ID."""
    with database.read() as tx:
        return {account.id: account.name for account in accounts.accounts.all(tx)}


def add_user(database: Database, account: str, email: str) -> None:
    """Name a user of an account. Raises AccountUnknown, AlreadyThere."""

    def work(tx: Transaction) -> None:
        _require(tx, account)
        if accounts.users.find(tx, account=account, email=email) is not None:
            raise AlreadyThere(f"account {account} has a user {email} already")
        accounts.users.insert(tx, User(account=account, email=email))

    database.write(work)


def add_resource_group(database: Database, account: str, group: str) -> None:
    """Make a resource group of an account. Raises AccountUnknown, AlreadyThere."""

    def work(tx: Transaction) -> None:
        _require(tx, account)
        if accounts.resource_groups.find(tx, account=account, id=group) is not None:
            raise AlreadyThere(f"account {account} has a resource group {group} already")
        accounts.resource_groups.insert(tx, ResourceGroup(id=group, account=account, name=group))

    database.write(work)


def _require(tx: Transaction, account: str) -> None:
    if accounts.accounts.find(tx, id=account) is None:
        raise AccountUnknown(account)


def _new_account(tx: Transaction, now: float, name: str = "first") -> str:
    account = "1" + "".join(secrets.choice(string.digits) for _ in range(15))
    accounts.accounts.insert(tx, Account(id=account, name=name, created_at=now))
    return account


def _ensure(
    tx: Transaction, sealer: Sealer, account: str, kind: str, *, wanted: _Pair, now: float
) -> tuple[_Pair, bool]:
    """The pair of that kind, and whether it was made up just now."""
    if wanted == _ANY:
        known = _known(tx, sealer, account, kind, "")
        if known is not None:
            return known, False
    else:
        _put(tx, sealer, account, kind, wanted=wanted, now=now)
        return wanted, False
    pair = (_new_id(kind), "".join(secrets.choice(_LETTERS) for _ in range(30)))
    accounts.credentials.insert(tx, _row(sealer, account, kind, pair, now))
    return pair, True


def _put(tx: Transaction, sealer: Sealer, account: str, kind: str, *, wanted: _Pair, now: float) -> None:
    """Have the account come in with a pair from the settings; nothing is written when it does already."""
    before = accounts.credentials.find(tx, id=wanted[0])
    if before is not None:
        if (before.account, before.kind) != (account, kind):
            # A shell that was set up for one account, or a slip, must not take another account's key away.
            raise SettingRefused(f"the key {wanted[0]} is another account's, and cannot be the first account's too")
        if before.active and sealer.open(before.sealed_secret) == wanted[1]:
            return
        accounts.credentials.delete(tx, id=wanted[0])
    accounts.credentials.insert(tx, _row(sealer, account, kind, wanted, now))


def _row(sealer: Sealer, account: str, kind: str, pair: _Pair, now: float) -> Credential:
    sealed = sealer.seal(pair[1])
    return Credential(id=pair[0], kind=kind, account=account, sealed_secret=sealed, active=True, created_at=now)


def _new_id(kind: str) -> str:
    """An AccessKey ID as ECS makes them, with a prefix that tells whose it is; an AppKey of digits."""
    if kind == "app":
        return str(secrets.randbelow(900_000_000) + 100_000_000)
    return "LTAIKiln" + "".join(secrets.choice(_LETTERS) for _ in range(16))


class StoredCredentials:
    """Looks keys up for the doors. What was found is kept for a few seconds, so that most requests cost no SQL.

    *clock* is a steady one: a key that was switched off must not go on because the time was set back.
    """

    def __init__(self, database: Database, sealer: Sealer, clock: Clock = time.monotonic) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock
        self._keys: dict[tuple[str, str], tuple[float, Key]] = {}
        self._users: dict[str, tuple[float, frozenset[str]]] = {}
        self._lock = threading.Lock()

    def access_key(self, key_id: str) -> Key | None:
        """The AccessKey of that ID."""
        return self._key("access_key", key_id)

    def app(self, app_key: str) -> Key | None:
        """The application of that AppKey."""
        return self._key("app", app_key)

    def users(self, account_id: str) -> frozenset[str]:
        """Mail addresses of the users configured for the account."""
        now = self._clock()
        kept = self._users.get(account_id)
        if kept is None or kept[0] < now:
            with self._database.read() as tx:
                found = frozenset(user.email for user in accounts.users.all(tx, account=account_id))
            kept = self._users[account_id] = (now + _KEPT_SECONDS, found)
        return kept[1]

    def _key(self, kind: str, key_id: str) -> Key | None:
        now = self._clock()
        kept = self._keys.get((kind, key_id))
        if kept is not None and kept[0] > now:
            return kept[1]
        with self._database.read() as tx:
            row = accounts.credentials.find(tx, id=key_id, kind=kind)
        if row is None:
            # Unknown IDs are not kept: anybody can make up any number of them.
            return None
        key = Key(id=row.id, secret=self._sealer.open(row.sealed_secret), account_id=row.account, active=row.active)
        with self._lock:
            self._keys[(kind, key_id)] = (now + _KEPT_SECONDS, key)
        return key
