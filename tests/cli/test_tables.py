from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiln.cli import tables


def test_leaves_what_fits_as_it_is():
    assert tables.fit([22, 10, 8], 80) == [22, 10, 8]


def test_takes_from_the_widest_and_nothing_from_the_first():
    assert tables.fit([22, 40, 8, 20], 80) == [22, 24, 8, 20]


def test_takes_from_the_first_when_no_other_can_give():
    assert tables.fit([22, 10, 10], 20) == [8, 4, 4]


@given(st.lists(st.integers(1, 200), min_size=1, max_size=12), st.integers(80, 300))
def test_no_table_is_wider_than_its_terminal(widths, room):
    fitted = tables.fit(widths, room)

    assert sum(fitted) + 2 * (len(fitted) - 1) <= room
    assert all(1 <= now <= before for now, before in zip(fitted, widths, strict=True))


@given(st.lists(st.integers(1, 30), min_size=1, max_size=6))
def test_all_room_is_used_before_anything_is_shortened(widths):
    room = sum(widths) + 2 * (len(widths) - 1)

    assert tables.fit(widths, room) == widths


@pytest.mark.parametrize(("text", "columns"), [("web", 3), ("名字", 4), ("e\u0301", 1), ("", 0)])
def test_measures_in_columns_of_a_terminal(text, columns):
    assert tables.width(text) == columns
