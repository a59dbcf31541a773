"""Sizes and spans of time, so that none is ever written out by hand, and how many of a thing there are, in words."""

from __future__ import annotations

KiB = 1024
MiB = 1024 * KiB
GiB = 1024 * MiB

DAY_S = 24 * 60 * 60


def to_gib(size_bytes: int) -> int:
    """Whole GiB that hold *size_bytes*; a part of one counts as one."""
    return -(-size_bytes // GiB)


def counted(number: int, thing: str, things: str = "") -> str:
    """``1 volume``, ``2 volumes``; *things* is the plural where another ``s`` does not make it."""
    return f"{number} {thing if number == 1 else things or thing + 's'}"
