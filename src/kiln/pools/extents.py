"""Pieces of a file that its tables claim, and whether two of them lie on each other.

A table that puts two things into one place makes a disk that no writer wrote,
though each of its claims may be believable by itself. Places are counted in
sectors of 512 bytes. A full disk of 2 TiB has 32 million pieces, so each is one
number in an array, and never all of them are objects at one time.
"""

from __future__ import annotations

import array
import heapq
from collections.abc import Iterable

SECTOR = 512
_LENGTH_BITS = 24  # 8 GiB; what is left of 64 bits places a piece within 512 TiB.
_LENGTH = (1 << _LENGTH_BITS) - 1
_START_MAX = (1 << 64 - _LENGTH_BITS) - 1
_SORTED_AT_ONCE = 1 << 20


class Extents:
    """Pieces that were claimed so far."""

    def __init__(self) -> None:
        self._pieces = array.array("Q")

    def add(self, start: int, length: int) -> None:
        """Claim *length* sectors, above 0, from *start* on. Raises OverflowError for what no file can have."""
        if not (0 <= start <= _START_MAX and 0 < length <= _LENGTH):
            raise OverflowError(f"{length} sectors at {start}")
        self._pieces.append(start << _LENGTH_BITS | length)

    def add_alike(self, starts: Iterable[int], length: int) -> None:
        """Claim *length* sectors from each of *starts* on, which must be what ``add`` takes."""
        self._pieces.extend([start << _LENGTH_BITS | length for start in starts])

    def cross(self) -> bool:
        """Whether two pieces have a sector in common."""
        end = 0
        for piece in in_order(self._pieces):
            start = piece >> _LENGTH_BITS
            if start < end:
                return True
            end = start + (piece & _LENGTH)
        return False


def in_order(numbers: array.array[int]) -> Iterable[int]:
    """The numbers from small to large; never all of them are objects at one time."""
    runs = [
        array.array("Q", sorted(numbers[at : at + _SORTED_AT_ONCE])) for at in range(0, len(numbers), _SORTED_AT_ONCE)
    ]
    return runs[0] if len(runs) == 1 else heapq.merge(*runs)


def sectors(count_bytes: int) -> int:
    """How many sectors hold that many bytes."""
    return -(-count_bytes // SECTOR)
