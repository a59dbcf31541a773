"""``dataclass``, made in an eighth of the time: for a type checker, and for who uses the class, the standard library's.

The standard library writes the text of six methods for each class and has it
compiled. Of 350 classes that took a quarter of the time to Kiln's first answer. Here
classes share methods, which find the fields by what the class keeps of them; all
else (``fields``, ``replace``, ``asdict``, ``field``, ``__post_init__``) is the
standard library's. What these methods do not know (slots, an order, a hash
that was asked for) is given to the standard library whole.
"""

from __future__ import annotations

import dataclasses
import re
import threading
from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any

_is_special = re.compile("ClassVar|InitVar|KW_ONLY").search

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass  # noqa: PLC0414 - this is how a name is given on.
else:

    def dataclass(
        cls: type | None = None, /, *, frozen: bool = False, kw_only: bool = False, **more: Any
    ) -> type | Callable[[type], type]:
        """As ``dataclasses.dataclass``."""
        if more:
            return dataclasses.dataclass(cls, frozen=frozen, kw_only=kw_only, **more)
        if cls is None:
            return lambda declared: _make(declared, frozen=frozen, kw_only=kw_only)
        return _make(cls, frozen=frozen, kw_only=kw_only)


def _make(cls: type, *, frozen: bool, kw_only: bool) -> type:
    fields = _make_fields_unread(cls, kw_only=kw_only)
    if "__init__" not in vars(cls):
        cls.__init__ = _initialising(cls, fields)  # type: ignore[misc]
    compared = tuple(f.name for f in fields if f.compare)
    methods: dict[str, Any] = {"__repr__": _represent, "__eq__": _comparing(compared)}
    if frozen:
        names = frozenset(f.name for f in fields)
        methods |= {"__setattr__": _unchanging(cls, names), "__delattr__": _unchanging(cls, names)}
    if "__hash__" not in vars(cls) and "__eq__" not in vars(cls):
        methods["__hash__"] = _hashing(compared) if frozen else None
    for name, method in methods.items():
        if name not in vars(cls):
            setattr(cls, name, method)
    return cls


def share(cls: type, *, kw_only: bool) -> None:
    """Make a dataclass of *cls* that has nothing but ``__init__``, once somebody asks for its fields or makes one.

    Of 460 classes of parameters and answers a start needs thirty. What is wrong with a declaration is said then, too.
    """

    def initialise(self: Any, /, *placed: Any, **given: Any) -> None:
        dataclasses.fields(cls)
        with _making:
            """Another thread that makes the fields has them before it has ``__init__``."""
        cls.__init__(self, *placed, **given)  # type: ignore[misc]

    has_own = "__init__" in vars(cls)
    if not has_own:
        cls.__init__ = initialise  # type: ignore[misc]
    cls.__dataclass_fields__ = _Unmade(cls, kw_only=kw_only, has_own=has_own)  # type: ignore[attr-defined]


class _Unmade:
    """Stands for the fields of a class until somebody asks for them."""

    def __init__(self, cls: type, *, kw_only: bool, has_own: bool) -> None:
        self._cls = cls
        self._kw_only = kw_only
        self._has_own = has_own

    def __get__(self, _: object, __: type) -> Any:
        cls: Any = self._cls
        with _making:
            if vars(cls)["__dataclass_fields__"] is self:
                fields = _make_fields(cls, kw_only=self._kw_only)
                if not self._has_own:
                    cls.__init__ = _initialising(cls, fields)
        return cls.__dataclass_fields__


#: Fields are made by one thread at a time: one that is half made has lost its default. Bases are made within.
_making = threading.RLock()


def _make_fields(cls: type, *, kw_only: bool) -> tuple[dataclasses.Field[Any], ...]:
    doc = cls.__doc__
    cls.__doc__ = doc or " "  # Without any text the signature would be written out for one.
    dataclasses.dataclass(cls, init=False, repr=False, eq=False, kw_only=kw_only)
    cls.__doc__ = doc
    return dataclasses.fields(cls)


