"""The rules that a parameter can carry.

A rule knows four things: whether a value breaks it, how to say so in words,
one value that breaks it, and which error says so. The first feeds the decoder,
the second the reference pages and error texts, the third the tests.

A rule sees the value after conversion to the field's type. Rules of one field
are asked in the order in which they are written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import field
from typing import Any, Protocol

from kiln.declare import letters
from kiln.declare.errors import ApiError, InvalidParameter
from kiln.ground.values import dataclass


class Rule(Protocol):
    """See the module's docstring."""

    error: type[ApiError]

    def allows(self, value: Any) -> bool: ...
    def in_words(self) -> str: ...
    def counterexample(self) -> str: ...


@dataclass(frozen=True)
class Between:
    """An integer in a range, both ends included."""

    least: int
    most: int
    error: type[ApiError] = InvalidParameter

    def allows(self, value: int) -> bool:
        return self.least <= value <= self.most

    def in_words(self) -> str:
        return f"{self.least} to {self.most}"

    def counterexample(self) -> str:
        return str(self.most + 1)


@dataclass(frozen=True)
class OneOf:
    """One of a few words, spelled exactly (or in any case, where ``any_case``)."""

    choices: tuple[str, ...]
    error: type[ApiError] = InvalidParameter
    any_case: bool = False

    def allows(self, value: str) -> bool:
        if self.any_case:
            return value.lower() in (c.lower() for c in self.choices)
        return value in self.choices

    def in_words(self) -> str:
        return "one of " + ", ".join(self.choices)

    def counterexample(self) -> str:
        return "no-such-choice"


@dataclass(frozen=True)
class Name:
    """ECS's rule for names: a letter first, then letters, digits and a few signs. Read in NFC.

    Letters are English and Chinese ones; those of every script where
    ``any_script``, as the current SDK says of snapshots, disks and instances.
    Source: create-image.seed.txt (ImageName) and ecs-api.md 5.1; the dot is
    allowed by the newer error text and by ModifyImageAttribute.
    """

    least: int = 2
    most: int = 128
    error: type[ApiError] = InvalidParameter
    not_starting: tuple[str, ...] = ("http://", "https://")
    any_script: bool = False

    def allows(self, value: str) -> bool:
        if not self.least <= len(value) <= self.most:
            return False
        lowered = value.lower()
        if any(lowered.startswith(prefix) for prefix in self.not_starting):
            return False
        is_letter = letters.is_letter if self.any_script else letters.is_english_or_chinese
        return is_letter(value[0]) and all(c in "0123456789:_.-" or is_letter(c) for c in value)

    def in_words(self) -> str:
        first = "a letter of any script" if self.any_script else "an English letter or a Chinese character"
        return (
            f"{self.least} to {self.most} characters, {first} first, "
            f"then letters, digits, colons, underscores, dots and hyphens; not starting with "
            + " or ".join(self.not_starting)
        )

    def counterexample(self) -> str:
        return "1name"


@dataclass(frozen=True)
class Text:
    """Free text of a length, not starting with some prefixes and not containing some parts.

    Control characters but for tabs and ends of lines, and what turns the
    direction of a text around, are no text: a terminal would do as they say.
    """

    least: int
    most: int
    error: type[ApiError] = InvalidParameter
    not_starting: tuple[str, ...] = ()
    not_containing: tuple[str, ...] = ()

    def allows(self, value: str) -> bool:
        lowered = value.lower()
        return (
            self.least <= len(value) <= self.most
            and letters.is_text(value)
            and not any(lowered.startswith(p) for p in self.not_starting)
            and not any(p in lowered for p in self.not_containing)
        )

    def in_words(self) -> str:
        words = f"{self.least} to {self.most} characters, none of them a control character"
        if self.not_starting:
            words += "; not starting with " + " or ".join(self.not_starting)
        if self.not_containing:
            words += "; not containing " + " or ".join(self.not_containing)
        return words

    def counterexample(self) -> str:
        return "x" * (self.most + 1)


