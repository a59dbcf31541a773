"""Public keys of every kind, as ssh-keygen writes them."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def line_of(key) -> str:
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def lines() -> dict[str, str]:
    """One of each kind that guests take."""
    return {
        "ssh-rsa": line_of(rsa.generate_private_key(65537, 2048)),
        "ssh-ed25519": line_of(ed25519.Ed25519PrivateKey.generate()),
        "ecdsa-sha2-nistp256": line_of(ec.generate_private_key(ec.SECP256R1())),
        "ecdsa-sha2-nistp521": line_of(ec.generate_private_key(ec.SECP521R1())),
    }


KEYS = lines()
SHORT_RSA = line_of(rsa.generate_private_key(65537, 1024))

#: As it was once: `cryptography` reads it no more, and OpenSSH takes it no more.
DSA = "ssh-dss AAAAB3NzaC1kc3MAAACBAKsv6hR3bI6xHqPYcqQnBOvFHpOzYMdL1QdDKv7xg/qUZ0GcIYIM9DVWyLZBCNqpzMt8gVn6X2V4g1CTmQ"
