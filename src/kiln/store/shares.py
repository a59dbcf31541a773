"""With whom an image is shared: other accounts, who see it and may use it for as long as its owner has it so."""

from __future__ import annotations

from sqlalchemy import Index

from kiln.ground.values import dataclass
from kiln.store.database import Transaction
from kiln.store.order import Key, Order
from kiln.store.rows import Recorded, Rows


@dataclass(frozen=True, kw_only=True)
class ImageShare:
    """That an account may use an image of another."""

    image: str
    account: str  #: Who may use it.
    shared_at: float


image_shares: Rows[ImageShare] = Rows(
    "image_shares",
    ImageShare,
    key=("image", "account"),
    recorded=Recorded("image", "image"),
    indexes=[Index("image_shares_account", "account")],
)

#: As they were shared; those of one call by account.
OLDEST: Order = (
    Key(image_shares.c.shared_at, lambda row: row.shared_at, float),
    Key(image_shares.c.account, lambda row: row.account),
)


def is_receiver(tx: Transaction, account: str) -> bool:
    """Whether anything at all is shared with the account."""
    return image_shares.count(tx, account=account) > 0


def is_shared_with(tx: Transaction, image: str, account: str) -> bool:
    """Whether the account may use the image of another."""
    return image_shares.find(tx, image=image, account=account) is not None
