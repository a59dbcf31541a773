"""Gathers what was sent for each declared parameter, in whatever spelling it came.

Lists and objects are spelled in three ways, and every operation takes all of
them through every door: numbered names (``Tag.1.Key=a``, which is the
documented one), JSON as text (``Tag=[{"Key":"a"}]``, ``Tag.1={"Key":"a"}``,
``SystemDisk={"Size":"40"}``), and the arrays and objects of a JSON body, which
doors write as numbered names.

Whatever else touches a declared name is refused, with the spelling that would
be right: ``Tag[0].Key``, ``tag.1.Key``, ``Tag.1.KEY``, ``Tag.1=foo``, ``Tags``,
``TagKey``, ``ImageId.1`` of a single value. A tag or a filter that is lost
without a word is found when it is too late. A name that is nobody's is passed
over, since clients send such; so is a misspelled one with an empty value,
which says nothing that could be lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from typing import Any, NoReturn

from kiln.declare.errors import ApiError, InvalidParameter
from kiln.declare.rules import CommaList, JsonList
from kiln.declare.shapes import Field, fields_of
from kiln.ground import strict_json
from kiln.ground.values import dataclass

#: The last word of a name that stands for an array, or an object, of a JSON body with nothing in it.
EMPTY_LIST = "[]"
EMPTY_OBJECT = "{}"
_MARKS = (EMPTY_LIST, EMPTY_OBJECT)

#: Lists within objects within lists: deeper than any operation's parameters go.
_DEEPEST = 8

_LONGEST_ECHO = 80

#: The gateway of the Apsara route has a parameter of this name beside the operation's RegionId.
_GATEWAYS_OWN = "regionid"


class Sent:
    """What came under one name: a text, or parts, or (when it was spelled twice) both."""

    __slots__ = ("key", "parts", "text")

    def __init__(self, key: str, text: str | None = None) -> None:
        self.key = key  #: The name as it was sent.
        self.text = text
        self.parts: dict[str, Sent] = {}

    @property
    def is_blank(self) -> bool:
        """Whether nothing but empty values came. An empty list is something."""
        return not self.text and not any(word in _MARKS or not part.is_blank for word, part in self.parts.items())

    def contents(self) -> object:
        """What two spellings of the same have in common."""
        parts = {word: part.contents() for word, part in self.parts.items() if word in _MARKS or not part.is_blank}
        return parts or self.text or ""


@dataclass(frozen=True)
class Gathered:
    """What came for the fields of a shape."""

    sent: Mapping[str, Sent]  #: By the field's name on the wire, or by its alias.
    strays: Mapping[str, str]  #: By the field's own name: a name that was meant for it, misspelled.


def gather(shape: type, params: Mapping[str, str]) -> Gathered:
    """Sort *params* by the fields of *shape*. What is no field's is left out."""
    heads = _heads(shape)
    sent: dict[str, Sent] = {}
    strays: dict[str, str] = {}
    for name, text in params.items():
        head, dot, rest = name.partition(".")
        if head in heads:
            node = sent.get(head)
            if node is None:
                node = sent[head] = Sent(head)
            if dot:
                _grow(node, name, rest.split("."), text)
            else:
                node.text = text
        elif text or rest.endswith(_MARKS):
            field = _meant(shape, name) if len(name) > _LONGEST_ECHO else _meant_by_short(shape, name)
            # Some clients send a value under two spellings of its name; nothing is lost when they agree.
            if field is not None and params.get(field.wire) != text:
                strays.setdefault(field.name, name)
    return Gathered(sent, strays)


def gather_parts(field: Field, node: Sent, key: str) -> Gathered:
    """Sort the parts of *node* by the fields of the shape that *field* holds. Raises InvalidParameter for any other."""
    heads = _heads(field.kind)
    for word, part in node.parts.items():
        if word not in heads and word != EMPTY_OBJECT and (word in _MARKS or not part.is_blank):
            close = [name for name in heads if name.lower() == word.strip().lower()]
            names = close[:1] or [f.wire for f in fields_of(field.kind)]
            refuse(part.key, f"{key} has no such part; write " + " or ".join(f"{key}.{name}" for name in names))
    return Gathered(node.parts, {})


def opened(field: Field, node: Sent, key: str) -> Sent:
    """*node* with its text, where that is JSON for a list or an object, taken apart into parts.

    Raises InvalidParameter when it is not, or when the parts that came beside it say something else.
    """
    if not node.text:
        return node
    apart = _taken_apart(node.key, node.text)
    if apart is None:
        misspelled(field, node.key, key)
    numbered = Sent(node.key)
    numbered.parts = node.parts
    if not numbered.is_blank and numbered.contents() != apart.contents():
        refuse(node.key, "it is given twice with different values")
    return apart


