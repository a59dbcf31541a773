"""Values for declared parameters, made from what is declared: allowed ones, forbidden ones and wild ones.

A strategy is kept once it is made: Hypothesis looks through each anew, which takes longer than to draw from it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from kiln.declare.rules import (
    Ascii,
    Between,
    CommaList,
    JsonList,
    Name,
    OneOf,
    Pattern,
    Rule,
    Text,
)
from kiln.declare.shapes import Field, fields_of

#: Any text that can be sent at all: no lone surrogates, which have no UTF-8, and no NUL, which every door refuses.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)

_LETTERS = st.sampled_from("aZ09:_.-中")

_BY_RULE: Mapping[type, Callable[[Any], SearchStrategy[Any]]] = {
    Ascii: lambda rule: st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=rule.most),
    Between: lambda rule: st.integers(rule.least, rule.most),
    Name: lambda rule: _sized(st.text(_LETTERS).map(lambda rest: "b" + rest), rule.least, rule.most),
    OneOf: lambda rule: st.sampled_from(rule.choices),
    Pattern: lambda rule: st.from_regex(rule.expression, fullmatch=True),
    Text: lambda rule: _sized(TEXT, max(rule.least, 1), rule.most),
}

_BY_TYPE: Mapping[type, SearchStrategy[Any]] = {
    bool: st.booleans(),
    float: st.integers(-(10**6), 10**6).map(lambda n: n / 8),
    int: st.integers(-(10**18) + 1, 10**18 - 1),
    str: TEXT.filter(bool),
}

#: What people and programs send where something else is expected.
_WILD = st.one_of(
    st.sampled_from(
        [
            "", " ", "0", "-1", "00", "+1", "1e9", "1.5", "9" * 18, "9" * 19, "9" * 400, "-" + "9" * 18, "NaN",
            "None",
            "null", "true", "True", "FALSE", "yes", "[]", "{}", '["a"]', "['a']", '["a",1]', "[" * 200, '["',
            ",", "a,,b",
            "*", "%", "%00", "%%", "_", "\\", "'", '"', "';--", "<&>", "]]>", "\r\n", "\t", "\u200b", "\u202e",
            "\ufeff",
            "é", "e\u0301", "中文", "😀", "\x01", "\x1b", "\uffff", "\U0010ffff", "\u2028", "x" * 3000, "../..",
            "/dev/vda",
            "{image_id}", "{0}", "%s", "2026-11-23T06:42:20Z", "2026-11-23T06:42Z", "2026-13-45T99:99Z", "m-",
            "i-0", "-",
        ]
    ),
    TEXT,
    st.integers().map(str),
)  # fmt: skip


#: For rules that an operation has for itself: values of which each takes one.
_WORDS = ("a-1", "web-1", "a.b", "Kiln-2026", "aGVsbG8=", "2026-11-23T06:42Z")


@cache
def allowed(field: Field) -> SearchStrategy[str]:
    """Texts that a field of a declared Input takes; of a repeated one, for one of its elements."""
    if field.packed is not None:
        return st.lists(_single(field), min_size=1, max_size=_most(field)).map(_packers[field.packed])
    return _single(field)


@cache
def forbidden(field: Field) -> tuple[tuple[str, Rule], ...]:
    """Values that break a rule of *field*, with the rule that is the first to be broken."""
    found = []
    for rule in field.rules:
        text = rule.counterexample()
        value = {int: int, float: float}.get(field.kind, str)(text)
        broken = next(r for r in field.rules if not r.allows(value))
        packed = text if field.packed is None else _packers[field.packed]([text])
        found.append((packed, broken))
    return tuple(found)


def names_something(field: Field, known: Mapping[str, list[str]]) -> bool:
    """Whether *field*, or a part of it, takes identifiers of which some are *known*."""
    if field.is_shape:
        return any(names_something(part, known) for part in fields_of(field.kind))
    return field.wire.removesuffix("s").endswith(tuple(known))


def sound(field: Field, known: Mapping[str, list[str]]) -> SearchStrategy[str]:
    """What a field takes, and where it names something that is here: *known*, by the ends of parameters' names."""
    if not names_something(field, known):
        return allowed(field)
    stem = field.wire.removesuffix("s")
    return _real(field, tuple(next(ids for name, ids in known.items() if stem.endswith(name))))


@cache
def _real(field: Field, ids: tuple[str, ...]) -> SearchStrategy[str]:
    real = st.sampled_from(ids)
    return real if field.packed is None else st.lists(real, min_size=1, max_size=3).map(_packers[field.packed])


@cache
def anything(field: Field) -> SearchStrategy[str]:
    """Whatever might be sent for *field*, by mistake or on purpose."""
    choices = [allowed(field), _WILD]
    if field.rules:
        choices.append(st.sampled_from([text for text, _ in forbidden(field)]))
    return st.one_of(choices)


def _single(field: Field) -> SearchStrategy[str]:
    strategy = _BY_TYPE[field.kind]
    if field.rules:
        own = _BY_RULE.get(type(field.rules[0]))
        if own is not None:
            strategy = own(field.rules[0])
        elif field.kind is str:
            strategy = st.sampled_from([field.example, *_WORDS])
        elif field.example:
            strategy = st.just(field.kind(field.example))
        strategy = strategy.filter(lambda value: all(rule.allows(value) for rule in field.rules))
    if field.packed is CommaList:
        strategy = strategy.map(str).filter(lambda text: "," not in text and text == text.strip())
    return strategy.map(str)


def _sized(texts: SearchStrategy[str], least: int, most: int) -> SearchStrategy[str]:
    """*texts*, cut or repeated until their length fits."""
    return st.tuples(texts, st.integers(least, min(most, least + 60))).map(
        lambda t: (t[0] or "x").ljust(t[1], "x")[: t[1]]
    )


def _most(field: Field) -> int:
    return min(field.count.most if field.count else 3, 3)


_packers: Mapping[type, Callable[[list[str]], str]] = {JsonList: json.dumps, CommaList: ",".join}
