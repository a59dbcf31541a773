"""A noun's listing: tabs, filters and pages in the URL, so that a link to it shows another the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kiln.client.catalogue import Part
from kiln.console.asking import query
from kiln.console.nouns.cells import Cell, cell, is_moving
from kiln.console.nouns.noun import Noun
from kiln.console.visit import Shown, Visit
from kiln.ground.values import dataclass

ROWS = 20  #: On a page.


@dataclass(frozen=True)
class Filter:
    """A field of the form above a listing."""

    part: Part
    value: str


@dataclass(frozen=True)
class Row:
    """A row of the table."""

    cells: tuple[Cell, ...]
    name: str


def show(noun: Noun, visit: Visit) -> Shown:
    """The listing as its template has it."""
    action = visit.catalogue.action(noun.action)
    assert action.listing is not None
    outer, inner = action.listing
    tab = _tab(noun, visit)
    filters = [Filter(part, visit.asked.asked(name)) for name in noun.filters if (part := action.parameter(name))]
    page = _page(visit)
    given = {**noun.fixed, **{one.part.name: one.value for one in filters if one.value}, **tab}
    asked = {**_unpacked(given, action.request.parts), "PageSize": ROWS}
    answer = visit.call(noun.action, {**asked, "PageNumber": page})
    last = -(-int(answer.get("TotalCount", 0)) // ROWS)
    if 0 < last < page:
        # What stood on the page was deleted, or the link to it is old: an empty page would tell that nothing is there.
        page = last
        answer = visit.call(noun.action, {**asked, "PageNumber": page})
    rows: list[Mapping[str, Any]] = answer[outer.name][inner.name]
    total = int(answer.get("TotalCount", len(rows)))
    is_filtered = any(one.value for one in filters)
    is_empty = not rows and not is_filtered and page == 1
    makes = [one.called for one in noun.makes]
    columns = [part for name in noun.columns if (part := inner.part(name))]
    return {
        "noun": noun,
        "tab": tab.get(noun.tab_by, ""),
        "filters": filters,
        "is_filtered": is_filtered,
        "is_empty": is_empty,
        "chief": noun.begins if is_empty and noun.begins else next(iter(makes), ""),
        "columns": columns,
        "rows": [_row(noun, columns, row) for row in rows],
        "total": total,
        "first": (page - 1) * ROWS + 1,
        "last": (page - 1) * ROWS + len(rows),
        "ways": dict(_ways(noun, visit, page, total)),
        "is_moving": any(is_moving(noun, row) for row in rows),
    }


def _row(noun: Noun, columns: list[Part], row: Mapping[str, Any]) -> Row:
    return Row(tuple(cell(part.name, row.get(part.name), noun, row) for part in columns), str(row.get(noun.called, "")))


def _tab(noun: Noun, visit: Visit) -> dict[str, str]:
    """What the tab fixes: the one of the URL, or the first."""
    if not noun.tabs:
        return {}
    wanted = visit.asked.asked(noun.tab_by)
    known = [one.value for one in noun.tabs]
    return {noun.tab_by: wanted if wanted in known else known[0]}


def _page(visit: Visit) -> int:
    asked = visit.asked.asked("page")
    return max(1, int(asked)) if asked.isascii() and asked.isdecimal() and len(asked) < 7 else 1  # noqa: PLR2004


def _ways(noun: Noun, visit: Visit, page: int, total: int) -> Iterator[tuple[str, str]]:
    """Where the page before and the one after are."""
    kept = [(name, value) for name, value in visit.asked.query if name in (*noun.filters, noun.tab_by)]
    if page > 1:
        yield "before", noun.at + query([*kept, ("page", str(page - 1))])
    if page * ROWS < total:
        yield "after", noun.at + query([*kept, ("page", str(page + 1))])


def _unpacked(given: Mapping[str, str], parts: tuple[Part, ...]) -> dict[str, Any]:
    """What is a list on the wire as a list."""
    lists = {part.name for part in parts if part.is_repeated or part.packed}
    return {
        name: [one.strip() for one in value.split(",")] if name in lists else value for name, value in given.items()
    }
