"""Secrets at rest: sealed with a master key that lies beside the database, readable by its owner alone.

AES-256-GCM with a fresh nonce for each secret; the text is ``v1:`` and base64 of
nonce and ciphertext. Losing the master key loses the secrets, nothing else:
``service.resetting`` makes new ones.

A key is made only where nothing has been sealed yet. One that is missing may be
on a file system that is not mounted, and a second one beside it would seal what
the first cannot open.
"""

from __future__ import annotations

import base64
import contextlib
import hmac
import os
import re
import uuid
from functools import cached_property
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kiln.ground.durable import sync
from kiln.ground.killpoints import reach
from kiln.ground.short_files import NotShort, read_short
from kiln.service.errors import SecretBroken

_KEY_BYTES = 32
_NONCE_BYTES = 12
_DRAFT = re.compile(r"\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Sealer:
    """Seals and opens secrets with one master key, whose file is read when the first of them is asked for.

    So whatever needs no secret goes on where the key is lost.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def in_folder(cls, folder: Path) -> Sealer:
        """The sealer of a data folder; its key need not be there."""
        return cls(folder / "master.key")

    def make_key(self) -> None:
        """Have the key be there, and take away what a killed making of one left."""
        if not self.path.exists():
            self._publish(self.draft())
        self.sweep()

    def draft(self) -> Path:
        """Write a new key beside the present one, whole and on the disk."""
        draft = self.path.with_name(f"{self.path.name}.{uuid.uuid4()}")
        descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            os.write(descriptor, AESGCM.generate_key(256))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        reach("secrets.drafted")
        return draft

    def sweep(self) -> None:
        """Remove drafts; whoever calls holds the data folder. A copy that somebody made of the key is none of ours."""
        for draft in self.path.parent.glob(f"{self.path.name}.*"):
            if _DRAFT.fullmatch(draft.suffix):
                draft.unlink(missing_ok=True)

    def set_aside(self) -> Path | None:
        """Keep the present key under another name as well; returns under which, None when there is no key.

        Raises OSError where it could not be replaced either, such as one that is mounted.
        """
        if not os.path.lexists(self.path):
            return None
        kept = self._unused()
        if self.path.is_file():
            os.link(self.path, kept)
        else:
            self.path.rename(kept)  # It is no key, so nobody misses it meanwhile.
        reach("secrets.set_aside")
        return kept

    def replace(self, draft: Path) -> None:
        """Put a draft in the key's place, in one step."""
        draft.replace(self.path)
        sync(self.path.parent)
        reach("secrets.replaced")

    def seal(self, secret: str) -> str:
        """The secret as it may be kept. Raises SecretBroken when the key is missing or none."""
        nonce = os.urandom(_NONCE_BYTES)
        return "v1:" + base64.b64encode(nonce + self._cipher.encrypt(nonce, secret.encode(), None)).decode()

    def open(self, sealed: str) -> str:
        """The secret itself. Raises SecretBroken, also when the key is missing or none."""
        try:
            raw = base64.b64decode(sealed.removeprefix("v1:"))
            return self._cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], None).decode()
        except (InvalidTag, ValueError):
            raise SecretBroken(f"{self.path}: a secret in the database was sealed with another master key") from None

    def derived(self, purpose: str) -> bytes:
        """32 secret bytes for one purpose, the same as long as the key is. Raises SecretBroken as ``open`` does."""
        return hmac.digest(self._key, purpose.encode(), "sha256")

    @cached_property
    def _cipher(self) -> AESGCM:
        return AESGCM(self._key)

    @cached_property
    def _key(self) -> bytes:
        try:
            key = read_short(self.path)
        except FileNotFoundError:
            raise SecretBroken(
                f"{self.path} is not there, and the secrets in the database are sealed with it"
            ) from None
        except OSError as error:
            raise SecretBroken(f"{self.path}: {error.strerror}") from error
        except NotShort as error:
            raise SecretBroken(f"{error}, and a master key has {_KEY_BYTES} bytes") from error
        if len(key) != _KEY_BYTES:
            raise SecretBroken(f"{self.path} has {len(key)} bytes, and a master key has {_KEY_BYTES}")
        return key

    def _publish(self, draft: Path) -> None:
        """The key of whoever was quicker stays: with half a key, no later start could open what was sealed."""
        # Whoever was quicker has also taken our draft away.
        with contextlib.suppress(FileExistsError, FileNotFoundError):
            os.link(draft, self.path)
        reach("secrets.made")
        sync(self.path.parent)

    def _unused(self) -> Path:
        number = 1
        while (path := self.path.with_name(f"{self.path.name}.before-{number}")).exists():
            number += 1
        return path
