"""Accounts, their keys, users and resource groups. Secrets lie here sealed; only ``service.secrets`` can open them."""

from __future__ import annotations

from sqlalchemy import Index

from kiln.ground.values import dataclass
from kiln.store.database import Transaction
from kiln.store.order import Key, Order
from kiln.store.rows import Recorded, Rows


@dataclass(frozen=True, kw_only=True)
class Account:
    """Who owns."""

    id: str  #: 16 digits.
    name: str
    created_at: float


@dataclass(frozen=True, kw_only=True)
class Credential:
    """An AccessKey pair (kind ``access_key``) or an App pair (kind ``app``)."""

    id: str
    kind: str
    account: str
    sealed_secret: str
    active: bool
    created_at: float


@dataclass(frozen=True, kw_only=True)
class User:
    """A user of an account, named by UserEmail on the Apsara route."""

    account: str
    email: str


@dataclass(frozen=True, kw_only=True)
class ResourceGroup:
    """A resource group of an account."""

    id: str
    account: str
    name: str
    display_name: str = ""  #: Empty: as its name.
    created_at: float = 0.0  #: 0 of those from before this was kept.


accounts: Rows[Account] = Rows("accounts", Account, recorded=Recorded("account"))
credentials: Rows[Credential] = Rows("credentials", Credential, indexes=[Index("credentials_account", "account")])
users: Rows[User] = Rows("users", User, key=("account", "email"), recorded=Recorded("account", "account"))
resource_groups: Rows[ResourceGroup] = Rows(
    "resource_groups", ResourceGroup, key=("account", "id"), recorded=Recorded("account", "account")
)

_OLDEST: Order = (
    Key(accounts.c.created_at, lambda row: row.created_at, float),
    Key(accounts.c.id, lambda row: row.id),
)


def first_account(tx: Transaction) -> Account | None:
    """The account made before all others, whose keys the settings name; None before the first start.

    IDs are random, so it is told by its age; by the ID only between two of the same instant.
    """
    return next(iter(accounts.page(tx, order=_OLDEST, limit=1)), None)
