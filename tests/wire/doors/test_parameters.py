from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kiln.declare.errors import InvalidParameter
from kiln.wire.doors import parameters
from kiln.wire.doors.door import RawRequest
from kiln.wire.signatures.stages import canonical_query
from tests.wire.raw import raw_request

words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


def a_request(query: str = "", body: bytes = b"", content_type: str = "application/json") -> RawRequest:
    return raw_request("POST", f"/?{query}", [("content-type", content_type)], body)


@settings(deadline=None)
@given(st.dictionaries(words.filter(bool), words))
def test_reads_back_what_was_encoded(params):
    assert parameters.of_pairs(canonical_query(params).encode()) == params


def test_keeps_blank_values_and_reads_plus_as_a_space():
    assert parameters.of_pairs(b"a=&b&c=x+y%2B&&d=1=2") == {"a": "", "b": "", "c": "x y+", "d": "1=2"}


def test_lets_characters_pass_that_a_strict_url_forbids():
    assert parameters.of_pairs("a=[\"x\"]('!')&b=中".encode()) == {"a": "[\"x\"]('!')", "b": "中"}


def test_unwraps_a_form_in_double_quotes():
    assert parameters.of_form(b'"a=1&b=2"') == {"a": "1", "b": "2"}


@pytest.mark.parametrize("body", [b'"', b'""', b' "a" '])
def test_reads_odd_quotes_without_falling_over(body):
    assert set(parameters.of_form(body).values()) <= {""}


@pytest.mark.parametrize(
    ("raw", "rule"),
    [
        (b"a=1&a=2", "twice with different values"),
        (b"a=%FF", "not UTF-8"),
        (b"a=\xff", "not UTF-8"),
        (b"%FF=a", "not UTF-8"),
        (b"a=x%00y", "NUL"),
        (b"a=x\0y", "NUL"),
        (b"&".join(b"a%d=1" % n for n in range(1001)), "more than 1000"),
    ],
)
def test_refuses_pairs_that_are_ambiguous_broken_or_too_many(raw, rule):
    with pytest.raises(InvalidParameter, match=rule):
        parameters.of_pairs(raw)


@pytest.mark.parametrize("odd", ["x=%ff", "x=%00", "x=1&x=2", "&".join(f"a{n}=1" for n in range(1001))])
def test_finds_the_format_beside_whatever_is_malformed(odd):
    form = "application/x-www-form-urlencoded"

    assert parameters.find(a_request(f"Format=JSON&{odd}"), "Format") == "JSON"
    assert parameters.find(a_request(f"{odd}&Format=JSON"), "Format") == "JSON"
    assert parameters.find(a_request("", f"{odd}&Format=JSON".encode(), form), "Format") == "JSON"
    assert parameters.find(a_request("", f'"Format=JSON&{odd}"'.encode(), form), "Format") == "JSON"
    assert parameters.find(a_request("", f"{odd}&Format=JSON".encode(), form), "Format") == "JSON"
    assert parameters.find(a_request(odd), "Format") is None


def test_finds_the_format_behind_however_much():
    form = "application/x-www-form-urlencoded"
    many = "&".join(f"InstanceId.{n}=i-{n:032}" for n in range(20_000))
    members = ",".join(f'"InstanceId.{n}": "i-{n}"' for n in range(2_000))

    assert parameters.find(a_request("", f"{many}&Format=JSON".encode(), form), "Format") == "JSON"
    assert parameters.find(a_request("", f"{many}&Format=JSON&x=1".encode(), form), "Format") == "JSON"
    assert parameters.find(a_request("", f'{{{members}, "Format": "XML"}}'.encode()), "Format") == "XML"


def test_finds_no_format_that_is_ambiguous_or_hidden():
    form = "application/x-www-form-urlencoded"

    for odd in ("Format=XML&Format=JSON", "AFormat=JSON", "a=Format=JSON", "a=1&" + "Format=" * 100_000):
        assert parameters.find(a_request("", f"{odd}&x=%ff".encode(), form), "Format") is None


def test_takes_a_name_twice_with_one_value():
    assert parameters.of_pairs(b"a=1&a=1") == {"a": "1"}


def test_keeps_the_spelling_of_numbers():
    read = parameters.of_json(b'{"I": 40, "F": 1.50, "E": 1e3, "B": true, "N": null, "S": ""}')

    assert read == {"I": "40", "F": "1.50", "E": "1e3", "B": "true", "S": ""}


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"1",
        b"{",
        b"{'a': 1}",
        b'{"a": NaN}',
        b'{"a": 1, "a": 2}',
        b'{"a": {"b": 1, "b": 1}}',
        b'{"a": "\\ud800"}',
        b'{"a": "\\u0000"}',
        b'{"a": "\xff"}',
        b'{"Tag": ["EVIL"], "Tag.1": "good"}',
        b'{"Tag.1": "good", "Tag": ["EVIL"]}',
        b'{"Tag": [{"Key": "a"}], "Tag.1.Key": "b"}',
        b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"a": ' + b'{"a":' * 20 + b"1" + b"}" * 20 + b"}",
        b'{"a": [' + b"1," * 1500 + b"1]}",
    ],
)
def test_refuses_json_that_is_ambiguous_broken_or_too_much(body):
    with pytest.raises(InvalidParameter):
        parameters.of_json(body)


@pytest.mark.parametrize("body", [b"", b" \n", b"{}"])
def test_takes_an_empty_body_called_json(body):
    assert parameters.of_body(a_request(body=body)) == {}


def test_refuses_two_values_in_query_and_body():
    with pytest.raises(InvalidParameter, match="twice"):
        parameters.union({"a": "1"}, {"a": "2"})

    assert parameters.union({"a": "1"}, {"a": "1", "b": "2"}) == {"a": "1", "b": "2"}


def test_finds_one_parameter_of_a_request_that_is_broken_elsewhere():
    assert parameters.find(a_request(query="Format=XML", body=b"{"), "Format") == "XML"
    assert parameters.find(a_request(query="a=1&a=2", body=b'{"Format": "XML"}'), "Format") == "XML"
    assert parameters.find(a_request(query="a=1&a=2", body=b"{"), "Format") is None


@given(text=st.text(alphabet=st.sampled_from("%+\\=x4aAfF0zé我 \"'u{}N"), max_size=40))
@example(text="%00")
def test_escapes_are_read_as_the_standard_library_reads_them(text):
    text = text.replace("=", "")
    try:
        wanted = unquote(text.replace("+", " "), errors="strict")
    except UnicodeDecodeError:
        wanted = "\0"
    if "\0" in wanted:
        with pytest.raises(InvalidParameter):
            parameters.of_pairs(b"A=" + text.encode())
    else:
        assert parameters.of_pairs(b"A=" + text.encode()) == {"A": wanted}


@pytest.mark.parametrize("lone", ["%", "%x", "%4", "%g0", "%ä"])
def test_refuses_more_marks_that_escape_nothing_than_any_text_has(lone):
    with pytest.raises(InvalidParameter, match="%25"):
        parameters.of_pairs(b"A=" + (lone * 1001).encode())

    assert parameters.of_pairs(b"A=" + (lone * 1000).encode()) == {"A": lone * 1000}


def test_counts_the_marks_of_all_texts_together():
    with pytest.raises(InvalidParameter, match="%25"):
        parameters.of_pairs(b"&".join(b"a%d=%%%%%%" % n for n in range(400)))


def test_takes_as_many_escapes_as_there_is_room_for():
    assert parameters.of_pairs(b"A=" + b"%25" * 100_000) == {"A": "%" * 100_000}
