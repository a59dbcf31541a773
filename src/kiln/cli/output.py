"""What is printed: answers on standard output, all else on standard error.

Text from the service is shown without control characters, which could command
the terminal. ``kiln.cli.tables`` lays tables out.
"""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from kiln.cli import exits, tables
from kiln.cli.exits import Refusal
from kiln.ground.prose import fold
from kiln.ground.values import dataclass
from kiln.service.terminal import terminal_room


@dataclass(frozen=True)
class Column:
    """A column: its title, and where its cells come from (a field, or a function of the row)."""

    title: str
    source: str | Callable[[Mapping[str, Any]], Any]
    is_id: bool = False  #: Whether this names the row, where it is not the first column.
    is_prose: bool = False  #: Whether somebody wrote it, as a name: it says something without its end, too.
    when: Callable[[Mapping[str, Any]], bool] | None = None  #: Of which rows it tells something; shown if there is one.

    def tells(self, rows: Sequence[Mapping[str, Any]]) -> bool:
        """Whether it is worth its room beside these rows."""
        return self.when is None or any(map(self.when, rows))

    def cell(self, row: Mapping[str, Any]) -> str:
        """The text of this column in *row*."""
        value = row.get(self.source, "") if isinstance(self.source, str) else self.source(row)
        return clean(_plain(value))


def mark(title: str, holds: Callable[[Mapping[str, Any]], bool]) -> Column:
    """A column that says yes of the rows of which something holds; shown if there is one."""
    return Column(title, lambda row: "yes" if holds(row) else "", when=holds)


def show_json(answer: Any) -> None:
    """An answer as it came."""
    is_plain = not (sys.stdout.encoding or "").lower().startswith("utf")
    sys.stdout.write(json.dumps(answer, indent=2, ensure_ascii=is_plain) + "\n")


def show_line(text: str) -> None:
    """One line for a script or a person."""
    sys.stdout.write(clean(text) + "\n")


def show_text(text: str) -> None:
    """Text of our own."""
    sys.stdout.write(text.rstrip() + "\n")


def show_made(answer: Any, *names: str, as_json: bool) -> None:
    """What an action answered, at once: as JSON, or the names of what it made, a line each."""
    if as_json:
        show_json(answer)
    else:
        for name in names:
            show_line(name)
    sys.stdout.flush()


def show_found(found: Mapping[str, Any] | None, what: str, *, as_json: bool) -> None:
    """One resource. Raises Refusal when there is none."""
    if found is None:
        raise Refusal(f"there is no {what}", exits.REFUSED)
    if as_json:
        show_json(found)
    else:
        show_facts(found)


@dataclass(frozen=True)
class View:
    """How a listing is wanted."""

    as_json: bool = False
    ids_only: bool = False
    columns: str | None = None  #: Titles or fields, with commas between them.

    def chosen(self, columns: Sequence[Column], fields: Sequence[Column] = ()) -> Sequence[Column]:
        """The columns that are wanted: some of *columns*, or *fields* of the answer. Raises Refusal for no such one."""
        if self.as_json + self.ids_only + bool(self.columns) > 1:
            raise Refusal("give one of --json, --quiet and --columns", exits.USAGE)
        if self.ids_only:
            return [column for column in columns if column.is_id] or columns[:1]
        if self.columns is None:
            return columns
        known = {_key(column.title): column for column in (*fields, *columns)}
        unknown = [name for name in self.columns.split(",") if _key(name) not in known]
        if unknown:
            there_are = ", ".join(dict.fromkeys(column.title for column in (*columns, *fields)))
            raise Refusal(f"there is no column {unknown[0]!r}", exits.USAGE, f"There are: {there_are}.")
        return [known[_key(name)] for name in self.columns.split(",")]


def show_rows(
    rows: Iterable[Mapping[str, Any]], columns: Sequence[Column], view: View, fields: Sequence[Column] = ()
) -> None:
    """A listing: as one JSON array, as the first column's cells alone, or as a table. Raises Refusal."""
    chosen = view.chosen(columns, fields)
    if view.as_json:
        show_json(list(rows))
    elif view.ids_only:
        for row in rows:
            show_line(chosen[0].cell(row))
    else:
        rows = list(rows)
        if view.columns is None:
            chosen = [column for column in chosen if column.tells(rows)]
        show_table(rows, chosen, "`--columns {}` shows them, and `| cat` all that there is")


