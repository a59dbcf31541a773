"""Kiln's own authority for TLS: a key and a certificate in the data folder, and what is certified with them.

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
import ipaddress
import os
import re
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kiln.ground.killpoints import reach
from kiln.ground.short_files import NotShort, read_short
from kiln.service.datafolder import DataFolder
from kiln.service.errors import AuthorityBroken

_SINCE = datetime(2020, 1, 1, tzinfo=UTC)
_UNTIL = datetime(2049, 12, 31, tzinfo=UTC)

#: A leaf is good for so long, and a client's clock may be so far behind.
LEAF_S = 90 * 86_400
_BEHIND = timedelta(days=1)

_DRAFT = re.compile(r"\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_CURVE = ec.SECP256R1()


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
            self._publish(self.key_path, pem_of(ec.generate_private_key(_CURVE)), 0o600)
        if not os.path.lexists(self.path):
            self._publish(self.path, self._own_certificate().public_bytes(serialization.Encoding.PEM), 0o644)
        for draft in self.path.parent.glob("ca.*"):
            if _DRAFT.fullmatch(draft.suffix) and draft.stem in (self.key_path.name, self.path.name):
                draft.unlink(missing_ok=True)

    def check(self) -> None:
        """Raise AuthorityBroken unless key and certificate can be used, and belong together."""
        if self._certificate.public_key() != self._key.public_key():
            raise AuthorityBroken(f"{self.path} is not the certificate of {self.key_path.name}")

    def certify(self, names: Iterable[str], public_key: ec.EllipticCurvePublicKey, now: datetime) -> bytes:
        """A certificate for a server that is called so: names of hosts, and addresses. PEM, Kiln's own behind it."""
        leaf = (
            _begun("Kiln", self._certificate.subject, public_key, now - _BEHIND, now + timedelta(seconds=LEAF_S))
            .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return leaf.public_bytes(serialization.Encoding.PEM)

    def _own_certificate(self) -> x509.Certificate:
        named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Kiln {uuid.uuid4()}")])
        return (
            _begun(named, named, self._key.public_key(), _SINCE, _UNTIL)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    @cached_property
    def _key(self) -> ec.EllipticCurvePrivateKey:
        try:
            key = serialization.load_pem_private_key(_read(self.key_path), None)
        except (ValueError, TypeError):
            raise AuthorityBroken(f"{self.key_path} holds no key") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise AuthorityBroken(f"{self.key_path} holds a key of another kind")
        return key

    @cached_property
    def _certificate(self) -> x509.Certificate:
        try:
            return x509.load_pem_x509_certificate(_read(self.path))
        except ValueError:
            raise AuthorityBroken(f"{self.path} holds no certificate") from None

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
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        reach("authority.published")
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        draft.unlink(missing_ok=True)


def new_leaf_key() -> ec.EllipticCurvePrivateKey:
    """A key for a server, which nobody keeps."""
    return ec.generate_private_key(_CURVE)


def pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The key as OpenSSL reads it."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _read(path: Path) -> bytes:
    try:
        return read_short(path)
    except FileNotFoundError:
        raise AuthorityBroken(f"{path} is not there") from None
    except OSError as error:
        raise AuthorityBroken(f"{path}: {error.strerror}") from error
    except NotShort as error:
        raise AuthorityBroken(str(error)) from error


def _begun(
    subject: str | x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    since: datetime,
    until: datetime,
) -> x509.CertificateBuilder:
    """What all certificates say. Who is certified says its key, too: strict clients look for it."""
    if isinstance(subject, str):
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
