from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiln.cli import tables

ID, NAME, STATUS = (22, False), (40, True), (8, False)


def fit(room, *columns):
    return tables.fit([wide for wide, _ in columns], [gives for _, gives in columns], room)


def test_leaves_what_fits_as_it_is():
    assert fit(80, ID, NAME, STATUS) == [22, 40, 8]


def test_shortens_what_somebody_wrote_and_nothing_else():
    assert fit(60, ID, NAME, STATUS) == [22, 26, 8]


def test_leaves_out_columns_on_the_right_rather_than_cut_an_id():
    assert fit(60, ID, STATUS, ID, ID) == [22, 8, 22]


def test_gives_the_room_of_what_is_left_out_to_the_names():
    assert fit(50, ID, NAME, STATUS, ID) == [22, 16, 8]


@pytest.mark.parametrize("wide", [8, 12, 40])
def test_leaves_out_a_column_rather_than_the_names_cannot_be_told_apart(wide):
    assert fit(60, ID, (wide, True), ID, STATUS) == [22, *([wide] if wide <= 12 else [12]), 22]
    assert fit(57, ID, (wide, True), ID, STATUS) == [22, *([wide, 22] if wide == 8 else [min(wide, 33)])]


def test_shows_the_first_column_whole_on_the_narrowest_terminal():
    assert fit(10, ID, STATUS) == [22]


def test_shortens_a_first_column_that_somebody_wrote():
    assert fit(30, NAME, STATUS) == [20, 8]


COLUMNS = st.lists(st.tuples(st.integers(1, 60), st.booleans()), min_size=1, max_size=12)


@settings(deadline=None)
@given(COLUMNS, st.integers(60, 300))
def test_no_table_is_wider_than_its_terminal_and_nothing_is_cut_but_prose(columns, room):
    fitted = fit(room, *columns)

    assert sum(fitted) + 2 * (len(fitted) - 1) <= room
    assert all(now == wide or (gives and 12 <= now < wide) for now, (wide, gives) in zip(fitted, columns, strict=False))


@settings(deadline=None)
@given(COLUMNS)
def test_all_room_is_used_before_anything_is_shortened(columns):
    widths = [wide for wide, _ in columns]

    assert fit(sum(widths) + 2 * (len(widths) - 1), *columns) == widths


@pytest.mark.parametrize(("text", "columns"), [("web", 3), ("名字", 4), ("e\u0301", 1), ("", 0)])
def test_measures_in_columns_of_a_terminal(text, columns):
    assert tables.width(text) == columns
