"""ClientTokens: what a token was first used for, and what was answered.

The row is written in the same transaction as what the call made, so a token is
bound exactly when its call took effect; a call that failed binds nothing
(ecs-api.md 4 leaves that open). Rows are kept for seven days.
"""

from __future__ import annotations

from sqlalchemy import Index

from kiln.ground.units import DAY_S
from kiln.ground.values import dataclass
from kiln.store.rows import Rows

KEPT_S = 7 * DAY_S


@dataclass(frozen=True, kw_only=True)
class Token:
    """One ClientToken of one account and action."""

    account: str
    action: str
    token: str
    digest: str  #: Of all parameters that count; the gateway makes and reads it.
    answer: str  #: JSON.
    created_at: float


tokens: Rows[Token] = Rows(
    "tokens", Token, key=("account", "action", "token"), indexes=[Index("tokens_age", "created_at")]
)
