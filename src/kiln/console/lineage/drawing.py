"""Draws rows as SVG: one small drawing for each, which together, without a gap, are the graph.

So the graph is a column of a table, and whatever reads the table, with or
without eyes or style sheets, has the whole of it. No text is in a drawing, and
no style: what is drawn says by its classes what it is, and a style sheet gives
the colours.

    rail kN       a rail; N is its lane modulo LOOKS
    up            of a rail: it leads upwards, to what was made of what stands below
    node KIND     the node; also gone, of what is missing, and others', of another account's
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kiln.console.lineage.graph import Kind, Node
from kiln.console.lineage.rails import Rail, Row, width

LANE = 14  #: Units between two lanes.
HEIGHT = 28  #: Units of a row.
LOOKS = 6  #: So many kinds of rails are told apart.
_MOST_LANES = 40  #: What lies further right is drawn at this one: a row has to have room for words.

_MIDDLE = HEIGHT // 2

#: Drawn from the node's middle, at which the pen stands.
_SHAPES = {
    Kind.INSTANCE: "m-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0z",
    Kind.DISK: "m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0z",
    Kind.SNAPSHOT: "m0-6l6 6l-6 6l-6-6z",
    Kind.IMAGE: "m-5-5h10v10h-10z",
    Kind.FOLD: "m-5-5h7v7h-7zm3 7v3h7v-7h-3",
}


def draw(rows: Sequence[Row], nodes: Mapping[str, Node]) -> list[str]:
    """The drawing of each row, as SVG to be put into HTML. All are equally wide."""
    lanes = min(width(rows), _MOST_LANES)
    head = f'<svg class="rails" viewBox="0 0 {lanes * LANE} {HEIGHT}" width="{lanes * LANE}" height="{HEIGHT}"'
    head += ' aria-hidden="true" focusable="false">'
    return [f"{head}{_draw_row(row, nodes[row.id])}</svg>" for row in rows]


def _draw_row(row: Row, node: Node) -> str:
    x = _x(row.lane)
    parts = [_path(rail, f"M{_x(rail.lane)} 0v{HEIGHT}") for rail in row.passes]
    parts += [_path(rail, _join(_x(rail.lane), x)) for rail in row.joins]
    parts += [_path(rail, _leave(x, _x(rail.lane))) for rail in row.leaves]
    looks = " ".join(
        ["node", node.kind, *(["gone"] if node.is_missing else []), *(["others"] if node.is_others else [])]
    )
    parts.append(f'<path class="{looks}" d="M{x} {_MIDDLE}{_SHAPES[node.kind]}"/>')
    return "".join(parts)


def _path(rail: Rail, line: str) -> str:
    looks = f"rail k{rail.lane % LOOKS}{' up' if rail.is_upward else ''}"
    return f'<path class="{looks}" d="{line}"/>'


def _join(start: int, end: int) -> str:
    """From the top of the row to its middle."""
    return f"M{start} 0v{_MIDDLE}" if start == end else f"M{start} 0Q{start} {_MIDDLE} {end} {_MIDDLE}"


def _leave(start: int, end: int) -> str:
    """From the middle of the row to its bottom."""
    return f"M{start} {_MIDDLE}v{_MIDDLE}" if start == end else f"M{start} {_MIDDLE}Q{end} {_MIDDLE} {end} {HEIGHT}"


def _x(lane: int) -> int:
    return min(lane, _MOST_LANES - 1) * LANE + LANE // 2
