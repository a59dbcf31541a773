"""The first account and its keys, and who may come in at the doors."""

from __future__ import annotations

import secrets
import string
import threading
import time

from kiln.calls.sessions import from_text, may_be_token
from kiln.ground.clock import Clock
from kiln.ground.values import dataclass
from kiln.service.errors import SecretBroken, SettingRefused
from kiln.service.keys import ACCESS_KEY, APP, KINDS, insert_new, require_account, require_fitting, to_row
from kiln.service.secrets import Sealer
from kiln.service.settings import Settings
from kiln.store import accounts
from kiln.store.accounts import Account, ResourceGroup, User
from kiln.store.database import Database, Transaction
from kiln.store.instances import instances
from kiln.wire.key import Key

KEPT_S = 5.0  #: For so long a service goes on with what it knows of a key.
_Pair = tuple[str, str]  #: ID and secret.

_ANY: _Pair = ("", "")  #: As the pair that is wanted: whichever is there.


@dataclass(frozen=True, kw_only=True)
class Keys:
    """The keys of one account, in the clear; an empty pair of a kind of which none is active."""

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


def has_secrets(database: Database) -> bool:
    """Whether a master key has sealed anything that opens the doors."""
    with database.read() as tx:
        return accounts.credentials.count(tx) > 0


def ensure_first_account(database: Database, sealer: Sealer, settings: Settings, now: float) -> Keys:
    """Make the first account and its keys at the first start; keys that the settings name are put beside them.

    Where all that is done already, nothing is written. One that the settings name
    and that was switched off stays so. Raises DatabaseFull, SettingRefused for a
    key that is another account's, and SecretBroken unless the master key fits.
    """
    with database.read() as tx:
        require_fitting(tx, sealer)
    wanted_key = (settings.server_access_key_id, settings.server_access_key_secret)
    wanted_app = (settings.server_app_key, settings.server_app_secret)
    known = known_keys(database, sealer, settings)
    if known is not None and known.has(wanted_key, wanted_app):
        return known

    def work(tx: Transaction) -> Keys:
        first = accounts.first_account(tx)
        account = first.id if first else _new_account(tx, now)
        key, is_key_new = _ensure(tx, sealer, account, ACCESS_KEY, wanted=wanted_key, now=now)
        app, is_app_new = _ensure(tx, sealer, account, APP, wanted=wanted_app, now=now)
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
        key = _known(tx, sealer, account.id, ACCESS_KEY, settings.server_access_key_id)
        app = _known(tx, sealer, account.id, APP, settings.server_app_key)
    return None if key is None or app is None else Keys.of(account.id, key, app, are_new=False)


def _known(tx: Transaction, sealer: Sealer, account: str, kind: str, wanted: str) -> _Pair | None:
    """The account's pair of that ID, else its oldest of that kind; of none that is active _ANY; of none at all None."""
    rows = accounts.credentials.all(tx, account=account, kind=kind)
    active = sorted((row for row in rows if row.active), key=lambda row: (row.id != wanted, row.created_at, row.id))
    if active:
        return active[0].id, sealer.open(active[0].sealed_secret)
    return _ANY if rows else None


def add_account(database: Database, sealer: Sealer, name: str, now: float) -> Keys:
    """Another account with keys of its own."""

    def work(tx: Transaction) -> Keys:
        require_fitting(tx, sealer)
        account = _new_account(tx, now, name)
        key, _ = _ensure(tx, sealer, account, ACCESS_KEY, wanted=_ANY, now=now)
        app, _ = _ensure(tx, sealer, account, APP, wanted=_ANY, now=now)
        return Keys.of(account, key, app, are_new=True)

    return database.write(work)


def keys_where_none_are(database: Database, sealer: Sealer, settings: Settings, now: float) -> list[Keys]:
    """Make keys for every account that has none, those that the settings name for the first; they are shown once."""
    with database.read() as tx:
        has = {(row.account, row.kind) for row in accounts.credentials.all(tx)}
        bare = [
            account.id for account in accounts.accounts.all(tx) if not {(account.id, kind) for kind in KINDS} <= has
        ]
        first = accounts.first_account(tx)

    def work(tx: Transaction, account: str) -> Keys:
        key, _ = _ensure(tx, sealer, account, ACCESS_KEY, wanted=_ANY, now=now)
        app, _ = _ensure(tx, sealer, account, APP, wanted=_ANY, now=now)
        return Keys.of(account, key, app, are_new=True)

    made = []
    for account in bare:
        if first is not None and account == first.id:
            made.append(ensure_first_account(database, sealer, settings, now))
        else:
            made.append(database.write(lambda tx, account=account: work(tx, account)))  # type: ignore[misc]
    return made


class AlreadyThere(ValueError):
    """The account has a user or a resource group of that name; the message says so."""


def names(database: Database) -> dict[str, str]:
    """The name of every account, by its ID."""
    with database.read() as tx:
        return {account.id: account.name for account in accounts.accounts.all(tx)}


