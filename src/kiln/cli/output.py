"""What is printed: answers on standard output, all else on standard error.

On a terminal tables have colours and fit its width; elsewhere they are plain
columns that nothing is cut from, with ``-`` for an empty cell. Text from the
service is shown without control characters, which could command the terminal.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kiln.cli import exits
from kiln.cli.exits import Refusal

_STYLES = {
    "Available": "green", "accomplished": "green", "Running": "green", "Finished": "green", "In_use": "green",
    "CreateFailed": "red", "failed": "red", "Failed": "red", "UnAvailable": "red",
    "Creating": "yellow", "progressing": "yellow", "Processing": "yellow", "Pending": "yellow", "Starting": "yellow",
    "Stopping": "yellow", "Attaching": "yellow", "Detaching": "yellow", "ReIniting": "yellow",
}  # fmt: skip


@dataclass(frozen=True)
class Column:
    """A column: its title, and where its cells come from (a field, or a function of the row)."""

    title: str
    source: str | Callable[[Mapping[str, Any]], Any]

    def cell(self, row: Mapping[str, Any]) -> str:
        """The text of this column in *row*."""
        value = row.get(self.source, "") if isinstance(self.source, str) else self.source(row)
        return clean(_plain(value))


def show_json(answer: Any) -> None:
    """An answer as it came."""
    sys.stdout.write(json.dumps(answer, indent=2, ensure_ascii=False) + "\n")


def show_line(text: str) -> None:
    """One line for a script or a person."""
    sys.stdout.write(clean(text) + "\n")


def show_text(text: str) -> None:
    """Text of our own."""
    sys.stdout.write(text.rstrip() + "\n")


def show_made(answer: Any, *names: str, as_json: bool) -> None:
    """What an action answered: as JSON, or the names of what it made, a line each."""
    if as_json:
        show_json(answer)
        return
    for name in names:
        show_line(name)


def show_found(found: Mapping[str, Any] | None, what: str, *, as_json: bool) -> None:
    """One resource. Raises Refusal when there is none."""
    if found is None:
        raise Refusal(f"there is no {what}", exits.REFUSED)
    if as_json:
        show_json(found)
    else:
        show_facts(found)


def show_rows(rows: Iterable[Mapping[str, Any]], columns: Sequence[Column], *, as_json: bool) -> None:
    """A listing: as one JSON array, or as a table."""
    if as_json:
        show_json(list(rows))
    else:
        show_table(rows, columns)


def show_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[Column]) -> None:
    """One line a row."""
    cells = [[column.cell(row) for column in columns] for row in rows]
    titles = [column.title for column in columns]
    if sys.stdout.isatty():
        _show_coloured(titles, cells)
        return
    filled = [titles, *([cell or "-" for cell in line] for line in cells)]
    widths = [max(len(line[n]) for line in filled) for n in range(len(titles))]
    for line in filled:
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        sys.stdout.write(text.rstrip() + "\n")


def _show_coloured(titles: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    # A script's output needs no colours, and loading what makes them is a third of the time that a listing takes.
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for n, title in enumerate(titles):
        table.add_column(title, no_wrap=n == 0, overflow="fold")
    for line in cells:
        table.add_row(*(Text(cell, _STYLES.get(cell, "")) for cell in line))
    Console().print(table)


def show_facts(row: Mapping[str, Any]) -> None:
    """One resource, a field a line; parts are indented below their name."""
    sys.stdout.writelines(f"{line}\n" for line in _facts(row, 0))


def say(text: str) -> None:
    """One line now, for whoever watches or waits for it."""
    show_line(text)
    sys.stdout.flush()


def note(text: str) -> None:
    """Something to know, on standard error; it may have several lines."""
    sys.stderr.writelines(clean(line) + "\n" for line in text.splitlines() or [""])


def clean(text: str) -> str:
    """*text* without control characters and without characters that turn the direction of writing."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c == " " or unicodedata.category(c)[0] not in "CZ" else "\ufffd" for c in text)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
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