def show_table(
    rows: Iterable[Mapping[str, Any]], columns: Sequence[Column], more: str = "`| cat` after it shows all that there is"
) -> None:
    """One line a row. *more* says how to see the columns that a terminal has no room for: see ``tables.show``."""
    cells = [[column.cell(row) for column in columns] for row in rows]
    tables.show([column.title for column in columns], cells, [column.is_prose for column in columns], more)


def show_facts(row: Mapping[str, Any]) -> None:
    """One resource, a field a line; parts are indented below their name."""
    for line in _facts(row, 0):
        sys.stdout.writelines(f"{one}\n" for one in fold(line, terminal_room(sys.stdout), _indent_of_value(line)))


def _indent_of_value(line: str) -> int:
    """Where the value begins in a line of facts: behind the gap that follows the name."""
    found = re.match(r" *(- )?\w+ {2,}", line)
    return found.end() if found else 0


def say(text: str) -> None:
    """A sentence now, for whoever watches or waits for it. A terminal gets it folded at blanks."""
    for line in fold(clean(text), terminal_room(sys.stdout)):
        show_line(line)
    sys.stdout.flush()


def note(text: str) -> None:
    """Something to know, on standard error; it may have several lines. A terminal gets them folded at blanks."""
    room = terminal_room(sys.stderr)
    for line in text.splitlines() or [""]:
        sys.stderr.writelines(f"{one}\n" for one in fold(clean(line), room))


def clean(text: str) -> str:
    """*text* without control characters and without characters that turn the direction of writing."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c == " " or unicodedata.category(c)[0] not in "CZ" else "\ufffd" for c in text)


def _key(title: str) -> str:
    """A column's title as anybody may write it: ``public-ip`` for ``PUBLIC IP``."""
    return title.strip().lower().replace(" ", "").replace("-", "")


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        # A list's own wrapping (``Tags.Tag``) says nothing, and a tag is written as it is given.
        inner = next(iter(value.values())) if len(value) == 1 else None
        if isinstance(inner, list):
            return _plain(inner)
        if value.keys() == {"TagKey", "TagValue"}:
            return f"{value['TagKey']}={value['TagValue']}"
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list | tuple):
        return ",".join(map(_plain, value))
    return "" if value is None else str(value)


def _facts(row: Mapping[str, Any], depth: int) -> Iterable[str]:
    """Lines of a resource. A list's own wrapping (``Tags.Tag``) is not shown twice; what is empty is left out."""
    space = "  " * depth
    width = max((len(name) for name in row), default=0)
    for name, value in row.items():
        inner = value
        if isinstance(inner, Mapping) and len(inner) == 1 and isinstance(next(iter(inner.values())), list):
            inner = next(iter(inner.values()))
        if inner in ("", None) or inner in ([], {}):
            continue
        if isinstance(inner, Mapping):
            parts = list(_facts(inner, depth + 1))
            yield from [f"{space}{name}", *parts] if parts else ()
        elif isinstance(inner, list) and isinstance(inner[0], Mapping):
            yield f"{space}{name}"
            for part in inner:
                first, *rest = _facts(part, 0)
                yield f"{space}  - {first}"
                yield from (f"{space}    {line}" for line in rest)
        else:
            yield f"{space}{name.ljust(width)}  {clean(_plain(inner))}"


def progress_shown() -> Callable[[int, int], None]:
    """Show on a terminal how far a copy is; the line is taken away at its end."""
    shown = -1

    def show_percent(done: int, total: int) -> None:
        nonlocal shown
        percent = min(100, 100 * done // total) if total else 100
        if percent != shown and sys.stderr.isatty():
            shown = percent
            sys.stderr.write(f"\r\x1b[K{f'{percent} %' if percent < 100 else ''}")  # noqa: PLR2004 - all.
            sys.stderr.flush()

    return show_percent
