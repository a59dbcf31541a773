"""Identifiers: one table of prefixes, and how a new one is made."""

from __future__ import annotations

import hashlib
import os
import secrets
import threading

_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
#: Two letters at a time take half the divisions.
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]

#: What each prefix stands for. Source: ecs-api.md 1, "ID shapes", and the page of each action; ``v-``, ``ts-`` and
#: ``wh-`` are ours: the service's sessions begin as snapshots do.
PREFIXES = {
    "image": "m",
    "snapshot": "s",
    "snapshot_group": "ssg",
    "snapshot_policy": "sp",
    "disk": "d",
    "instance": "i",
    "key_pair": "ssh",
    "task": "t",
    "resource_group": "rg",
    "volume": "v",
    "vpc": "vpc",
    "vswitch": "vsw",
    "security_group": "sg",
    "security_group_rule": "sgr",
    "network_interface": "eni",
    "eip": "eip",
    "command": "c",
    "launch_template": "lt",
    "terminal_session": "ts",
    "webhook": "wh",
}

LETTERS = 20  #: Of an identifier, after its prefix and a hyphen.


def pattern(noun: str, least: int = LETTERS) -> str:
    """A regular expression for identifiers of *noun*; with *least*, for beginnings with so many letters."""
    return f"{PREFIXES[noun]}-[0-9a-z]{{{least},{LETTERS}}}"


def new_id(noun: str) -> str:
    """A fresh identifier of *noun*: its prefix and 20 lower-case alphanumerics, not to be guessed (103 bits)."""
    number = int.from_bytes(_random(16))
    pairs = []
    for _ in range(LETTERS // 2):
        number, digits = divmod(number, 1296)
        pairs.append(_PAIRS[digits])
    return PREFIXES[noun] + "-" + "".join(pairs)


def derived_id(noun: str, of: str) -> str:
    """The one identifier of *noun* that belongs to *of*: the same each time, and no fresh one's."""
    number = int.from_bytes(hashlib.sha256(f"{noun} {of}".encode()).digest()[:16])
    letters = []
    for _ in range(LETTERS):
        number, digit = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[digit])
    return PREFIXES[noun] + "-" + "".join(letters)


def is_of(noun: str, name: str) -> bool:
    """Whether *name* is an identifier of *noun*, by its prefix."""
    return name.startswith(PREFIXES[noun] + "-")


def new_request_id() -> str:
    """A RequestId: an upper-case UUID."""
    # By hand, since uuid takes three times as long, for every request.
    digits = _random(16).hex().upper()
    variant = "89AB"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def _random(count: int) -> bytes:
    """Random bytes of the system's. They are fetched in blocks: a call for each ID took 0.2 ms among busy threads."""
    global _block  # noqa: PLW0603 - one store of randomness for the process.
    with _fetching:
        if len(_block) < count:
            _block = secrets.token_bytes(4096)
        taken, _block = _block[:count], _block[count:]
    return taken


def _forget() -> None:
    global _block  # noqa: PLW0603 - see _random.
    _block = b""


_block = b""
os.register_at_fork(after_in_child=_forget)  # Else a forked process would choose the same IDs as its parent.
_fetching = threading.Lock()
