"""Hashes and keyed hashes by name.

SM3 (GB/T 32905) comes from ``cryptography``: Python's own hashlib has it only
where its OpenSSL was built with it.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Literal

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hmac import HMAC

Hash = Literal["sha1", "sha256", "sm3"]


def digest(kind: Hash, data: bytes) -> bytes:
    """The plain hash of *data*."""
    if kind == "sm3":
        state = hashes.Hash(hashes.SM3())
        state.update(data)
        return state.finalize()
    return hashlib.new(kind, data).digest()


def keyed(kind: Hash, key: bytes, data: bytes) -> bytes:
    """The HMAC of *data*."""
    if kind == "sm3":
        state = HMAC(key, hashes.SM3())
        state.update(data)
        return state.finalize()
    return hmac.digest(key, data, kind)
