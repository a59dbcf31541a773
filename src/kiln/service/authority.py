"""Kiln's own authority for TLS: a key and a certificate beside the master key, and what is certified with them.

The key is readable by Kiln's user alone, and is made once: clients are told the
certificate, and would have to be told another. So a certificate whose key is
gone is no reason to make a new pair. The certificate says nothing but that
this Kiln signs, and is made again from the key where it is missing, so that a
start that was killed between the two goes on from where it was.

The certificate is good at any time that a clock of a host may show: one that was
wrong when it was made must not decide when it ends.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import ssl
import uuid
from collections.abc import Iterable
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kiln.ground.durable import sync
from kiln.ground.killpoints import reach
from kiln.ground.short_files import NotShort, read_short
from kiln.service.datafolder import DataFolder
from kiln.service.errors import AuthorityBroken

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

#: A leaf is good for so long.
LEAF_S = 90 * 86_400

_DRAFT = re.compile(r"\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

#: How a key begins that ``new_key`` made: PKCS#8, of an elliptic curve, and of which.
_OWN_KEY = b"-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0w"


class Authority:
    """See the module. Its files are read when the first of them is asked for."""

    def __init__(self, folder: DataFolder) -> None:
        self.key_path = folder.ca_key
        self.path = folder.ca

    def make(self) -> None:
        """Have both files be there, and take away what a killed making left; whoever calls holds the data folder.

        Raises AuthorityBroken where the certificate is there and its key is not.
        """
        if not os.path.lexists(self.key_path):
            if os.path.lexists(self.path):
                raise AuthorityBroken(f"{self.path} is there, and its key {self.key_path.name} is not")
            self._publish(self.key_path, pem_of(new_key()), 0o600)
        if not os.path.lexists(self.path):
            self._publish(self.path, _signing().own_certificate(self._key), 0o644)
        for draft in self.path.parent.glob("ca.*"):
            if _DRAFT.fullmatch(draft.suffix) and draft.stem in (self.key_path.name, self.path.name):
                draft.unlink(missing_ok=True)

    def check(self) -> None:
        """Raise AuthorityBroken unless key and certificate can be used, and belong together."""
        # OpenSSL says so of most at once; who is to be told what is wrong waits for what can tell it.
        if self._is_surely_whole():
            return
        if self._certificate.public_key() != self._key.public_key():
            raise AuthorityBroken(f"{self.path} is not the certificate of {self.key_path.name}")

    def certify(self, names: Iterable[str], key: EllipticCurvePrivateKey, now: datetime) -> bytes:
        """A certificate for a server that is called so: names of hosts, and addresses. PEM."""
        made: bytes = _signing().certificate(
            self._key, self._certificate, names=names, key=key, now=now, seconds=LEAF_S
        )
        return made

    def _is_surely_whole(self) -> bool:
        key, certificate = _read(self.key_path), _read(self.path)
        if not key.startswith(_OWN_KEY):
            return False
        try:
            load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), key + certificate)
        except ssl.SSLError:
            return False
        return True

    @cached_property
    def _key(self) -> EllipticCurvePrivateKey:
        try:
            key: EllipticCurvePrivateKey = _signing().read_key(_read(self.key_path))
        except ValueError as error:
            raise AuthorityBroken(f"{self.key_path} holds {error}") from None
        return key

    @cached_property
    def _certificate(self) -> x509.Certificate:
        try:
            certificate: x509.Certificate = _signing().read_certificate(_read(self.path))
        except ValueError as error:
            raise AuthorityBroken(f"{self.path} holds {error}") from None
        return certificate

    def _publish(self, path: Path, content: bytes, mode: int) -> None:
        """Put a file in its place in one step, whole and on the disk; one that is there by then stays."""
        draft = path.with_name(f"{path.name}.{uuid.uuid4()}")
        descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
        os.fchmod(descriptor, mode)  # Whatever the umask: others are to read the certificate.
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        reach("authority.drafted")
        # Whoever was quicker may also have taken our draft away.
        with contextlib.suppress(FileExistsError, FileNotFoundError):
            os.link(draft, path)
        reach("authority.published")
        sync(path.parent)
        draft.unlink(missing_ok=True)


def new_key() -> EllipticCurvePrivateKey:
    """A key of the curve that all of ours are of."""
    made: EllipticCurvePrivateKey = _signing().new_key()
    return made


def pem_of(key: EllipticCurvePrivateKey) -> bytes:
    """The key as OpenSSL reads it."""
    pem: bytes = _signing().pem_of(key)
    return pem


def peer_identity(secret: bytes, authority_name: str, name: str) -> tuple[bytes, bytes]:
    """A new key with its certificate for *name*, and that of the authority whose key follows from 64 secret bytes. PEM.

    Whoever has the secret has the same authority, whenever and wherever it is made.
    """
    signing, key = _signing(), new_key()
    authority = signing.key_of(secret)
    own: bytes = signing.own_certificate(authority, authority_name)
    return pem_of(key) + signing.peer_certificate(authority, signing.read_certificate(own), name, key), own


def load(context: ssl.SSLContext, pem: bytes) -> None:
    """Give *context* a chain and its key. OpenSSL reads them from a file alone, and this one is never on a disk.

    Raises SSLError where they do not belong together.
    """
    descriptor = os.memfd_create("kiln-tls")
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")


def _signing() -> Any:
    return importlib.import_module("kiln.service.signing")


def _read(path: Path) -> bytes:
    try:
        return read_short(path)
    except FileNotFoundError:
        raise AuthorityBroken(f"{path} is not there") from None
    except OSError as error:
        raise AuthorityBroken(f"{path}: {error.strerror}") from error
    except NotShort as error:
        raise AuthorityBroken(str(error)) from error
