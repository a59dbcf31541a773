"""Turns flat request parameters into the Input that an operation declared.

The first broken rule is reported, in declared order, as the real service does.
An empty value counts as not sent, unless the field keeps empties: clients fill
what they do not use with empty strings (ecs-api.md 1, "Empty values"). Unknown
parameters are ignored, because clients send them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from kiln.declare.errors import ApiError, InvalidParameter
from kiln.declare.rules import JsonList
from kiln.declare.shapes import Field, fields_of

Shape = TypeVar("Shape")

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,9})?")
_INDEX = re.compile(r"0|[1-9][0-9]{0,17}")


def decode(shape: type[Shape], params: Mapping[str, str], under: str = "") -> Shape:
    """Build a *shape* from *params*, or raise the first error in declared order."""
    values: dict[str, Any] = {}
    sent = {key[len(under) :].partition(".")[0] for key in params if key.startswith(under)}
    for field in fields_of(shape):
        # A request names few of the parameters that there are: most fields are done with here.
        value = None if sent.isdisjoint(field.first_words) else _value(field, params, under)
        if value is not None:
            values[field.name] = value
        elif field.required:
            raise field.missing(parameter=under + field.wire)
    return shape(**values)


def _value(field: Field, params: Mapping[str, str], under: str) -> Any:
    if field.packed is not None:
        return _packed(field, params, under)
    if field.repeated:
        return _repeated(field, params, under)
    if field.is_shape:
        return _nested(field, params, under + field.wire + ".")
    raw = _raw(field, params, under)
    return None if raw is None else _one(field, raw, under + field.wire)


def _raw(field: Field, params: Mapping[str, str], under: str) -> str | None:
    """What was sent for a field under any of its spellings."""
    raw = params.get(under + field.wire)
    for alias in field.aliases:
        other = params.get(under + alias)
        if other is not None:
            if raw is not None and raw != other:
                rule = f"{under}{field.wire} and {under}{alias} mean the same and were sent with different values"
                raise InvalidParameter(parameter=under + alias, rule=rule)
            raw = other
    return None if raw == "" and not field.keeps_empty else raw


def _one(field: Field, raw: str, key: str) -> Any:
    if "\0" in raw:
        raise InvalidParameter(parameter=key, rule="a NUL character is not allowed", value=raw)
    value = _convert(field, raw, key)
    for rule in field.rules:
        if not rule.allows(value):
            raise rule.error(parameter=key, rule=rule.in_words(), value=raw)
    return value


def _convert(field: Field, raw: str, key: str) -> Any:
    if field.kind is str:
        return raw
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


def _nested(field: Field, params: Mapping[str, str], under: str) -> Any:
    """A part like ``SystemDisk.*``; absent when nothing of it was sent."""
    if any(key.startswith(under) and value != "" for key, value in params.items()):
        return decode(field.kind, params, under)
    return None


def _repeated(field: Field, params: Mapping[str, str], under: str) -> tuple[Any, ...] | None:
    """``Tag.1.Key`` or ``InstanceId.1``, in the order of the numbers; gaps are closed."""
    prefix = under + field.wire + "."
    numbers: set[int] = set()
    for key, value in params.items():
        if key.startswith(prefix):
            number, _, rest = key[len(prefix) :].partition(".")
            if bool(rest) != field.is_shape or not _INDEX.fullmatch(number):
                continue
            if value != "" or _keeps_empty(field, rest):
                numbers.add(int(number))
    if not numbers:
        return None
    _check_count(field, numbers, prefix)
    elements: list[Any] = []
    for n in sorted(numbers):
        key = f"{prefix}{n}"
        elements.append(decode(field.kind, params, key + ".") if field.is_shape else _one(field, params[key], key))
    return tuple(elements)


def _keeps_empty(field: Field, rest: str) -> bool:
    if not field.is_shape:
        return field.keeps_empty
    return any(f.keeps_empty and rest in (f.wire, *f.aliases) for f in fields_of(field.kind))


def _check_count(field: Field, numbers: set[int], prefix: str) -> None:
    """Refuse elements whose number is none, which would else be lost without a word."""
    if field.count is not None and max(numbers) > field.count.most:
        rule = f"N is at most {field.count.most}"
        raise field.count.error(parameter=f"{prefix}{max(numbers)}", rule=rule, value=str(max(numbers)))
    if 0 in numbers:
        error = InvalidParameter if field.count is None else field.count.error
        raise error(parameter=f"{prefix}0", rule="N begins with 1", value="0")


def _packed(field: Field, params: Mapping[str, str], under: str) -> tuple[Any, ...] | None:
    """A list that came as one string."""
    raw = _raw(field, params, under)
    if raw is None:
        return None
    key = under + field.wire
    parts = _json_list(raw, key, field) if field.packed is JsonList else _comma_list(raw)
    if field.count is not None and not field.count.allows(parts):
        raise field.count.error(parameter=key, rule=field.count.in_words(), value=raw)
    return tuple(_one(field, part, key) for part in parts)


def _comma_list(raw: str) -> list[str]:
    return [part.strip() for part in raw.split(",") if part.strip()]


def _json_list(raw: str, key: str, field: Field) -> list[str]:
    text = raw.strip()
    for spelling in (text, text.replace("'", '"')):
        try:
            parts = json.loads(spelling)
        except (ValueError, RecursionError):
            continue
        if isinstance(parts, list) and all(isinstance(p, str) for p in parts):
            return parts
        break
    else:
        # One bare identifier is what some clients send for a list of one.
        if text and "[" not in text:
            return _comma_list(text)
    raise field.unreadable(parameter=key, rule='must be a JSON array of strings, such as ["a","b"]', value=raw)