def add_user(database: Database, account: str, email: str) -> None:
    """Name a user of an account. Raises AccountUnknown, AlreadyThere."""

    def work(tx: Transaction) -> None:
        require_account(tx, account)
        if accounts.users.find(tx, account=account, email=email) is not None:
            raise AlreadyThere(f"account {account} has a user {email} already")
        accounts.users.insert(tx, User(account=account, email=email))

    database.write(work)


def add_resource_group(database: Database, account: str, group: str) -> None:
    """Make a resource group of an account. Raises AccountUnknown, AlreadyThere."""

    def work(tx: Transaction) -> None:
        require_account(tx, account)
        if accounts.resource_groups.find(tx, account=account, id=group) is not None:
            raise AlreadyThere(f"account {account} has a resource group {group} already")
        accounts.resource_groups.insert(tx, ResourceGroup(id=group, account=account, name=group))

    database.write(work)


def _new_account(tx: Transaction, now: float, name: str = "first") -> str:
    account = "1" + "".join(secrets.choice(string.digits) for _ in range(15))
    accounts.accounts.insert(tx, Account(id=account, name=name, created_at=now))
    return account


def _ensure(
    tx: Transaction, sealer: Sealer, account: str, kind: str, *, wanted: _Pair, now: float
) -> tuple[_Pair, bool]:
    """The pair of that kind, and whether it was made up just now."""
    if wanted != _ANY and _put(tx, sealer, account, kind, wanted=wanted, now=now):
        return wanted, False
    known = _known(tx, sealer, account, kind, "")
    if known is not None:
        return known, False
    made = insert_new(tx, sealer, account, kind, now)
    return (made.id, made.secret), True


def _put(tx: Transaction, sealer: Sealer, account: str, kind: str, *, wanted: _Pair, now: float) -> bool:
    """Have the account come in with a pair from the settings, unless that was switched off; whether it does.

    Nothing is written when it does already.
    """
    before = accounts.credentials.find(tx, id=wanted[0])
    if before is not None:
        if (before.account, before.kind) != (account, kind):
            # A shell that was set up for one account, or a slip, must not take another account's key away.
            raise SettingRefused(f"the key {wanted[0]} is another account's, and cannot be the first account's too")
        if not before.active:
            return False
        if sealer.open(before.sealed_secret) == wanted[1]:
            return True
        accounts.credentials.delete(tx, id=wanted[0])
    accounts.credentials.insert(tx, to_row(sealer, account, kind, wanted, now))
    return True


def switched_off(database: Database, settings: Settings) -> list[str]:
    """The keys that the settings name and that let nobody in, since they were switched off."""
    named = (settings.server_access_key_id, settings.server_app_key)
    with database.read() as tx:
        rows = [accounts.credentials.find(tx, id=one) for one in named if one]
    return [row.id for row in rows if row is not None and not row.active]


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
        return self._key(ACCESS_KEY, key_id)

    def session(self, token: str) -> Key | None:
        """The key of that token, which alone holds it; None of what this master key has not sealed as one."""
        try:
            found = from_text(self._sealer.open(token)) if may_be_token(token) else None
        except SecretBroken:
            return None
        if found is None:
            return None
        return Key(id=found.key_id, secret=found.secret, account_id=found.account, session=found.session)

    def app(self, app_key: str) -> Key | None:
        """The application of that AppKey."""
        return self._key(APP, app_key)

    def instance(self, instance_id: str, role: str) -> Key | None:
        """The instance of that ID, while it is there and has that role, as it was given."""
        with self._database.read() as tx:
            row = instances.find(tx, id=instance_id)
        if row is None or not role or row.ram_role_given != role:
            return None
        return Key(id=row.id, secret="", account_id=row.account)

    def users(self, account_id: str) -> frozenset[str]:
        """Mail addresses of the users configured for the account."""
        now = self._clock()
        kept = self._users.get(account_id)
        if kept is None or kept[0] < now:
            with self._database.read() as tx:
                found = frozenset(user.email for user in accounts.users.all(tx, account=account_id))
            kept = self._users[account_id] = (now + KEPT_S, found)
        return kept[1]

    def _key(self, kind: str, key_id: str) -> Key | None:
        now = self._clock()
        kept = self._keys.get((kind, key_id))
        if kept is not None and kept[0] > now:
            return kept[1]
        if not key_id.isprintable():  # PostgreSQL takes no NUL, and no ID has one.
            return None
        with self._database.read() as tx:
            row = accounts.credentials.find(tx, id=key_id, kind=kind)
        if row is None:
            # Unknown IDs are not kept: anybody can make up any number of them.
            return None
        # Nothing is proven with a key that is switched off, so it is told to be that also where its secret is lost.
        secret = self._sealer.open(row.sealed_secret) if row.active else ""
        key = Key(id=row.id, secret=secret, account_id=row.account, active=row.active)
        with self._lock:
            self._keys[(kind, key_id)] = (now + KEPT_S, key)
        return key
