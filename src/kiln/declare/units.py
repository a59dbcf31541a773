"""Sizes, so that no number of bytes is ever written out by hand."""

from __future__ import annotations

KiB = 1024
MiB = 1024 * KiB
GiB = 1024 * MiB


def to_gib(size_bytes: int) -> int:
    """Whole GiB that hold *size_bytes*; a part of one counts as one."""
    return -(-size_bytes // GiB)
