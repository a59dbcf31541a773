"""The least that an operation takes, made from what it declares."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kiln.declare.operation import ClientTokenInput, DryRunInput, Operation
from kiln.declare.rules import Between, CommaList, Declined, JsonList, OneOf
from kiln.declare.shapes import Field, fields_of
from tests.clouds import REGION

_BY_TYPE = {bool: "true", float: "1.5", int: "1", str: "text"}
_PACKED = {JsonList: '["{}"]', CommaList: "{}"}


@dataclass(frozen=True)
class Place:
    """A declared parameter, wherever in an Input it is."""

    operation: Operation
    shape: type  #: What is decoded to reach it.
    under: str  #: The names above it, with numbers: ``Tag.1.``.
    field: Field

    @property
    def name(self) -> str:
        """As it is sent: ``Tag.1.Key``."""
        return f"{self.under}{self.field.wire}{'.1' if self.field.repeated and not self.field.packed else ''}"

    def __str__(self) -> str:
        return f"{self.operation.name}-{self.name}"


def places(operation: Operation) -> Iterator[Place]:
    """Every parameter of *operation* and every part of one, but for account selectors, which nobody reads."""
    yield from _within(operation, operation.input, operation.input, "")
    if operation.idempotent is not None:
        yield from _within(operation, ClientTokenInput, ClientTokenInput, "")
    if operation.dry_run is not None:
        yield from _within(operation, DryRunInput, DryRunInput, "")


def _within(operation: Operation, top: type, shape: type, under: str) -> Iterator[Place]:
    for field in fields_of(shape):
        place = Place(operation, top, under, field)
        yield place
        if field.is_shape:
            yield from _within(operation, top, field.kind, place.name + ".")


def least(shape: type, under: str = "") -> dict[str, str]:
    """The least that *shape* takes."""
    found: dict[str, str] = {}
    for field in fields_of(shape):
        if field.required:
            found |= _given(field, under)
    return found


def around(place: Place) -> dict[str, str]:
    """The least with which *place* can be given."""
    found = least(place.shape)
    shape, under = place.shape, ""
    while under != place.under:
        head = place.under.removeprefix(under).partition(".")[0]
        field = next(f for f in fields_of(shape) if f.wire == head)
        shape, under = field.kind, f"{under}{head}.{'1.' if field.repeated else ''}"
        found |= least(shape, under)
    return found


def siblings(place: Place) -> dict[str, str]:
    """Something beside *place* in the part that it belongs to; nothing when the part takes no other field."""
    shape = place.shape
    for head in place.under.split("."):
        if head and not head.isdigit():
            shape = next(f for f in fields_of(shape) if f.wire == head).kind
    others = (
        f
        for f in fields_of(shape)
        if f.name != place.field.name and not f.is_shape and not any(isinstance(rule, Declined) for rule in f.rules)
    )
    return next((_given(field, place.under) for field in others), {})


def several(place: Place, count: int) -> dict[str, str]:
    """So many elements of a repeated parameter."""
    field = place.field
    if field.packed is not None:
        words = [sample(field).strip("[]")] * count
        return {place.name: ",".join(words) if field.packed is CommaList else f"[{','.join(words)}]"}
    stem = place.name.removesuffix(".1")
    found: dict[str, str] = {}
    for number in range(1, count + 1):
        element = {f"{stem}.{number}": sample(field)} if not field.is_shape else _part(field, f"{stem}.{number}.")
        found |= element
    return found


def sample(field: Field) -> str:
    """A value that *field* takes."""
    rule = field.rules[0] if field.rules else None
    text = field.example or _BY_TYPE[field.kind]
    if field.name == "region_id":
        text = REGION
    elif not field.example and isinstance(rule, OneOf):
        text = rule.choices[0]
    elif not field.example and isinstance(rule, Between):
        text = str(rule.least)
    if field.packed is None or text.startswith("["):
        return text
    return _PACKED[field.packed].format(text)


def _given(field: Field, under: str) -> dict[str, str]:
    name = f"{under}{field.wire}{'.1' if field.repeated and not field.packed else ''}"
    return _part(field, f"{name}.") if field.is_shape else {name: sample(field)}


def _part(field: Field, under: str) -> dict[str, str]:
    """The least of a part that is not nothing."""
    return least(field.kind, under) or _given(fields_of(field.kind)[0], under)
