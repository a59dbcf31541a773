"""Reads the fields of a declared Input or Output.

A shape is a class whose annotations carry type, rules and prose:

    @shape
    class Input:
        image_name: Annotated[str | None, Name(error=InvalidImageNameMalformed), Doc("...")] = None

Types: ``str``, ``int``, ``float``, ``bool``, another shape, and ``tuple`` of
one of these for a repeated parameter (``Tag.1.Key``). An answer may have a
``JsonObject`` as well, whose members nobody declares. Read once and kept.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache, cached_property
from operator import attrgetter
from typing import Any, TypeVar

from kiln.declare.errors import ApiError, InvalidParameter, MissingParameter
from kiln.declare.rules import (
    Accepted,
    Alias,
    Clearable,
    CommaList,
    Composed,
    Count,
    Doc,
    Example,
    JsonList,
    KeepEmpty,
    Missing,
    More,
    Name,
    Note,
    Rule,
    Secret,
    Unordered,
    Wire,
)
from kiln.ground.values import dataclass, share

_Class = TypeVar("_Class")


class JsonObject(dict[str, Any]):
    """A field of an answer whose members are named by others than us, such as the parameters that somebody sent.

    In JSON it is an object. Its names may be none of XML's, where it is a text that holds the JSON.
    """


@typing.dataclass_transform(kw_only_default=True, frozen_default=True)
def shape(declared: type[_Class]) -> type[_Class]:
    """Makes a shape of a class: a dataclass whose fields are given by keyword and never set again.

    The type checker alone holds that they are not, and shapes share the methods
    that dataclasses write for each class: 190 of them are made at each start.
    """
    share(declared, kw_only=True)
    for name, method in _SHARED.items():
        setattr(declared, name, method)
    return declared


def borrows(source: type, names: Collection[str]) -> Callable[[type[_Class]], type[_Class]]:
    """Give a class that is about to be a shape fields of the shape *source* as well, none of which has to be given.

    The fields stand in the order of *names*; what the class declares itself stands in place of the other's. Of what
    such a field holds nothing has to be given either: a part's defaults are those of whoever takes the whole.
    """
    known = {f.name: f for f in dataclasses.fields(source)}

    def add(declared: type[_Class]) -> type[_Class]:
        own = dict(declared.__annotations__)
        for name in names:
            if name not in own:
                setattr(declared, name, () if known[name].default == () else None)
        declared.__annotations__ = {name: own.get(name, _Borrowed(source, name)) for name in names} | own
        return declared

    return add


@dataclass(frozen=True)
class _Borrowed:
    """In place of a field's type: it is declared elsewhere, and read when somebody asks."""

    source: type
    name: str

    def field(self) -> Field:
        (found,) = (field for field in fields_of(self.source) if field.name == self.name)
        default: Any = () if found.repeated else None
        kind = _borrowed(found.kind) if found.is_shape else found.kind
        return dataclasses.replace(found, required=False, default=default, may_be_none=default is None, kind=kind)


@cache
def _borrowed(whole: type) -> type:
    """The shape *whole* as a part of what is borrowed: itself, where nothing has to be given anyway."""
    fields = fields_of(whole)
    if all(_is_optional(f) for f in fields):
        return whole
    bare = type(whole.__name__, (), {"__doc__": whole.__doc__, "__module__": whole.__module__, "__annotations__": {}})
    return shape(borrows(whole, [f.name for f in fields])(bare))


def _is_optional(f: Field) -> bool:
    """Whether neither the field nor anything in it has to be given, or has a value when it is not."""
    return not f.required and f.default in (None, ()) and (not f.is_shape or _borrowed(f.kind) is f.kind)


def _equals(one: object, other: object) -> bool:
    return type(one) is type(other) and vars(one) == vars(other)


def _hash(one: object) -> int:
    return hash(frozenset(vars(one).items()))


def _repr(one: object) -> str:
    shown = (f"{f.name}={getattr(one, f.name)!r}" for f in dataclasses.fields(one))  # type: ignore[arg-type]
    return f"{type(one).__name__}({', '.join(shown)})"


_SHARED: dict[str, Callable[..., object]] = {"__eq__": _equals, "__hash__": _hash, "__repr__": _repr}


@dataclass(frozen=True)
class Field:
    """One declared field, as the decoder, the docs and the tests see it."""

    name: str
    wire: str
    aliases: tuple[str, ...]
    required: bool
    default: Any
    kind: type
    repeated: bool
    packed: type[JsonList | CommaList] | None  #: How a list is packed into one string, if it is.
    unreadable: type[ApiError]  #: Raised when such a string holds no list.
    rules: tuple[Rule, ...]
    count: Count | None
    set_since: int | None  #: Of a list whose order means nothing: from which version of ``essence`` on. Else None.
    is_composed: bool  #: A name, or what names are compared with.
    keeps_empty: bool  #: An empty value is a value.
    is_clearable: bool  #: That value is allowed, whatever the rules say.
    is_secret: bool  #: Nobody but the caller may read it.
    may_be_none: bool
    missing: type[ApiError]  #: Raised when the field is required and absent.
    doc: str
    example: str
    accepted: str  #: Why the parameter has no effect here, or "".

    @cached_property
    def is_shape(self) -> bool:
        """Whether the field holds fields of its own."""
        return dataclasses.is_dataclass(self.kind)