@dataclass(frozen=True)
class Pattern:
    """A regular expression that the whole value must match, with the words that say it and a value that breaks it."""

    expression: str
    words: str
    breaks: str
    error: type[ApiError] = InvalidParameter
    _compiled: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_compiled", re.compile(self.expression))

    def allows(self, value: str) -> bool:
        return self._compiled.fullmatch(value) is not None

    def in_words(self) -> str:
        return self.words

    def counterexample(self) -> str:
        return self.breaks


@dataclass(frozen=True)
class Ascii:
    """ASCII characters only, at most so many. Source: the seed's ClientToken row."""

    most: int
    error: type[ApiError] = InvalidParameter

    def allows(self, value: str) -> bool:
        return value.isascii() and value.isprintable() and len(value) <= self.most

    def in_words(self) -> str:
        return f"at most {self.most} ASCII characters"

    def counterexample(self) -> str:
        return "x" * (self.most + 1)


@dataclass(frozen=True)
class Declined:
    """Not to be asked for here, since it is not done and whoever believed that it was would lose by it.

    The text says why. Absent, empty and false are allowed: they ask for nothing.
    """

    why: str
    error: type[ApiError] = InvalidParameter

    def allows(self, value: str | bool) -> bool:
        return str(value).lower() in ("", "false")

    def in_words(self) -> str:
        return f"only absent, empty or false, since {self.why}"

    def counterexample(self) -> str:
        return "true"


@dataclass(frozen=True)
class Count:
    """At most so many elements of a repeated parameter."""

    most: int
    error: type[ApiError] = InvalidParameter

    def allows(self, value: Sequence[Any]) -> bool:
        return len(value) <= self.most

    def in_words(self) -> str:
        return f"at most {self.most} of them"

    def counterexample(self) -> str:
        raise NotImplementedError  # A list's counterexample is made by the tests, which know the element.


class Note:
    """What a declaration says of a field beside its rules: how it is read, spelled or told."""


@dataclass(frozen=True)
class Doc(Note):
    """What the reference page says of a field."""

    text: str


@dataclass(frozen=True)
class More(Note):
    """A sentence of a field that the reference page adds to its Doc, or to the Doc of its type."""

    text: str


@dataclass(frozen=True)
class Example(Note):
    """A sample value for the reference page."""

    value: str


@dataclass(frozen=True)
class Wire(Note):
    """The field's spelling on the wire, where capitalising the words does not give it (``OSSBucket``)."""

    name: str


@dataclass(frozen=True)
class Alias(Note):
    """A deprecated second spelling. Both sent with different values is InvalidParameter."""

    name: str


@dataclass(frozen=True)
class JsonList(Note):
    """The parameter is one string that holds a JSON array of strings (``InstanceIds=["i-1"]``).

    Single quotes in place of double ones are tolerated, since clients send them (clients.md 2, point 12).
    """

    error: type[ApiError] = InvalidParameter  #: Of a string that is no such array.


@dataclass(frozen=True)
class CommaList(Note):
    """The parameter is one string of words separated by commas (``Status=Creating,Available``)."""


@dataclass(frozen=True)
class Unordered(Note):
    """The order of the elements means nothing: two requests that differ in it alone ask for the same.

    A text that comes twice counts once. *since* is the version of what is kept of a request from which on that is so.
    """

    since: int = 2


@dataclass(frozen=True)
class Composed(Note):
    """The value is compared with names, so it is read in NFC as they are."""


@dataclass(frozen=True)
class Accepted(Note):
    """The parameter is read and has no effect here; the text says why."""

    why: str


@dataclass(frozen=True)
class Missing(Note):
    """The error when the parameter is required and absent, where it is not MissingParameter."""

    error: type[ApiError]


@dataclass(frozen=True)
class Secret(Note):
    """Whoever reads the value could do what only its owner may: it is written down nowhere, the audit least of all."""


@dataclass(frozen=True)
class Clearable(Note):
    """An empty value takes away what is there, and breaks no rule."""


@dataclass(frozen=True)
class KeepEmpty(Note):
    """An empty value is a value, not the absence of one (``Tag.1.Value=``)."""
