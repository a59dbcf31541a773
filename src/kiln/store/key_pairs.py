"""Key pairs for ssh: their public halves. The private half of one is told to whoever makes it, and never kept.

An instance names its key pair, by the name that it has in the account and region.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Index, select

from kiln.ground.values import dataclass
from kiln.store.database import Transaction
from kiln.store.instances import instances
from kiln.store.order import Order, newest_first
from kiln.store.rows import Recorded, Rows


@dataclass(frozen=True, kw_only=True)
class KeyPair:
    """One key pair. Empty text means: not given."""

    id: str
    account: str
    region: str
    name: str
    public_key: str  #: A line as in ``authorized_keys``, without options.
    fingerprint: str  #: MD5 of the key's bytes, in pairs of digits with colons between them.
    resource_group: str
    created_at: float


key_pairs: Rows[KeyPair] = Rows(
    "key_pairs",
    KeyPair,
    recorded=Recorded("keypair"),
    indexes=[Index("key_pairs_name", "account", "region", "name", unique=True)],
)

NEWEST: Order = newest_first(key_pairs.c)


def attached(tx: Transaction, account: str, region: str, names: Sequence[str]) -> set[str]:
    """Those of the names that instances of the account in the region have."""
    c = instances.c
    statement = select(c.key_pair).where(c.account == account, c.region == region, c.key_pair.in_(names)).distinct()
    return {row[0] for row in tx.execute(statement)}
