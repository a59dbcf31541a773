"""Turns flat request parameters into the Input that an operation declared.

The first broken rule is reported, in declared order, as the real service does.
An empty value counts as not sent, unless the field keeps empties: clients fill
what they do not use with empty strings (ecs-api.md 1, "Empty values"). A list
that was sent and has no element is an empty list, which is not the same as
none: a filter by it lets nothing pass. Which spellings a list or an object may
have is said in ``spellings``. Parameters that are nobody's are ignored, because
clients send them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from kiln.declare.errors import ApiError, InvalidParameter
from kiln.declare.letters import compose
from kiln.declare.rules import JsonList
from kiln.declare.shapes import Field, fields_of
from kiln.wire.overlay import laid_over
from kiln.wire.spellings import (
    EMPTY_LIST,
    EMPTY_OBJECT,
    Gathered,
    Sent,
    gather,
    gather_parts,
    json_list,
    misspelled,
    opened,
    refuse,
)

Shape = TypeVar("Shape")

NOTHING: Mapping[str, str] = {}

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,9})?")
_INDEX = re.compile(r"0|[1-9][0-9]{0,17}")


def decode(shape: type[Shape], params: Mapping[str, str], beneath: Mapping[str, str] = NOTHING) -> Shape:
    """Build a *shape* from *params*, or raise the first error in declared order.

    What is *beneath* holds for what *params* do not say, under the names of the documents.
    """
    gathered = gather(shape, params)
    return _build(shape, laid_over(shape, gathered, gather(shape, beneath).sent) if beneath else gathered, "")


def _build(shape: type[Shape], gathered: Gathered, under: str) -> Shape:
    """*under* is what the names of the fields begin with: ``Tag.1.``."""
    values: dict[str, Any] = {}
    sent, strays = gathered.sent, gathered.strays
    for field in fields_of(shape):
        if field.name in strays:
            misspelled(field, strays[field.name], under + field.wire)
        # A request names few of the parameters that there are: most fields are done with here.
        value = _value(field, sent, under) if field.wire in sent or field.aliases else None
        if value is not None:
            values[field.name] = value
        elif field.required:
            raise field.missing(parameter=under + field.wire)
    return shape(**values)


def _value(field: Field, sent: Mapping[str, Sent], under: str) -> Any:
    node = _node(field, sent, under)
    if node is None:
        return None
    key = under + field.wire
    if field.packed is not None:
        return _packed(field, node, key)
    if field.repeated:
        return _repeated(field, opened(field, node, key), key)
    if field.is_shape:
        return _nested(field, opened(field, node, key), key)
    if any(word in (EMPTY_LIST, EMPTY_OBJECT) or not part.is_blank for word, part in node.parts.items()):
        misspelled(field, next(iter(node.parts.values())).key, key)
    if node.text is None or (node.text == "" and not field.keeps_empty):
        return None
    return _one(field, node.text, key)


def _node(field: Field, sent: Mapping[str, Sent], under: str) -> Sent | None:
    """What was sent for a field under any of its spellings."""
    node = sent.get(field.wire)
    for alias in field.aliases:
        other = sent.get(alias)
        if other is not None:
            if node is not None and node.contents() != other.contents():
                rule = f"{under}{field.wire} and {under}{alias} mean the same and were sent with different values"
                raise InvalidParameter(parameter=under + alias, rule=rule)
            node = other
    return node


def _one(field: Field, raw: str, key: str) -> Any:
    if "\0" in raw:
        raise InvalidParameter(parameter=key, rule="a NUL character is not allowed", value=raw)
    value = _convert(field, raw, key)
    if raw == "" and field.is_clearable:
        return value
    for rule in field.rules:
        if not rule.allows(value):
            raise rule.error(parameter=key, rule=rule.in_words(), value=raw)
    return value


def _convert(field: Field, raw: str, key: str) -> Any:
    if field.kind is str:
        return compose(raw) if field.is_composed else raw
    if field.kind is int:
        if _INTEGER.fullmatch(raw):
            return int(raw)
        raise _error(field)(parameter=key, rule="must be an integer", value=raw)
    if field.kind is bool:
        lowered = raw.lower()
        if lowered in ("true", "false"):
            return lowered == "true"
        raise _error(field)(parameter=key, rule="must be true or false", value=raw)
    if _NUMBER.fullmatch(raw):
        return float(raw)
    raise _error(field)(parameter=key, rule="must be a number", value=raw)


def _error(field: Field) -> type[ApiError]:
    """What a value of the wrong type raises: the field's own error where a rule names one."""
    return field.rules[0].error if field.rules else InvalidParameter