def _make_fields_unread(cls: type, *, kw_only: bool) -> tuple[dataclasses.Field[Any], ...]:
    """The same of a class that nobody else knows yet, with its types hidden meanwhile.

    Each text would be taken apart three times, to see that it is none that means something to dataclasses.
    """
    hints: dict[str, Any] = vars(cls).get("__annotations__", {})
    if not hints or any(isinstance(hint, str) and _is_special(hint) for hint in hints.values()):
        return _make_fields(cls, kw_only=kw_only)
    cls.__annotations__ = dict.fromkeys(hints, object)
    try:
        fields = _make_fields(cls, kw_only=kw_only)
    finally:
        cls.__annotations__ = hints
    for field in fields:
        field.type = hints.get(field.name, field.type)
    return fields


class _Given:
    """What ``__init__`` of a class takes."""

    def __init__(self, cls: type, fields: tuple[dataclasses.Field[Any], ...]) -> None:
        self._fields = fields
        self._called = f"{cls.__name__}.__init__()"
        self.names = frozenset(f.name for f in fields if f.init)
        self._by_position = tuple(f.name for f in fields if f.init and not f.kw_only)

    def by_name(self, placed: tuple[Any, ...], given: dict[str, Any]) -> dict[str, Any]:
        """*given*, and with it what was given by its place. Raises TypeError."""
        if len(placed) > len(self._by_position):
            raise TypeError(f"{self._called} takes {len(self._by_position)} arguments by their place")
        for name, value in zip(self._by_position, placed, strict=False):
            if name in given:
                raise TypeError(f"{self._called} got multiple values for argument {name!r}")
            given[name] = value
        return given

    def whole(self, given: dict[str, Any]) -> dict[str, Any]:
        """All fields, in the order of their declaration. Raises TypeError."""
        if not given.keys() <= self.names:
            raise TypeError(f"{self._called} got an unexpected keyword argument {min(given.keys() - self.names)!r}")
        found = {}
        for f in self._fields:
            if f.name in given:
                found[f.name] = given[f.name]
            elif f.default is not dataclasses.MISSING:
                found[f.name] = f.default
            elif f.default_factory is not dataclasses.MISSING:
                found[f.name] = f.default_factory()
            elif f.init:
                raise TypeError(f"{self._called} missing a required argument: {f.name!r}")
        return found


def _initialising(cls: type, fields: tuple[dataclasses.Field[Any], ...]) -> Callable[..., None]:
    """``__init__`` that takes these fields."""
    taken = _Given(cls, fields)
    names, by_name, whole = taken.names, taken.by_name, taken.whole
    is_more_to_do = hasattr(cls, "__post_init__")
    is_never_whole = len(names) < len(fields)

    def initialise(self: Any, /, *placed: Any, **given: Any) -> None:
        if placed:
            given = by_name(placed, given)
        # Most values are given whole, and quickest then.
        if is_never_whole or given.keys() != names:
            given = whole(given)
        self.__dict__.update(given)
        if is_more_to_do:
            self.__post_init__()

    return initialise


def _values_of(names: tuple[str, ...]) -> Callable[[Any], Any]:
    """``attrgetter`` takes no names of none."""
    return attrgetter(*names) if names else lambda _: ()


def _comparing(names: tuple[str, ...]) -> Callable[[Any, object], Any]:
    values = _values_of(names)

    def equals(self: Any, other: object) -> Any:
        if other.__class__ is self.__class__:
            return values(self) == values(other)
        return NotImplemented

    return equals


def _hashing(names: tuple[str, ...]) -> Callable[[Any], int]:
    values = _values_of(names)
    return lambda self: hash(values(self))


def _represent(self: Any) -> str:
    shown = (f"{f.name}={getattr(self, f.name)!r}" for f in dataclasses.fields(self) if f.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _unchanging(cls: type, names: frozenset[str]) -> Callable[..., None]:
    """``__setattr__`` or ``__delattr__`` of a value that is never changed."""

    def refuse(self: object, name: str, *_: object) -> None:
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
        object.__setattr__(self, name, *_) if _ else object.__delattr__(self, name)

    return refuse
