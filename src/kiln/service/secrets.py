"""Secrets at rest: sealed with a master key that lies beside the database, readable by its owner alone.

AES-256-GCM with a fresh nonce for each secret; the text is ``v1:`` and base64 of
nonce and ciphertext. Losing the master key loses the secrets, nothing else.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12


class SecretBroken(Exception):
    """A sealed secret was changed, or was sealed with another master key."""


class Sealer:
    """Seals and opens secrets with one master key."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    @classmethod
    def in_folder(cls, folder: Path) -> Sealer:
        """The sealer of the data folder, whose key is made at the first call."""
        path = folder / "master.key"
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except FileExistsError:
            return cls(path.read_bytes())
        key = AESGCM.generate_key(256)
        try:
            os.write(descriptor, key)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return cls(key)

    def seal(self, secret: str) -> str:
        """The secret as it may be kept."""
        nonce = os.urandom(_NONCE_BYTES)
        return "v1:" + base64.b64encode(nonce + self._cipher.encrypt(nonce, secret.encode(), None)).decode()

    def open(self, sealed: str) -> str:
        """The secret itself. Raises SecretBroken."""
        raw = base64.b64decode(sealed.removeprefix("v1:"))
        try:
            return self._cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], None).decode()
        except InvalidTag:
            raise SecretBroken("a secret in the database does not fit this data folder's master.key") from None
