"""The memory of used nonces that several processes have between them.

A process asks its own memory first, which bounds what one account may use, and
then the table that all of them write: a request that was used at one door is
refused at every other.
"""

from __future__ import annotations

import hashlib

from kiln.store.errors import DatabaseDown
from kiln.store.nonces import SharedNonces
from kiln.wire import marks
from kiln.wire.nonces import Nonces, Use

_KEY_MOST = 64  #: What blake2b takes.

#: Of a request that is no older the database's start is told as the host's fault: whoever signs it anew is answered.
_JUST_NOW_S = 60.0


class NoncesOfAll:
    """See the module. *key* is the same in all processes of a deployment, and nobody else's."""

    def __init__(self, own: Nonces, shared: SharedNonces, key: bytes) -> None:
        self._own, self._shared, self._key = own, shared, key[:_KEY_MOST]

    def use(self, key_id: str, nonce: str, *, at: float, now: float, account: str = "") -> Use:
        """As ``Nonces``. Raises DatabaseDown; then the nonce is used up here all the same.

        So it does for one of just before the server's start, of which nobody knows whether it was used.
        """
        use = self._own.use(key_id, nonce, at=at, now=now, account=account)
        if use is not Use.NEW:
            return use
        digest = hashlib.blake2b(f"{key_id}\0{nonce}".encode(), digest_size=marks.SIZE, key=self._key)
        is_new = self._shared.take(digest.hexdigest(), at)
        if is_new is None and now - at < _JUST_NOW_S:
            raise DatabaseDown("its server has started since this was signed")
        if is_new is None:
            return Use.FORGOTTEN
        return Use.NEW if is_new else Use.USED
