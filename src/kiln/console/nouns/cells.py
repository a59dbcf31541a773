"""From a value of an answer to what a page shows of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from kiln.client.catalogue import Part
from kiln.console.nouns.noun import PLACES, Noun, noun_of
from kiln.declare.states import BROKEN, IDLE, WELL
from kiln.ground.values import dataclass

_STATES = ("Status", "TaskStatus", "State")
_MOODS = {
    **dict.fromkeys(map(str, WELL), "well"),
    **dict.fromkeys(map(str, IDLE), "idle"),
    **dict.fromkeys(map(str, BROKEN), "broken"),
}


@dataclass(frozen=True)
class Cell:
    """A value: its text, where it leads, and how it is set."""

    text: str
    href: str = ""  #: Below the console's root.
    mood: str = ""  #: Of a state: well, idle, broken, moving.
    percent: int | None = None


@dataclass(frozen=True)
class Fact:
    """A field of an answer, or a list of things below it."""

    name: str
    doc: str
    cell: Cell
    titles: tuple[Part, ...] = ()
    rows: tuple[tuple[Cell, ...], ...] = ()


def mood(state: str) -> str:
    """How a state reads to who looks at it."""
    return _MOODS.get(state, "moving") if state else ""


def is_moving(noun: Noun, row: Mapping[str, Any]) -> bool:
    """Whether a row is on its way to another state by itself."""
    return bool(noun.state) and mood(str(row.get(noun.state, ""))) == "moving"


def cell(name: str, value: Any, noun: Noun | None = None, row: Mapping[str, Any] | None = None) -> Cell:
    """What is shown of the field *name*; of a row of *noun*, whose ID leads to the row's own page."""
    text = _text(value)
    if noun is not None and name in (noun.state, *_STATES) and text:
        progress = str((row or {}).get(noun.progress, "")).rstrip("%") if noun.progress else ""
        is_under_way = mood(text) == "moving" and progress.isdecimal()
        return Cell(text, mood=mood(text), percent=min(100, int(progress)) if is_under_way else None)
    if noun is not None and name == noun.id and text:
        return Cell(text, f"/{noun.name}/{quote(text, safe='')}")
    place = PLACES.get(name) or (noun_of(text) if name == "ResourceId" else "")
    if place and text:
        return Cell(text, f"/{place}/{quote(text, safe='')}")
    return Cell(text)


def facts(parts: tuple[Part, ...], row: Mapping[str, Any], noun: Noun, above: str = "") -> Iterator[Fact]:
    """All that a row says, an object's fields one by one, a list's things as a table."""
    for part in parts:
        value = row.get(part.name)
        name = f"{above}{part.name}"
        listed = _listed(part, value)
        if listed is not None:
            titles, things = listed
            shown = tuple(tuple(cell(one.name, thing.get(one.name)) for one in titles) for thing in things)
            yield Fact(name, part.doc, Cell(""), titles, shown)
        elif part.parts and isinstance(value, Mapping) and not _is_plain_list(part):
            yield from facts(part.parts, value, noun, f"{name}.")
        else:
            yield Fact(name, part.doc, cell(part.name, value, noun, row))


def _listed(part: Part, value: Any) -> tuple[tuple[Part, ...], list[Mapping[str, Any]]] | None:
    """The titles and things of a list of objects, wrapped as the API has it: ``Tags.Tag``."""
    inner = part.parts[0] if len(part.parts) == 1 else None
    if inner is None or not inner.is_repeated or not inner.parts or not isinstance(value, Mapping):
        return None
    things = [one for one in value.get(inner.name, ()) if isinstance(one, Mapping)]
    seen = tuple(one for one in inner.parts if not one.parts and any(_text(thing.get(one.name)) for thing in things))
    return (seen, things) if things else ((), [])


def _is_plain_list(part: Part) -> bool:
    return len(part.parts) == 1 and part.parts[0].is_repeated and not part.parts[0].parts


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        if (pair := _as_tag(value)) is not None:
            return pair
        return ", ".join(filter(None, (_text(one) for one in value.values())))
    if isinstance(value, list | tuple):
        return ", ".join(filter(None, map(_text, value)))
    return str(value)


def _as_tag(value: Mapping[str, Any]) -> str | None:
    """``role=web`` of a tag, in either of the spellings that the API has of its parts; None of anything else."""
    for key in ("TagKey", "Key"):
        if value.keys() == {key, key.replace("Key", "Value")}:
            return "=".join(filter(None, map(str, value.values())))
    return None