def fields_of(shape: type) -> tuple[Field, ...]:
    """The fields of *shape* in declared order."""
    found = _read.get(shape)
    if found is None:
        hints = typing.get_type_hints(shape, include_extras=True)
        declared = ((f, hints[f.name]) for f in dataclasses.fields(shape))
        found = _read[shape] = tuple(
            hint.field() if isinstance(hint, _Borrowed) else _field(f, hint) for f, hint in declared
        )
    return found


_read: dict[type, tuple[Field, ...]] = {}


def _field(f: dataclasses.Field[Any], hint: Any) -> Field:
    may_be_none = _may_be_none(hint)
    hint, levels = _strip(hint)
    repeated = typing.get_origin(hint) is tuple
    if repeated:
        hint, inner = _strip(typing.get_args(hint)[0])
        levels += inner
    notes = [note for level in levels for note in level]
    wire = next((n.name for n in notes if isinstance(n, Wire)), None) or wire_name(f.name)
    return Field(
        name=f.name,
        wire=wire,
        aliases=tuple(n.name for n in notes if isinstance(n, Alias)),
        required=f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING,
        default=None if f.default is dataclasses.MISSING else f.default,
        kind=hint,
        repeated=repeated,
        packed=next((type(n) for n in notes if isinstance(n, JsonList | CommaList)), None),
        unreadable=next((n.error for n in notes if isinstance(n, JsonList)), InvalidParameter),
        rules=tuple(n for n in notes if not isinstance(n, Note | Count)),
        count=next((n for n in notes if isinstance(n, Count)), None),
        set_since=next((n.since for n in notes if isinstance(n, Unordered)), None),
        is_composed=any(isinstance(n, Name | Composed) for n in notes),
        keeps_empty=any(isinstance(n, KeepEmpty | Clearable) for n in notes),
        is_clearable=any(isinstance(n, Clearable) for n in notes),
        is_secret=any(isinstance(n, Secret) for n in notes),
        may_be_none=may_be_none,
        missing=next((n.error for n in notes if isinstance(n, Missing)), MissingParameter),
        doc=_doc(levels) or _own_doc(hint),
        example=next((n.value for n in notes if isinstance(n, Example)), ""),
        accepted=next((n.why for n in notes if isinstance(n, Accepted)), ""),
    )


def _own_doc(kind: type) -> str:
    """What a shape says of itself, which is said of a field that holds it and has no Doc."""
    return (kind.__doc__ or "").strip() if dataclasses.is_dataclass(kind) else ""


def _doc(levels: list[tuple[Any, ...]]) -> str:
    """The Doc nearest to the field, which says what its type's would, and what is said beside either."""
    docs = [[n.text for n in level if isinstance(n, Doc)] for level in levels]
    # Within a level the last is the outermost: Annotated of an Annotated is one, its own notes behind.
    nearest = next((texts[-1:] for texts in docs if texts), [])
    return " ".join([*nearest, *(n.text for level in levels for n in level if isinstance(n, More))])


def _strip(hint: Any) -> tuple[Any, list[tuple[Any, ...]]]:
    """Take ``Annotated`` and ``| None`` off a hint, keeping what each level of them said, the outermost first."""
    levels: list[tuple[Any, ...]] = []
    while True:
        if hasattr(hint, "__metadata__"):
            levels.append(hint.__metadata__)
            hint = hint.__origin__
        elif typing.get_origin(hint) in (types.UnionType, typing.Union):
            (hint,) = (a for a in typing.get_args(hint) if a is not type(None))
        else:
            return hint, levels


def _may_be_none(hint: Any) -> bool:
    """Whether ``| None`` stands in a hint, within ``Annotated`` or around it."""
    inner = (hint.__origin__,) if hasattr(hint, "__metadata__") else typing.get_args(hint)
    is_choice = typing.get_origin(hint) in (types.UnionType, typing.Union)
    return (is_choice and type(None) in inner) or (
        (is_choice or hasattr(hint, "__metadata__")) and any(map(_may_be_none, inner))
    )


def wire_name(name: str) -> str:
    """``image_name`` as the caller spells it: ``ImageName``."""
    return "".join(word[0].upper() + word[1:] for word in name.split("_") if word)


#: Of what ``essence`` tells. The first took no list for a set, the second only some, and none without what comes twice.
ESSENCE = 3
_EACH_ONCE = 3


