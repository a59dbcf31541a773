"""Whether pieces of a file lie on each other."""

from __future__ import annotations

import random

import pytest

from kiln.pools import extents
from kiln.pools.extents import Extents


def crossing(pieces):
    claims = Extents()
    for start, length in pieces:
        claims.add(start, length)
    return claims.cross()


@pytest.mark.parametrize(
    ("pieces", "do_cross"),
    [
        ([], False),
        ([(5, 1)], False),
        ([(5, 2), (3, 2), (7, 1)], False),
        ([(5, 2), (6, 2)], True),
        ([(5, 2), (5, 2)], True),
        ([(0, 100), (50, 1)], True),
        ([(1 << 39, 1 << 20), ((1 << 39) + (1 << 20), 1)], False),
        ([(1 << 39, 1 << 20), ((1 << 39) + (1 << 20) - 1, 1)], True),
    ],
)
def test_sees_pieces_that_share_a_sector(pieces, do_cross):
    assert crossing(pieces) is do_cross


@pytest.mark.parametrize("run", [1, 7, 1000])
def test_sees_them_among_more_than_are_sorted_at_once(monkeypatch, run):
    monkeypatch.setattr(extents, "_SORTED_AT_ONCE", run)
    starts = list(range(0, 300, 3))
    random.shuffle(starts)

    assert not crossing([(start, 3) for start in starts])
    assert crossing([(start, 3) for start in starts] + [(101, 1)])


@pytest.mark.parametrize(("start", "length"), [(-1, 1), (0, 0), (1 << 40, 1), (0, 1 << 24)])
def test_takes_no_piece_that_no_file_can_have(start, length):
    with pytest.raises(OverflowError):
        Extents().add(start, length)
