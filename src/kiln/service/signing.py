"""Keys and certificates of X.509, for ``authority``, which loads this module when there is something to sign.

``cryptography.x509`` takes as long to load as a fifteenth of a start, and a
megabyte; most Kilns are never asked for TLS.
"""

from __future__ import annotations

import ipaddress
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_SINCE = datetime(2020, 1, 1, tzinfo=UTC)
_UNTIL = datetime(2049, 12, 31, tzinfo=UTC)

#: How many keys there are of that curve, and one more. Source: SEC 2, 2.4.2.
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

_KILN = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Kiln")])

#: A client's clock may be so far behind.
_BEHIND = timedelta(days=1)


def new_key() -> ec.EllipticCurvePrivateKey:
    """A key of the curve that all of ours are of."""
    return ec.generate_private_key(ec.SECP256R1())


def key_of(secret: bytes) -> ec.EllipticCurvePrivateKey:
    """The key of that curve that follows from 64 secret bytes, always the same one."""
    return ec.derive_private_key(int.from_bytes(secret) % (_ORDER - 1) + 1, ec.SECP256R1())


def pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The key as OpenSSL reads it."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def read_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """What ``pem_of`` wrote. Raises ValueError, which says what it is instead."""
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError):
        raise ValueError("no key") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("a key of another kind")  # noqa: TRY004 - it is what the file holds.
    return key


def read_certificate(pem: bytes) -> x509.Certificate:
    """A certificate of a file. Raises ValueError, which says what it is instead."""
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        raise ValueError("no certificate") from None


def own_certificate(key: ec.EllipticCurvePrivateKey, name: str = "") -> bytes:
    """The certificate that an authority gives itself, in PEM; without a *name* under one that no other has."""
    named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name or f"Kiln {uuid.uuid4()}")])
    made = (
        _begun(named, named, key.public_key(), _SINCE, _UNTIL)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def certificate(
    authority: ec.EllipticCurvePrivateKey,
    issuer: x509.Certificate,
    *,
    names: Iterable[str],
    key: ec.EllipticCurvePrivateKey,
    now: datetime,
    seconds: int,
) -> bytes:
    """A certificate for the server that has *key*, good for so many *seconds*, in PEM."""
    uses = [ExtendedKeyUsageOID.SERVER_AUTH]
    begun = _begun(_KILN, issuer.subject, key.public_key(), now - _BEHIND, now + timedelta(seconds=seconds))
    return _leaf(begun, authority, [_general(name) for name in names], uses)


def peer_certificate(
    authority: ec.EllipticCurvePrivateKey, issuer: x509.Certificate, name: str, key: ec.EllipticCurvePrivateKey
) -> bytes:
    """A certificate for a process that has *key*, by which it asks and answers under *name*, in PEM.

    It has no end of its own: its key is gone with the process, and the clocks of hosts need not agree.
    """
    uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    begun = _begun(_KILN, issuer.subject, key.public_key(), _SINCE, _UNTIL)
    return _leaf(begun, authority, [x509.DNSName(name)], uses)


def _leaf(
    begun: x509.CertificateBuilder,
    authority: ec.EllipticCurvePrivateKey,
    names: Iterable[x509.GeneralName],
    uses: Iterable[x509.ObjectIdentifier],
) -> bytes:
    leaf = (
        begun.add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
        .sign(authority, hashes.SHA256())
    )
    return leaf.public_bytes(serialization.Encoding.PEM)


def _begun(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, since: datetime, until: datetime
) -> x509.CertificateBuilder:
    """What all certificates say. Who is certified says its key, too: strict clients look for it."""
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
