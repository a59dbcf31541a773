"""Identifiers: one table of prefixes, and how a new one is made."""

from __future__ import annotations

import secrets
import uuid

_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"

#: What each prefix stands for. Source: ecs-api.md 1, "ID shapes"; ``v-`` is ours.
PREFIXES = {
    "image": "m",
    "snapshot": "s",
    "disk": "d",
    "instance": "i",
    "task": "t",
    "resource_group": "rg",
    "volume": "v",
}


def new_id(noun: str) -> str:
    """A fresh identifier of *noun*: its prefix and 20 lower-case alphanumerics, not to be guessed (103 bits)."""
    number = int.from_bytes(secrets.token_bytes(16))
    letters = []
    for _ in range(20):
        number, digit = divmod(number, 36)
        letters.append(_ALPHABET[digit])
    return PREFIXES[noun] + "-" + "".join(letters)


def new_request_id() -> str:
    """A RequestId: an upper-case UUID."""
    return str(uuid.uuid4()).upper()
