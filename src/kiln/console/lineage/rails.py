"""Puts a lineage into rows, and joins them by rails, as ``git log --graph`` does.

What something was made of stands above it, as far as that can be: an edge that
closes a cycle leads upwards. A node's rail goes down from it, and each of what
was made of it is joined to that rail; the last one takes the rail over. Where a
node has several, the one of which the most was made comes last, so that a chain
stays on its rail and a forest of n nodes needs no more than log2(n) + 1 lanes.

    o         lane 0
    |-.
    | o       lane 1: one that a single rail passes by
    o         lane 0 again: the last one
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from kiln.console.lineage.graph import Edge, Lineage, reached


class Rail(NamedTuple):
    """A rail within a row: its lane, counted from 0, and whether what it tells leads upwards."""

    lane: int
    is_upward: bool = False


class Row(NamedTuple):
    """One node, and the rails at its height."""

    id: str
    lane: int
    passes: tuple[Rail, ...]  #: From the row above to the row below, without touching the node.
    joins: tuple[Rail, ...]  #: From the row above to the node. One that passes as well goes on to others.
    leaves: tuple[Rail, ...]  #: From the node to the row below.


def lay(lineage: Lineage) -> list[Row]:
    """Every node's row, from above to below."""
    upward = _find_upward(lineage)
    order = _order(lineage, upward)
    laying = _Laying(lineage, upward)
    return [laying.row(one) for one in order]


def width(rows: Iterable[Row]) -> int:
    """How many lanes they need."""
    return 1 + max((rail.lane for row in rows for rail in (Rail(row.lane), *row.passes, *row.leaves)), default=-1)


def _find_upward(lineage: Lineage) -> set[Edge]:
    """The edges without which there is no cycle: those that lead back to where a walk came from."""
    upward: set[Edge] = set()
    is_done: dict[str, bool] = {}  # False: the walk came here and has not left yet.
    for start in sorted(lineage.nodes, key=lambda one: (bool(lineage.above[one]), lineage.nodes[one].made, one)):
        if start in is_done:
            continue
        is_done[start] = False
        walk = [(start, iter(lineage.below[start]))]
        while walk:
            here, rest = walk[-1]
            for one in rest:
                if one not in is_done:
                    is_done[one] = False
                    walk.append((one, iter(lineage.below[one])))
                    break
                if not is_done[one]:
                    upward.add(Edge(here, one))
            else:
                is_done[here] = True
                walk.pop()
    return upward


def _order(lineage: Lineage, upward: set[Edge]) -> list[str]:
    """All nodes, each below what it was made of; what belongs together stands together, the newest of it first."""
    below = {one: [b for b in made if Edge(one, b) not in upward] for one, made in lineage.below.items()}
    waits_for = {
        one: sum(Edge(source, one) not in upward for source in sources) for one, sources in lineage.above.items()
    }
    weights = _weigh(below, dict(waits_for))
    next_ones = [one for one in _roots(lineage, waits_for) if waits_for[one] == 0]
    order = []
    while next_ones:
        here = next_ones.pop()
        order.append(here)
        ready = []
        for one in below[here]:
            waits_for[one] -= 1
            if waits_for[one] == 0:
                ready.append(one)
        # The last of them is taken first: the lightest, and of those the newest.
        next_ones += sorted(ready, key=lambda one: (-weights[one], lineage.nodes[one].made, one))
    return order


def _weigh(below: Mapping[str, Sequence[str]], waits_for: dict[str, int]) -> dict[str, int]:
    """How many rows each brings along: itself, and what waits for it alone."""
    order = [one for one, count in waits_for.items() if count == 0]
    brought_by: dict[str, str] = {}
    for here in order:  # It grows while it is read.
        for one in below[here]:
            brought_by[one] = here
            waits_for[one] -= 1
            if waits_for[one] == 0:
                order.append(one)
    weights = dict.fromkeys(order, 1)
    for one in reversed(order):
        if one in brought_by:
            weights[brought_by[one]] += weights[one]
    return weights


def _roots(lineage: Lineage, waits_for: Mapping[str, int]) -> list[str]:
    """Nodes that are above all others, those of the newest tree last, and of a tree the oldest last."""
    both = {one: (*lineage.above[one], *lineage.below[one]) for one in lineage.nodes}
    newest: dict[str, tuple[str, str]] = {}  # Of each node: the newest moment of its tree, and the tree's name.
    for one in lineage.nodes:
        if one not in newest:
            tree = list(reached([one], both))
            newest.update(dict.fromkeys(tree, (max(lineage.nodes[other].made for other in tree), min(tree))))
    roots = [one for one, count in waits_for.items() if count == 0]
    by_age = sorted(roots, key=lambda one: (lineage.nodes[one].made, one), reverse=True)
    return sorted(by_age, key=newest.__getitem__)


class _Laying:
    """Lays one row after another, and knows which lanes are taken below the last."""

    def __init__(self, lineage: Lineage, upward: set[Edge]) -> None:
        self._to_come = {one: {b for b in made if Edge(one, b) not in upward} for one, made in lineage.below.items()}
        self._sources = {
            one: [a for a in sources if Edge(a, one) not in upward] for one, sources in lineage.above.items()
        }
        self._upward_to: dict[str, list[Edge]] = {}
        self._upward_from: dict[str, list[Edge]] = {}
        for edge in sorted(upward):
            self._upward_to.setdefault(edge.below, []).append(edge)
            self._upward_from.setdefault(edge.above, []).append(edge)
        self._rails: dict[int, str | Edge] = {}  #: Taken lanes: whose rail it is, or which edge that leads upwards.
        self._lane_of: dict[str | Edge, int] = {}

    def row(self, here: str) -> Row:
        """The next one."""
        joins, ended = self._joins(here)
        before = {lane: rail for lane, rail in self._rails.items() if lane not in ended}
        own = [rail.lane for rail in joins if rail.lane in ended and not rail.is_upward]
        lane = min(own) if own else _free(before, ended)
        self._rails = dict(before)
        leaves = self._leaves(here, lane)
        passes = tuple(Rail(taken, isinstance(rail, Edge)) for taken, rail in sorted(before.items()))
        return Row(here, lane, passes, joins, leaves)

    def _joins(self, here: str) -> tuple[tuple[Rail, ...], set[int]]:
        joins, ended = [], set()
        for source in self._sources[here]:
            lane = self._lane_of[source]
            joins.append(Rail(lane))
            self._to_come[source].discard(here)
            if not self._to_come[source]:
                ended.add(lane)
        for edge in self._upward_from.get(here, ()):
            lane = self._lane_of[edge]
            joins.append(Rail(lane, is_upward=True))
            ended.add(lane)
        return tuple(sorted(joins)), ended

    def _leaves(self, here: str, lane: int) -> tuple[Rail, ...]:
        leaves = []
        if self._to_come[here]:
            self._rails[lane], self._lane_of[here] = here, lane
            leaves.append(Rail(lane))
        for edge in self._upward_to.get(here, ()):
            # The node's own lane is left to its own rail, so that the two are told apart.
            other = _free(self._rails, {lane})
            self._rails[other], self._lane_of[edge] = edge, other
            leaves.append(Rail(other, is_upward=True))
        return tuple(leaves)


def _free(taken: Mapping[int, object], also: set[int]) -> int:
    """The first lane that nothing takes."""
    lane = 0
    while lane in taken or lane in also:
        lane += 1
    return lane
