"""Forms made of the declaration of an action: a parameter that is added to it is in the form.

The fields of a form are called as the wire calls the parameters (``Tag.1.Key``),
so that what is sent is what was filled in, and the client checks the names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from typing import Any

from kiln.client.catalogue import Action, Part
from kiln.client.parameters import ParameterRefused
from kiln.console.nouns.noun import Does
from kiln.ground.values import dataclass

#: What no form asks for: the session has a region, the form its own token, and whether it is dry the buttons say.
_NEVER = ("RegionId", "regionId", "ClientToken", "DryRun", "PageNumber", "PageSize", "MaxResults", "NextToken")
_ONLY_FALSE = "only absent, empty or false"
MORE_OF = "more_of"  #: The button that asks for one more row; its value is the name of the list.
_MOST_ROWS = 200  #: Of one list: each is made whether anything stands in it or not.
_MOST_DIGITS = 9
_LONG = ("UserData", "CommandContent", "PublicKeyBody")


@dataclass(frozen=True)
class Field:
    """One field: *kind* is text, secret, number, choice, switch, lines, long, or a group or thing (of *inner*)."""

    name: str  #: As the wire calls it.
    kind: str
    part: Part
    value: str = ""
    inner: tuple[Field, ...] = field(default=())
    may_grow: bool = False  #: Of a group: whether there may be one row more.

    @property
    def label(self) -> str:
        """The last of its name that is no number."""
        return next((word for word in reversed(self.name.split(".")) if not word.isdecimal()), self.name)


@dataclass(frozen=True)
class Fields:
    """Those that stand first, those that are folded away, and those that are fixed."""

    first: tuple[Field, ...]
    more: tuple[Field, ...]
    fixed: Mapping[str, str]


def of_action(action: Action, does: Does, fixed: Mapping[str, str], values: Mapping[str, str]) -> Fields:
    """The fields of a form for *action*; *fixed* parameters are not asked for, *values* were filled in before.

    A list of things has a row for each that *values* name, be it empty, and one more where they ask for it.
    Raises ParameterRefused for rows that no form of ours has.
    """
    taken = {name.partition(".")[0] for name in fixed}
    parts = [part for part in action.request.parts if is_asked(part) and part.name not in taken]
    if does.asked is not None:
        parts = [part for part in parts if part.name in does.asked]
    order = {name: n for n, name in enumerate(does.first)}
    shown = sorted((p for p in parts if p.name in order), key=lambda p: order[p.name])
    shown += [p for p in parts if p.is_required and p.name not in order]
    rest = [part for part in parts if part not in shown]
    if not does.first:
        shown, rest = [*shown, *rest], []
    return Fields(tuple(_fields(shown, "", values)), tuple(_fields(rest, "", values)), fixed)


def is_asked(part: Part) -> bool:
    """Whether a form has the parameter: not what has no effect, and not what the console says itself."""
    if part.name in _NEVER or part.no_effect or any(rule.startswith(_ONLY_FALSE) for rule in part.rules):
        return False
    return not part.parts or any(is_asked(one) for one in part.parts)


def is_secret(action: Action, name: str) -> bool:
    """Whether what is typed into the field *name* is on no page afterwards."""
    part = _part(action, name)
    return part is not None and part.is_secret


def to_params(action: Action, form: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The parameters that a form says: what is left empty is not sent, lines are a list."""
    found: dict[str, Any] = {}
    for name, text in form:
        part = _part(action, name)
        if part is None or text == "":
            continue
        is_list = (part.is_repeated or part.packed) and not part.parts
        found[name] = text.split() if is_list and name.rpartition(".")[2] == part.name else text
    return _numbered(found)


def _numbered(found: dict[str, Any]) -> dict[str, Any]:
    """The same with no gaps in lists of things: a row that was left empty is none."""
    order: dict[str, dict[str, int]] = {}
    counted: dict[str, Any] = {}
    for name, value in found.items():
        words = name.split(".")
        if len(words) > 2 and words[1].isdecimal():  # noqa: PLR2004 - a list, a number, and a part.
            numbers = order.setdefault(words[0], {})
            words[1] = str(numbers.setdefault(words[1], len(numbers) + 1))
        counted[".".join(words)] = value
    return counted


def _part(action: Action, name: str) -> Part | None:
    part: Part | None = action.request
    for word in name.split("."):
        if part is None:
            return None
        if not (word.isdecimal() and part.is_repeated):
            part = part.part(word)
    return part


def _fields(parts: Iterable[Part], above: str, values: Mapping[str, str]) -> Iterator[Field]:
    for part in parts:
        name = f"{above}{part.name}"
        if part.parts and part.is_repeated:
            things, most = tuple(_things(part, name, values)), min(part.count or _MOST_ROWS, _MOST_ROWS)
            yield Field(name, "group", part, inner=things, may_grow=len(things) < most)
        elif part.parts:
            inner = tuple(_fields([one for one in part.parts if is_asked(one)], f"{name}.", values))
            yield Field(name, "group", part, inner=inner)
        else:
            yield Field(name, _kind(part), part, "" if part.is_secret else values.get(name, ""))


def _things(part: Part, name: str, values: Mapping[str, str]) -> Iterator[Field]:
    """As many groups as there were, one at least, and one more where that was asked for and may be."""
    above = f"{name}."
    words = {key.removeprefix(above).partition(".")[0] for key in values if key.startswith(above)}
    numbers = [int(word) if len(word) <= _MOST_DIGITS else _MOST_ROWS + 1 for word in words if word.isdecimal()]
    if max([*numbers, 0]) > _MOST_ROWS:
        raise ParameterRefused(f"a form has {_MOST_ROWS} rows of {name} at most")
    count = max([*numbers, 1]) + (values.get(MORE_OF) == name)
    inner = [one for one in part.parts if is_asked(one)]
    for n in range(1, min(count, part.count or _MOST_ROWS, _MOST_ROWS) + 1):
        yield Field(f"{name}.{n}", "thing", part, inner=tuple(_fields(inner, f"{name}.{n}.", values)))


def _kind(part: Part) -> str:
    if part.is_repeated or part.packed:
        return "lines"
    if part.choices:
        return "choice"
    if part.type == "boolean":
        return "switch"
    if part.type in ("integer", "number"):
        return "number"
    if part.name in _LONG:
        return "long"
    return "secret" if part.is_secret else "text"
