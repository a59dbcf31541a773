"""The catalogue of operations: every declaration of the service, as data that ships with the client.

``catalogue.json`` beside this file is written by ``tools/catalogue.py`` from the
declarations themselves. Loading it imports no operation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

from kiln.ground.values import dataclass

_HOLE = re.compile(r"\{[^{}]*\}")  #: What is filled in of a message.

#: What an instance has for whom no other type was named, by words and by forms.
DEFAULT_INSTANCE_TYPE = "ecs.t5-lc1m1.small"


@dataclass(frozen=True)
class Part:
    """A parameter, or a part of one, or a field of an answer. Empty text and None mean: none."""

    name: str
    type: Literal["string", "integer", "number", "boolean", "object"]
    is_required: bool = False
    is_repeated: bool = False
    packed: Literal["", "json", "comma"] = ""  #: How a list is packed into one string, if it is.
    count: int | None = None  #: How many a repeated parameter may have.
    default: str = ""  #: As the wire spells it.
    rules: tuple[str, ...] = ()  #: In words.
    choices: tuple[str, ...] = ()
    least: int | None = None
    most: int | None = None
    aliases: tuple[str, ...] = ()
    example: str = ""
    no_effect: str = ""  #: Why it is read and has no effect.
    is_secret: bool = False  #: It is to be shown to nobody but who asks, and kept nowhere.
    doc: str = ""
    parts: tuple[Part, ...] = ()

    def part(self, name: str) -> Part | None:
        """The part that is spelled *name*, in the present or a deprecated spelling."""
        return next((part for part in self.parts if name in (part.name, *part.aliases)), None)


@dataclass(frozen=True)
class Fault:
    """An error that the service can answer with."""

    code: str
    message: str  #: A template.
    status: int
    when: str = ""
    hint: str = ""

    def is_said_by(self, message: str) -> bool:
        """Whether *message* may be this error's, filled in with anything."""
        first, *others = _HOLE.split(self.message)
        if not others:
            return message == first
        last, at = others.pop(), len(first)
        for piece in others:
            found = message.find(piece, at)
            if found < 0:
                return False
            at = found + len(piece)
        return message.startswith(first) and message.endswith(last) and len(message) >= at + len(last)


@dataclass(frozen=True)
class Action:
    """An operation. ``parts`` of ``request`` are its parameters, those of ``answer`` the answer's fields."""

    name: str
    product: str
    version: str  #: Of the product.
    group: str
    summary: str
    doc: str
    is_read: bool
    is_idempotent: bool  #: Takes a ClientToken.
    dry_run: str  #: The code that says that a dry run passed; empty when there is none.
    leads_to: tuple[str, ...]  #: The state at once, then each state that it may end in.
    also_in: tuple[str, ...]  #: Names of the other products that have it, too.
    request: Part
    answer: Part
    faults: tuple[Fault, ...]

    def parameter(self, name: str) -> Part | None:
        """The parameter that is spelled *name*."""
        return self.request.part(name)

    @property
    def listing(self) -> tuple[Part, Part] | None:
        """Where the answer keeps its list, if it has one: ``Images``, and ``Image``, whose parts are those of a row."""
        for outer in self.answer.parts:
            if len(outer.parts) == 1 and outer.parts[0].is_repeated:
                return outer, outer.parts[0]
        return None


class Catalogue:
    """See the module's docstring. Actions are built as they are asked for: a call needs one of them.

    An action is found by its title, which is its name, or by ``Vpc:DescribeRegions``
    where a product before has one of that name; ``Ecs:CreateImage`` will do for
    any, and names a product whose version is to be asked for it.
    """

    def __init__(self, content: Mapping[str, Any]) -> None:
        self._products: list[Mapping[str, Any]] = content["products"]
        self._titled: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {}
        self._found: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {}
        products = {product["name"]: product for product in self._products}
        for product in self._products:
            for name, entry in product["operations"].items():
                title = name if name not in self._titled else f"{product['name']}:{name}"
                self._titled[title] = product, entry
                for called in (product["name"], *entry.get("also_in", ())):
                    self._found[f"{called}:{name}"] = products[called], entry
        self._found |= self._titled
        self._errors: Mapping[str, Any] = content["errors"]
        self._gateway: list[str] = content["gateway"]
        self._later: list[str] = content["later"]
        self._built: dict[str, Action] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._found

    @property
    def products(self) -> tuple[tuple[str, str], ...]:
        """Name and version of every product."""
        return tuple((product["name"], product["version"]) for product in self._products)

    @property
    def names(self) -> tuple[str, ...]:
        """The title of every action, in the order of the reference."""
        return tuple(self._titled)

    def summary(self, name: str) -> str:
        """An action's one line, without building the rest."""
        _, entry = self._titled[name]
        return str(entry["summary"])

    def action(self, name: str) -> Action:
        """The action of that name. Raises KeyError."""
        found = self._built.get(name)
        if found is None:
            found = self._built[name] = self._build(name.rpartition(":")[2], *self._found[name])
        return found

    @property
    def gateway(self) -> tuple[Fault, ...]:
        """The errors that any action can answer with."""
        return tuple(Fault(**self._errors[name]) for name in self._gateway)

    @property
    def later(self) -> tuple[Fault, ...]:
        """The errors that what an action has begun may end with, beside the action's own."""
        return tuple(Fault(**self._errors[name]) for name in self._later)

    def hint_later(self, action: str, code: str, message: str) -> str:
        """As ``hint``, for what *action* has begun: its code may stand for much, and its message tells for what."""
        own = self.action(action).faults if action in self else ()
        alike = [fault for fault in (*own, *self.later, *self.gateway) if fault.code == code]
        said = next((fault for fault in alike if fault.is_said_by(message)), None)
        return self.hint(action, code, 0) if said is None else said.hint

    def hint(self, action: str, code: str, status: int) -> str:
        """What a person may do about an error; empty when nothing more can be said than the message says."""
        own = self.action(action).faults if action in self else ()
        alike = [fault for fault in (*own, *self.gateway) if fault.code == code]
        exact = [fault for fault in alike if fault.status == status]
        return next((fault.hint for fault in exact or alike if fault.hint), "")

    def _build(self, name: str, product: Mapping[str, Any], entry: Mapping[str, Any]) -> Action:
        return Action(
            name=name,
            product=product["name"],
            version=product["version"],
            group=entry["group"],
            summary=entry["summary"],
            doc=entry.get("doc", ""),
            is_read=entry.get("is_read", False),
            is_idempotent=entry.get("is_idempotent", False),
            dry_run=entry.get("dry_run", ""),
            leads_to=tuple(entry.get("leads_to", ())),
            also_in=tuple(entry.get("also_in", ())),
            request=Part(name="", type="object", parts=_parts(entry.get("parameters", ()))),
            answer=Part(name="", type="object", parts=_parts(entry.get("answer", ()))),
            faults=tuple(Fault(**self._errors[error]) for error in entry.get("errors", ())),
        )


def _parts(entries: Any) -> tuple[Part, ...]:
    return tuple(_part(entry) for entry in entries)


def _part(entry: Mapping[str, Any]) -> Part:
    lists = {name: tuple(entry.get(name, ())) for name in ("rules", "choices", "aliases")}
    return Part(**{**entry, **lists, "parts": _parts(entry.get("parts", ()))})


@cache
def load() -> Catalogue:
    """The catalogue of this release."""
    return Catalogue(json.loads(Path(__file__).with_name("catalogue.json").read_bytes()))
