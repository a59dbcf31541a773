from __future__ import annotations

from urllib.parse import quote, unquote

from hypothesis import given, settings
from hypothesis import strategies as st

from kiln.wire.signatures.stages import canonical_query, percent

words = st.text(st.characters(exclude_categories=["Cs"]))


def test_keeps_only_the_unreserved():
    assert percent("aZ0-_.~ *+/:中") == "aZ0-_.~%20%2A%2B%2F%3A%E4%B8%AD"


def test_sorts_by_byte_and_keeps_empty_values():
    assert canonical_query({"b": "", "a": "1", "B": "2", "a.1": "x"}) == "B=2&a=1&a.1=x&b="


@settings(deadline=None)
@given(words)
def test_encodes_as_the_standard_does(text):
    assert percent(text) == quote(text, safe="~")
    assert unquote(percent(text)) == text
