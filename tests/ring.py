"""A key ring for pools: it has every key whose ID does not begin with ``no-``."""

from __future__ import annotations

import hmac

KEY = "0d4e1c2b-7f6a-5b3c-8d9e-0a1b2c3d4e5f"


def passphrase(key, nonce, _=""):
    """The passphrase of a volume that is encrypted with the key."""
    return None if key.startswith("no-") else hmac.digest(b"secret", key.encode() + nonce, "sha256").hex()


def another(key, nonce, _=""):
    """What another ring tells, such as that of a data folder whose own was lost."""
    return hmac.digest(b"another", key.encode() + nonce, "sha256").hex()