def _nested(field: Field, node: Sent, key: str) -> Any:
    """A part like ``SystemDisk.*``; absent when nothing of it was sent."""
    gathered = gather_parts(field, node, key)
    return None if all(part.is_blank for part in node.parts.values()) else _build(field.kind, gathered, key + ".")


def _repeated(field: Field, node: Sent, key: str) -> tuple[Any, ...] | None:
    """``Tag.1.Key`` or ``InstanceId.1``, in the order of the numbers; gaps are closed."""
    if not node.parts:
        return None
    numbered = _numbered(field, node, key)
    if field.count is not None and numbered and max(numbered) > field.count.most:
        rule = f"N is at most {field.count.most}"
        raise field.count.error(parameter=f"{key}.{max(numbered)}", rule=rule, value=str(max(numbered)))
    return _elements(field, numbered, key)


def _numbered(field: Field, node: Sent, key: str) -> dict[int, Sent]:
    """The elements that were sent, by their numbers. Those with nothing but empty values are none."""
    numbered: dict[int, Sent] = {}
    for word, part in node.parts.items():
        if word == EMPTY_LIST and part.is_blank:
            continue
        if not _INDEX.fullmatch(word):
            if word == EMPTY_OBJECT or not part.is_blank:
                misspelled(field, part.key, key)
        elif not part.is_blank or _keeps_empty(field, part):
            numbered[int(word)] = part
    if 0 in numbered:
        # Not the error of a list that is too long: that would send its caller looking for something else.
        raise InvalidParameter(parameter=f"{key}.0", rule="the numbers of a list begin at 1", value="0")
    return numbered


def _elements(field: Field, numbered: Mapping[int, Sent], key: str) -> tuple[Any, ...]:
    elements: list[Any] = []
    for n in sorted(numbered):
        part, name = numbered[n], f"{key}.{n}"
        if field.is_shape:
            part = opened(field, part, key)
            elements.append(_build(field.kind, gather_parts(field, part, name), name + "."))
        elif part.parts:
            misspelled(field, next(iter(part.parts.values())).key, key)
        else:
            elements.append(_one(field, part.text or "", name))
    return tuple(elements)


def _keeps_empty(field: Field, part: Sent) -> bool:
    if not field.is_shape:
        return field.keeps_empty
    return any(f.keeps_empty and name in part.parts for f in fields_of(field.kind) for name in (f.wire, *f.aliases))


def _packed(field: Field, node: Sent, key: str) -> tuple[Any, ...] | None:
    """A list that came as one string, or numbered all the same."""
    numbered = None
    if node.parts:
        numbered = _elements(field, _numbered(field, node, key), key)
    if not node.text:
        parts, told = numbered, f"{key}.N"
    else:
        split = _json_list(node.text, key, field) if field.packed is JsonList else _comma_list(node.text)
        parts, told = tuple(_one(field, part, key) for part in split), node.text
        if numbered is not None and numbered != parts:
            refuse(key, "it is given twice with different values")
    if parts is not None and field.count is not None and not field.count.allows(parts):
        raise field.count.error(parameter=key, rule=field.count.in_words(), value=told)
    return parts


def _comma_list(raw: str) -> list[str]:
    """Words between commas; a JSON array of them is understood too."""
    if raw.lstrip().startswith("["):
        words = json_list(raw)
        if words is not None:
            return words
    return [part.strip() for part in raw.split(",") if part.strip()]


def _json_list(raw: str, key: str, field: Field) -> list[str]:
    for spelling in (raw, raw.replace("'", '"')):
        parts = json_list(spelling)
        if parts is not None:
            return parts
    # One bare identifier is what some clients send for a list of one.
    if raw.strip() and not any(c in raw for c in '[]{}"'):
        return _comma_list(raw)
    raise field.unreadable(parameter=key, rule='must be a JSON array of strings, such as ["a","b"]', value=raw)
