"""Spells parameters as the wire wants them: flat names, and text for every value.

    {"Tag": [{"Key": "a"}], "DryRun": True}   ->   Tag.1.Key=a  DryRun=true

Names are checked against the catalogue, because the service ignores names that
it does not know, and a slip of the pen would pass for success.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kiln.client.catalogue import Action, Part

_NUMBER = re.compile("[1-9][0-9]{0,17}")


class ParameterRefused(ValueError):
    """The action takes no parameter of that name, or none of that shape. Nothing was sent."""


def flatten(action: Action, params: Mapping[str, Any]) -> dict[str, str]:
    """*params* under flat names, as text. What is None is left out.

    Names may be flat already (``Tag.1.Key``) or hold dicts and lists; a list
    for a parameter that is one string on the wire (``InstanceIds``) is packed.
    Raises ParameterRefused.
    """
    flat: dict[str, str] = {}
    for name, value in params.items():
        part = _find(action, name)
        for full, text in _spell(part, name, value):
            if flat.setdefault(full, text) != text:
                raise ParameterRefused(f"{full} is given twice with different values")
    return flat


def _find(action: Action, name: str) -> Part:
    """The declaration that a possibly flat name belongs to."""
    part: Part = action.request
    is_numbered = True
    for word in name.split("."):
        if part.is_repeated and not is_numbered and _NUMBER.fullmatch(word):
            is_numbered = True
            continue
        inner = part.part(word)
        if inner is None:
            raise ParameterRefused(_refusal(action, name, word, part))
        if part.is_repeated and not is_numbered:
            raise ParameterRefused(f"{name} names a part of a list without its number: give .1.{word}, .2.{word}")
        part, is_numbered = inner, False
    return part


def _refusal(action: Action, name: str, word: str, under: Part) -> str:
    return f"{action.name} takes no parameter {name}{advice(word, [part.name for part in under.parts])}"


def advice(word: str, known: Sequence[str]) -> str:
    """What stands behind the refusal of a *word* that is none of the *known*: the one that was meant; or nothing."""
    close = [name for name in known if name.lower() == word.lower()]
    close = close or difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _spell(part: Part, name: str, value: Any) -> Iterator[tuple[str, str]]:
    """A value under the name that was given for it; the name may stand for one element of a list already."""
    is_list = part.is_repeated and not name.rpartition(".")[2].isdecimal()
    if value is None:
        return
    if part.packed:
        yield name, _pack(part, value)
    elif (is_list or part.parts) and _is_json(value):
        yield name, _text(value)
    elif is_list:
        yield from _spell_list(part, name, value)
    elif isinstance(value, Mapping):
        yield from _spell_parts(part, name, value)
    elif part.parts:
        raise ParameterRefused(f"{name} has parts: give {name}.{part.parts[0].name} and so on")
    else:
        yield name, _text(value)


def _spell_list(part: Part, name: str, value: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(value, list | tuple):
        raise ParameterRefused(f"{name} is a list: give {name}.1, {name}.2 and so on")
    if not value:
        # Without a word of its own an empty list would be no list, and a filter by it would let everything pass.
        yield name, "[]"
    for n, inner in enumerate(value, 1):
        yield from _spell(part, f"{name}.{n}", inner)


def _spell_parts(part: Part, name: str, value: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, inner in value.items():
        declared = part.part(key)
        if declared is None:
            meant = advice(key, [one.name for one in part.parts])
            raise ParameterRefused(f"{name} has no part {key}{meant}")
        yield from _spell(declared, f"{name}.{key}", inner)


def _pack(part: Part, value: Any) -> str:
    """A list as one string; text is taken for a list that is packed already."""
    if not isinstance(value, list | tuple):
        return _text(value)
    words = [_text(one) if isinstance(one, str) else one for one in value]
    return json.dumps(words) if part.packed == "json" else ",".join(map(_text, words))


def _is_json(value: Any) -> bool:
    """Whether *value* is the text of a JSON array or object, which the service takes for a list or an object."""
    try:
        return isinstance(value, str) and isinstance(json.loads(value), list | dict)
    except (ValueError, RecursionError):
        return False


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and not _is_utf8(value):
        raise ParameterRefused(f"{value!r} is no UTF-8")
    if isinstance(value, str | int | float):
        return str(value)
    raise ParameterRefused(f"a value of type {type(value).__name__} cannot be spelled here")


def _is_utf8(text: str) -> bool:
    """Whether *text* can be sent: what a shell gave that is no UTF-8 has halves of letters in it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
