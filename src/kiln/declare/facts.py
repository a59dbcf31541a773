"""What a task remembers: a declared shape, which lies on disk for as long as its row does.

    @facts(version=2, older={1: _named})
    class Facts:
        instance: str
        shorten: bool = False

The row says its version; one that says none was written before there were
versions, and is of version 1. What an older version wrote is brought to the
next one by the function under its number. A field that is not declared is
passed over, and kept when the facts are noted again; one that is not there has
its default. What a newer version wrote, or what lacks a field that has no
default, is refused rather than guessed at: see ``UnreadableFacts``.

A new field with a default needs nothing. Any other change of a shape needs a
new version, a reader of the one before, and a file that shows it
(``tests/golden/facts``, where a test asks for it).
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from kiln.declare.shapes import shape

Raw = dict[str, Any]  #: Facts as JSON holds them, without their version.

_VERSION = "version"
_Facts = TypeVar("_Facts")


class UnreadableFacts(Exception):
    """The facts of a task cannot be understood; says in words why."""


@typing.dataclass_transform(kw_only_default=True, frozen_default=True)
def facts(
    *, version: int = 1, older: Mapping[int, Callable[[Raw], Raw]] | None = None
) -> Callable[[type[_Facts]], type[_Facts]]:
    """Make of a class what a task remembers.

    Its fields are ``str``, ``int``, ``float``, ``bool``, a Literal, ``X |
    None``, ``dict[str, str]``, a dataclass, or a ``tuple`` of one of these.
    """

    def declared(kind: type[_Facts]) -> type[_Facts]:
        made = shape(kind)
        made.__facts__ = (version, dict(older or {}))  # type: ignore[attr-defined]
        return made

    return declared


@facts()
class NoFacts:
    """Of a task that remembers nothing but its resource."""


def version_of(kind: type) -> int:
    """The version in which facts of that shape are written."""
    version: int = kind.__facts__[0]  # type: ignore[attr-defined]
    return version


def dump(remembered: object, unknown: Raw | None = None) -> str:
    """The facts as a row holds them, with what was found beside them and not understood."""
    return json.dumps((unknown or {}) | {_VERSION: version_of(type(remembered))} | _written(remembered))


def parse(payload: str) -> Raw:
    """What a row holds, whatever its version. Raises UnreadableFacts."""
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError) as e:
        raise UnreadableFacts("they are not JSON") from e
    if not isinstance(found, dict):
        raise UnreadableFacts("they are not an object")
    return found


def read(kind: type[_Facts], payload: str) -> tuple[_Facts, Raw]:
    """The facts that a row holds, and what is beside them and not declared. Raises UnreadableFacts."""
    found = parse(payload)
    newest, older = kind.__facts__  # type: ignore[attr-defined]
    version = found.pop(_VERSION, 1)
    if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version <= newest:
        raise UnreadableFacts(f"they are of version {version!r}, and version {newest} is the newest that is known")
    for passed in range(version, newest):
        try:
            found = older[passed](found)
        except (KeyError, TypeError, ValueError, AttributeError) as e:
            raise UnreadableFacts(f"they do not hold what version {passed} holds") from e
    names = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    return _read_object(kind, found, ""), {name: value for name, value in found.items() if name not in names}


def _written(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _written(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [_written(one) for one in value]
    return value


def _read_object(kind: type[_Facts], found: Any, place: str) -> _Facts:
    if not isinstance(found, dict):
        raise UnreadableFacts(f"{place or 'they'} is no object")
    given = {}
    for name, (hint, is_needed) in _fields(kind).items():
        if name in found:
            given[name] = _read_value(hint, found[name], f"{place}.{name}" if place else name)
        elif is_needed:
            raise UnreadableFacts(f"{place}.{name} is missing" if place else f"{name} is missing")
    return kind(**given)


def _read_value(hint: Any, found: Any, place: str) -> Any:
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        (kind,) = (part for part in parts if part is not types.NoneType)
        return None if found is None else _read_value(kind, found, place)
    if origin is tuple and isinstance(found, list):
        return tuple(_read_value(parts[0], one, f"{place}[{n}]") for n, one in enumerate(found))
    if origin is dict and isinstance(found, dict):
        return {name: _read_value(parts[1], one, f"{place}.{name}") for name, one in found.items()}
    if origin is typing.Literal and found in parts:
        return found
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _read_object(hint, found, place)
    if origin is None and (type(found) is hint or (hint is float and type(found) is int)):
        return found
    # The value itself is not told: it may be a secret.
    raise UnreadableFacts(f"{place} is {type(found).__name__}, of another kind or value than is known")


def _fields(kind: type) -> dict[str, tuple[Any, bool]]:
    """Of each field its type, and whether it has to be there. Read once and kept."""
    known = _known.get(kind)
    if known is None:
        hints = typing.get_type_hints(kind)
        known = _known[kind] = {
            field.name: (
                hints[field.name],
                field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING,
            )
            for field in dataclasses.fields(kind)
        }
    return known


_known: dict[type, dict[str, tuple[Any, bool]]] = {}
