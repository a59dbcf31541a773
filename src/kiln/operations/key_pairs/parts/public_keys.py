"""Public keys as OpenSSH writes them, and as the cloud names them.

    ssh-rsa AAAAB3NzaC1yc2E... who@where

The fingerprint is the MD5 of the key's bytes, as RFC 4716 (section 4) has it;
the API's documents say so of keys that are made and of those that are brought.
"""

from __future__ import annotations

import base64
import hashlib

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_public_key

from kiln.declare import letters

#: Characters of a line: an RSA key of 16384 bits has 2,800, and comments are short.
LONGEST = 8192
_LEAST_RSA_BITS = 1024  #: OpenSSH takes no smaller one.
_KINDS = (RSAPublicKey, EllipticCurvePublicKey, Ed25519PublicKey)


def read(line: str) -> str | None:
    """The line with single blanks between its parts; None where it is no key that a guest's sshd would take.

    It goes into files of the guest, so it is one line, with nothing before the key's type.
    """
    parts = line.strip(" \t\r\n").split(maxsplit=2)
    if len(parts) < 2 or len(line) > LONGEST or not letters.is_text(line) or len(line.strip().splitlines()) != 1:  # noqa: PLR2004 - type and key.
        return None
    plain = f"{parts[0]} {parts[1]}"
    try:
        key = load_ssh_public_key(plain.encode("ascii"))
    except (ValueError, UnsupportedAlgorithm):  # Not ASCII is a ValueError, too.
        return None
    if not isinstance(key, _KINDS) or (isinstance(key, RSAPublicKey) and key.key_size < _LEAST_RSA_BITS):
        return None
    if key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode("ascii") != plain:
        return None  # Of a certificate the key in it is loaded.
    return " ".join((plain, *parts[2:]))


def line_of(key: RSAPrivateKey) -> str:
    """The public half of a key."""
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode("ascii")


def fingerprint_of(line: str) -> str:
    """Of a line that ``read`` gave."""
    return hashlib.md5(base64.b64decode(line.split()[1]), usedforsecurity=False).digest().hex(":")
