from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from kiln.ground.prose import fold


def test_leaves_what_fits_and_what_nobody_sees_on_a_terminal():
    assert fold("one two three", 80) == ["one two three"]
    assert fold("one two three" * 20, 0) == ["one two three" * 20]


def test_folds_at_blanks_below_where_the_text_begins():
    assert fold("warns   room  1.0 of 9.0 GiB are free at /srv", 30, 14) == [
        "warns   room  1.0 of 9.0 GiB",
        "              are free at /srv",
    ]


def test_keeps_a_command_on_one_line():
    text = "The service goes on with it: `kiln wait m-1 --until Available` waits again."

    assert fold(text, 40) == [
        "The service goes on with it:",
        "`kiln wait m-1 --until Available` waits",
        "again.",
    ]


def test_leaves_whole_a_word_that_is_wider_than_the_room():
    assert fold("see https://kiln.example.com/docs/operate", 20) == ["see", "https://kiln.example.com/docs/operate"]


def test_counts_letters_that_are_two_columns_wide():
    assert fold("there is no image '我的 网站 备份'", 22) == ["there is no image", "'我的 网站 备份'"]
    assert fold("一二 三四", 9) == ["一二 三四"]
    assert fold("一二 三四", 8) == ["一二", "三四"]


@settings(deadline=None)
@given(st.lists(st.text("ab`-", min_size=1, max_size=12), min_size=1), st.integers(1, 60), st.integers(0, 20))
def test_loses_no_word(words, room, indent):
    text = " ".join(words)

    assert " ".join(fold(text, room, indent)).split() == text.split()
