"""JSON from outside: what is read, what is refused, and that too much is not begun."""

from __future__ import annotations

import json

import pytest

from kiln.wire import strict_json
from kiln.wire.strict_json import NamedTwice, NotJson


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1.0, "b": [1e3, -0, true, null]}', {"a": "1.0", "b": ["1e3", "-0", True, None]}),
        (' ["a"] ', ["a"]),
        ('"a"', "a"),
        ("[" * 60 + "]" * 60, json.loads("[" * 60 + "]" * 60)),
    ],
)
def test_reads_json_with_numbers_as_they_were_spelled(text, value):
    assert strict_json.read(text) == value


def test_leaves_numbers_numbers_where_that_is_asked_for():
    assert strict_json.read("[1, 2.5]", numbers_are_texts=False) == [1, 2.5]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "NaN",
        "[Infinity]",
        "-Infinity",
        "{} {}",
        "[1,]",
        "'a'",
        "[" * 5000 + "]" * 5000,
        "[" * 400000,
        '{"a":' * 50000,
        "[" + "[]," * 300000 + "[]]",
        '{"a":[' + '"",' * 20000 + '""]}',
    ],
)
def test_refuses_what_is_no_json_and_what_is_too_much(text):
    with pytest.raises(NotJson):
        strict_json.read(text)


@pytest.mark.parametrize("numbers_are_texts", [True, False])
def test_refuses_a_member_that_is_named_twice(numbers_are_texts):
    with pytest.raises(NamedTwice):
        strict_json.read('[{"a": {"b": 1, "b": 1}}]', numbers_are_texts=numbers_are_texts)


def test_a_text_may_hold_many_marks_but_not_without_end():
    assert strict_json.read('{"a": "' + "," * 9_000 + '"}') == {"a": "," * 9_000}
    assert strict_json.has_too_many_parts("," * 20_000)
