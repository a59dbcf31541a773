"""JSON from outside: what is read, what is refused, and that too much is not begun."""

from __future__ import annotations

import json

import pytest

from kiln.ground import strict_json
from kiln.ground.strict_json import NamedTwice, NotJson, Numbers


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
    assert strict_json.read("[1, 2.5]", Numbers.AS_THEY_ARE) == [1, 2.5]


@pytest.mark.parametrize("text", ["[1.0]", "[1e3]", '{"a": 1E400}'])
def test_refuses_what_is_not_whole_where_that_is_asked_for(text):
    assert strict_json.read("[-1, 100000000000000000000]", Numbers.WHOLE) == [-1, 10**20]
    with pytest.raises(NotJson):
        strict_json.read(text, Numbers.WHOLE)


def test_reads_as_much_as_there_is_for_whoever_has_bounded_it():
    assert strict_json.read("[" + "0," * 20_000 + "0]", is_bounded=True) == ["0"] * 20_001


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


@pytest.mark.parametrize("numbers", Numbers)
def test_refuses_a_member_that_is_named_twice(numbers):
    with pytest.raises(NamedTwice):
        strict_json.read('[{"a": {"b": 1, "b": 1}}]', numbers)


def test_a_text_may_hold_many_marks_but_not_without_end():
    assert strict_json.read('{"a": "' + "," * 9_000 + '"}') == {"a": "," * 9_000}
    assert strict_json.has_too_many_parts("," * 20_000)


@pytest.mark.parametrize("text", ["[" + "x" * 200_000 + ",", "x" * 65_535 + ",{", "[,"])
def test_marks_are_counted_wherever_they_are(text):
    assert strict_json.has_more_than(1, (",", "[", "{"), text)
    assert not strict_json.has_more_than(2, (",", "[", "{"), text)
