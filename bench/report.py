"""Figures: what was measured, what it is held against, what was aimed at, and how that reads."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

_PLAIN_FROM = 100  #: From here on no decimals are printed.


@dataclass(frozen=True)
class Aim:
    """What was aimed at, in words, and whether it was reached."""

    words: str
    is_met: bool


@dataclass(frozen=True)
class Figure:
    """One figure: the median of ``n`` measurements with its unit, and others of the same unit to hold it against."""

    what: str
    value: float
    unit: str
    n: int = 1
    least: float | None = None
    most: float | None = None
    against: Mapping[str, float] = field(default_factory=dict)
    lacks: Mapping[str, str] = field(default_factory=dict)  #: Who has no such figure, and why.
    note: str = ""
    aim: Aim | None = None


@dataclass
class Report:
    """All figures of a run; each is printed when it is known."""

    say: Callable[[str], None]
    figures: list[Figure] = field(default_factory=list)

    def head(self, title: str) -> None:
        """Begin a section."""
        self.say(f"\n{title}")

    def add(self, figure: Figure) -> None:
        """Print a figure and keep it."""
        self.figures.append(figure)
        for line in to_lines(figure):
            self.say(line)

    def conclude(self) -> None:
        """Print how many aims were reached, and which were not."""
        aims = [(figure, figure.aim) for figure in self.figures if figure.aim is not None]
        if not aims:
            return
        missed = [(figure, aim) for figure, aim in aims if not aim.is_met]
        self.say(f"\n{len(aims) - len(missed)} of {len(aims)} aims reached")
        for figure, aim in missed:
            self.say(f"  not reached: {figure.what}: {aim.words}; it is {to_text(figure.value)} {figure.unit}")

    def write(self, path: Path, facts: Mapping[str, object]) -> None:
        """Write all figures, and *facts* about the run, as JSON."""
        content = {**facts, "figures": [asdict(figure) for figure in self.figures]}
        path.write_text(json.dumps(content, indent=2) + "\n")


def to_lines(figure: Figure) -> list[str]:
    """A figure as people read it: one line, and one for each thing that it is held against."""
    line = f"  {figure.what:<58}{to_text(figure.value):>9} {figure.unit:<5}"
    if figure.n > 1 and figure.least is not None and figure.most is not None:
        line += f" (median of {figure.n}: {to_text(figure.least)} to {to_text(figure.most)})"
    lines = [line.rstrip()]
    if figure.note:
        lines.append(f"      {figure.note}")
    for name, value in figure.against.items():
        lines.append(f"      {to_ratio(figure.value, value):>8}  {name}: {to_text(value)} {figure.unit}")
    for name, reason in figure.lacks.items():
        lines.append(f"      {'-':>8}  {name}: {reason}")
    if figure.aim is not None:
        lines.append(f"      aim: {figure.aim.words}: {'reached' if figure.aim.is_met else 'NOT REACHED'}")
    return lines


def to_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as a table of Markdown, which reads well as it is."""
    widths = [max(len(cell) for cell in column) for column in zip(head, *rows, strict=True)]
    rule = ["-" * width for width in widths]
    return [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in (head, rule, *rows)
    ]


def to_text(number: float) -> str:
    """Three digits or more: ``0.092``, ``4.18``, ``12.3``, ``1,234``."""
    size = abs(number)
    if size >= _PLAIN_FROM or number == 0:
        return f"{number:,.0f}"
    decimals = 1 if size >= 10 else 2 if size >= 1 else 3  # noqa: PLR2004 - powers of ten.
    return f"{number:.{decimals}f}"


def to_ratio(value: float, other: float) -> str:
    """How many times *other* the value is: ``3.1x``, or ``1/250`` where it is far less."""
    if other == 0:
        return "-"
    ratio = value / other
    return f"1/{other / value:,.0f}" if 0 < ratio < 0.1 else f"{ratio:,.2f}x"  # noqa: PLR2004 - where 0.09x reads worse.


def median_of(what: str, unit: str, samples: Sequence[float], **more: object) -> Figure:
    """The figure of several measurements."""
    value, least, most = statistics.median(samples), min(samples), max(samples)
    return Figure(what, value, unit, n=len(samples), least=least, most=most, **more)  # type: ignore[arg-type]


def at_most(value: float, limit: float, words: str) -> Aim:
    """That the value is no more than the limit."""
    return Aim(words, value <= limit)


def at_least(value: float, limit: float, words: str) -> Aim:
    """That the value is no less than the limit."""
    return Aim(words, value >= limit)
