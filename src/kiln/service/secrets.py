"""Secrets at rest: sealed with a master key that lies beside the database, readable by its owner alone.

AES-256-GCM with a fresh nonce for each secret; the text is ``v1:`` and base64 of
nonce and ciphertext. Losing the master key loses the secrets, nothing else.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
import uuid
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kiln.declare.killpoints import reach
from kiln.service.errors import SecretBroken

_KEY_BYTES = 32
_NONCE_BYTES = 12
_DRAFT = re.compile(r"\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Sealer:
    """Seals and opens secrets with one master key."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    @classmethod
    def in_folder(cls, folder: Path) -> Sealer:
        """The sealer of the data folder, whose key is made at the first call. Raises SecretBroken."""
        path = folder / "master.key"
        if not path.exists():
            _make_key(path)
        for draft in folder.glob(f"{path.name}.*"):
            if _DRAFT.fullmatch(draft.suffix):  # A copy that somebody made of the key is none of ours.
                draft.unlink(missing_ok=True)
        try:
            key = path.read_bytes()
        except OSError as error:
            raise SecretBroken(f"{path}: {error.strerror}") from error
        if len(key) != _KEY_BYTES:
            raise SecretBroken(f"{path} has {len(key)} bytes, and a master key has {_KEY_BYTES}")
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


def _make_key(path: Path) -> None:
    """Put a new key at *path*, whole or not at all: with half a key, no later start could open what was sealed.

    The key of whoever was quicker stays.
    """
    draft = path.with_name(f"{path.name}.{uuid.uuid4()}")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        os.write(descriptor, AESGCM.generate_key(256))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    reach("secrets.drafted")
    # Whoever was quicker has also taken our draft away.
    with contextlib.suppress(FileExistsError, FileNotFoundError):
        os.link(draft, path)
    reach("secrets.made")
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