def json_list(text: str) -> list[str] | None:
    """The texts of a JSON array, or None when *text* is no array of texts."""
    try:
        value = strict_json.read(text, strict_json.Numbers.AS_THEY_ARE)
    except strict_json.NotJson:
        return None
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        return None
    return None if any(map(_is_broken, value)) else value


def members(value: list[Any] | dict[str, Any]) -> list[tuple[str, Any]]:
    """What an array or an object of JSON holds, by the words that come after its name; a member that is null is none.

    What holds nothing is said by a word of its own: ``EMPTY_LIST``, ``EMPTY_OBJECT``.
    """
    if isinstance(value, dict):
        return [(word, one) for word, one in value.items() if one is not None] or [(EMPTY_OBJECT, "")]
    return [(str(n), one) for n, one in enumerate(value, 1)] or [(EMPTY_LIST, "")]


def misspelled(field: Field, name: str, key: str, error: type[ApiError] = InvalidParameter) -> NoReturn:
    """Refuse *name*, which was meant for the field that is called *key*, with the spelling that would be right."""
    raise error(parameter=_echo(name), rule=f"write {right(field, key)}", value=_echo(name))


def refuse(name: str, rule: str) -> NoReturn:
    """Raise InvalidParameter."""
    raise InvalidParameter(parameter=_echo(name), rule=rule)


def right(field: Field, key: str) -> str:
    """The documented spelling of a field that is called *key*, as an example."""
    if field.packed is JsonList:
        return f'{key}=["a","b"] or {key}.1=a'
    if field.packed is CommaList:
        return f"{key}=a,b"
    first = f"{key}.1" if field.repeated else key
    if field.is_shape:
        return " and ".join(f"{first}.{part.wire}" for part in fields_of(field.kind)[:2])
    return f"{first}, {key}.2 and so on" if field.repeated else f"{key}, which is one value"


def _echo(name: str) -> str:
    return name if len(name) <= _LONGEST_ECHO else name[:_LONGEST_ECHO] + "..."


def _taken_apart(key: str, text: str) -> Sent | None:
    """The parts of a JSON array or object, or None when *text* is neither."""
    node = Sent(key)
    try:
        value = strict_json.read(text)
        _spread(node, value, 0)
    except ValueError:
        return None
    return node if isinstance(value, list | dict) else None


def _grow(node: Sent, name: str, words: list[str], text: str) -> None:
    if len(words) > _DEEPEST:
        refuse(name, "it is nested deeper than any parameter")
    for word in words:
        inner = node.parts.get(word)
        if inner is None:
            inner = node.parts[word] = Sent(f"{node.key}.{word}")
        node = inner
    node.text = text


def _spread(node: Sent, value: Any, depth: int) -> None:
    """Write a JSON value into *node*. Raises ValueError for what no parameter can be."""
    if depth > _DEEPEST:
        raise ValueError
    if isinstance(value, list | dict):
        for word, one in members(value):
            inner = node.parts[word] = Sent(f"{node.key}.{word}")
            _spread(inner, one, depth + 1)
    else:
        text = "" if value is None else value if isinstance(value, str) else str(value).lower()
        if _is_broken(text) or _is_broken(node.key):
            raise ValueError
        node.text = text


def _is_broken(text: str) -> bool:
    """Whether *text* holds half a character, as JSON can spell it."""
    return not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text)


@cache
def _heads(shape: type) -> Mapping[str, Field]:
    return {name: field for field in fields_of(shape) for name in (field.wire, *field.aliases)}


@cache
def _words(shape: type) -> tuple[tuple[str, Field], ...]:
    """Every name in small letters with its field, the longest first: ``TagFilter`` is not ``Tag`` with something."""
    words = ((name.lower(), field) for name, field in _heads(shape).items())
    return tuple(sorted(words, key=lambda word: -len(word[0])))


def _meant(shape: type, name: str) -> Field | None:
    """The field that an unknown *name* was meant for, if any."""
    lowered = name.strip().lower()
    if lowered == _GATEWAYS_OWN:
        return None
    for word, field in _words(shape):
        if lowered.startswith(word) and _continues(field, lowered[len(word) :]):
            return field
    return None


#: Clients send the same unknown names over and over.
_meant_by_short = lru_cache(maxsize=4096)(_meant)


def _continues(field: Field, rest: str) -> bool:
    """Whether what follows a declared name, in small letters, shows that the name was meant."""
    if not rest or not rest[0].isalpha():
        return True
    if not (field.repeated or field.is_shape):
        return False
    # ``Tags`` and ``TagKey``; not ``NetworkInterfaceQueueNumber``, which is a parameter of its own.
    return (rest[0] == "s" and not rest[1:2].isalpha()) or any(_is_part(rest, name) for name in _inner(field))


def _inner(field: Field) -> Iterator[str]:
    return iter(_heads(field.kind)) if field.is_shape else iter(())


def _is_part(rest: str, name: str) -> bool:
    lowered = name.lower()
    return rest.startswith(lowered) and not rest[len(lowered) : len(lowered) + 1].isalpha()
