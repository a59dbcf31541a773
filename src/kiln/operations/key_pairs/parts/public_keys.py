"""Public keys as OpenSSH writes them, and as the cloud names them.

    ssh-rsa AAAAB3NzaC1yc2E... who@where

The fingerprint is the MD5 of the key's bytes, as RFC 4716 (section 4) has it;
the API's documents say so of keys that are made and of those that are brought.

What knows the forms of keys is loaded when there is one: it takes as long as
five modules of ours, and most Kilns see no key in a day.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm

from kiln.declare import letters

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

#: Characters of a line: an RSA key of 16384 bits has 2,800, and comments are short.
LONGEST = 8192
_LEAST_RSA_BITS = 1024  #: OpenSSH takes no smaller one.
_BITS, _EXPONENT = 2048, 65537


def read(line: str) -> str | None:
    """The line with single blanks between its parts; None where it is no key that a guest's sshd would take.

    It goes into files of the guest, so it is one line, with nothing before the key's type.
    """
    # See the module.
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        Encoding,
        PublicFormat,
        load_ssh_public_key,
    )

    parts = line.strip(" \t\r\n").split(maxsplit=2)
    if len(parts) < 2 or len(line) > LONGEST or not letters.is_text(line) or len(line.strip().splitlines()) != 1:  # noqa: PLR2004 - type and key.
        return None
    plain = f"{parts[0]} {parts[1]}"
    try:
        key = load_ssh_public_key(plain.encode("ascii"))
    except (ValueError, UnsupportedAlgorithm):  # Not ASCII is a ValueError, too.
        return None
    if not isinstance(key, RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey) or (
        isinstance(key, RSAPublicKey) and key.key_size < _LEAST_RSA_BITS
    ):
        return None
    if key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode("ascii") != plain:
        return None  # Of a certificate the key in it is loaded.
    return " ".join((plain, *parts[2:]))


def new_key() -> RSAPrivateKey:
    """A new pair. It takes a fifth of a second, in which nobody could write."""
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key  # noqa: PLC0415 - see the module.

    return generate_private_key(public_exponent=_EXPONENT, key_size=_BITS)


def private_text_of(key: RSAPrivateKey) -> str:
    """The private half, unencrypted. The API's page says PKCS#8 and shows PKCS#1, which all clients read."""
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - see the module.
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode("ascii")


def line_of(key: RSAPrivateKey) -> str:
    """The public half of a key."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415 - see the module.

    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode("ascii")


def fingerprint_of(line: str) -> str:
    """Of a line that ``read`` gave."""
    return hashlib.md5(base64.b64decode(line.split()[1]), usedforsecurity=False).digest().hex(":")