def essence(value: Any, version: int = ESSENCE) -> Any:
    """A shape's fields that differ from their defaults, as plain dicts, lists and scalars.

    Two requests with equal essences of one version ask for the same. A field that
    an operation gets later, with a default, changes no essence from before.
    """
    if isinstance(value, tuple):
        return [essence(one, version) for one in value]
    if not dataclasses.is_dataclass(value):
        return value
    given = vars(value)
    found = {}
    for f in fields_of(type(value)):
        if f.required or given[f.name] != f.default:
            part = essence(given[f.name], version)
            is_set = f.set_since is not None and f.set_since <= version and isinstance(part, list)
            found[f.wire] = _sorted(f, part, version) if is_set else part
    return found


def _sorted(f: Field, part: list[Any], version: int) -> list[Any]:
    is_each_once = version >= _EACH_ONCE and f.kind is str
    return sorted(dict.fromkeys(part) if is_each_once else part, key=json.dumps)


def of_essence(shape: type[_Class], said: Mapping[str, Any]) -> _Class:
    """The value that has the essence *said*. What is no field, of another version's declaration, is passed over."""
    given: dict[str, Any] = {}
    for f in fields_of(shape):
        if f.wire in said:
            part = said[f.wire]
            parts = [of_essence(f.kind, one) if f.is_shape else one for one in (part if f.repeated else [part])]
            given[f.name] = tuple(parts) if f.repeated else parts[0]
    return shape(**given)


def params_of(shape: type, said: Mapping[str, Any], under: str = "") -> dict[str, str]:
    """What a request would say that is to be a *shape* with the essence *said*: texts by names such as ``Tag.1.Key``.

    What is no field of *shape* is left out.
    """
    params: dict[str, str] = {}
    for f in fields_of(shape):
        if f.wire in said:
            part = said[f.wire]
            for name, one in _numbered(under + f.wire, part) if f.repeated else [(under + f.wire, part)]:
                params |= params_of(f.kind, one, f"{name}.") if f.is_shape else {name: _text(one)}
    return params


def _numbered(name: str, elements: list[Any]) -> Iterator[tuple[str, Any]]:
    return ((f"{name}.{n}", one) for n, one in enumerate(elements, 1))


def _text(scalar: Any) -> str:
    if isinstance(scalar, bool):
        return str(scalar).lower()
    # The decoder takes no exponents.
    return format(scalar, "f") if isinstance(scalar, float) else str(scalar)


def spell(value: Any) -> dict[str, Any]:
    """An Output as plain dicts, lists and scalars under wire names; fields that are None are left out.

    A repeated field whose doc type is a list is wrapped by its Output shape
    itself (``Images.Image``), so nothing is wrapped here.
    """
    return _speller(type(value))(value)


def keep(value: _Class) -> _Class:
    """A value that is part of very many others, and is spelled once for all of them. It is never forgotten."""
    _kept[id(value)] = value, spell(value)
    return value


#: By their identity, which is theirs for good, since they are kept.
_kept: dict[int, tuple[Any, dict[str, Any]]] = {}

_Speller = Callable[[Any], dict[str, Any]]


def _speller(shape: type) -> _Speller:
    """``spell`` for one shape. What can be found out from its declaration is found out once: pages have many values."""
    found = _spellers.get(shape)
    if found is None:
        found = _spellers[shape] = _make_speller(shape)
    return found


def _make_speller(shape: type) -> _Speller:
    fields = fields_of(shape)
    wires = tuple(field.wire for field in fields)
    values_of = _getter(tuple(field.name for field in fields))
    absent = tuple(field.wire for field in fields if field.may_be_none)
    parts = tuple((field.wire, _speller(field.kind)) for field in fields if field.is_shape and not field.repeated)
    lists = tuple((field.wire, _speller(field.kind) if field.is_shape else None) for field in fields if field.repeated)

    if not absent and not parts and not lists:
        return lambda value: dict(zip(wires, values_of(value), strict=True))

    def spell_one(value: Any) -> dict[str, Any]:
        # Both are loops in C: a page of images has a hundred thousand fields.
        spelled = dict(zip(wires, values_of(value), strict=True))
        for wire in absent:
            if spelled[wire] is None:
                del spelled[wire]
        for wire, part in parts:
            if wire in spelled:
                held = spelled[wire]
                spelled[wire] = _kept[id(held)][1] if id(held) in _kept else part(held)
        for wire, element in lists:
            if wire in spelled:
                values = spelled[wire]
                spelled[wire] = list(values) if element is None else [element(one) for one in values]
        return spelled

    return spell_one


def _getter(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    """The fields of a value; ``attrgetter`` makes no tuple of one, and takes none of none."""
    if not names:
        return lambda _: ()
    if len(names) == 1:
        one = attrgetter(names[0])
        return lambda value: (one(value),)
    return attrgetter(*names)


_spellers: dict[type, _Speller] = {}
