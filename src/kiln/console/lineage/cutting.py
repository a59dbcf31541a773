"""Less of a lineage than there is: what lies around one node, and families as one row each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from kiln.console.lineage.graph import Edge, Kind, Lineage, Node, reached


class Around(NamedTuple):
    """A part of a lineage, and how many neighbours of its nodes were left out."""

    lineage: Lineage
    left_above: Mapping[str, int]
    left_below: Mapping[str, int]


def around(lineage: Lineage, start: str, *, up: int | None = None, down: int | None = None) -> Around:
    """What *start* was made of, at most *up* steps away, and what was made of it, at most *down* steps; None: all.

    Raises KeyError where *start* is no node.
    """
    if start not in lineage.nodes:
        raise KeyError(start)
    kept = {*reached([start], lineage.above, up), *reached([start], lineage.below, down)}
    return _cut(lineage, kept)


def down_to(lineage: Lineage, depth: int) -> Around:
    """What lies at most *depth* steps below whatever was made of nothing."""
    roots = [one for one, sources in lineage.above.items() if not sources]
    kept = set(reached(roots, lineage.below, depth))
    # What stands in a cycle that no root leads to has no depth: it is all kept.
    kept |= lineage.nodes.keys() - set(reached(roots, lineage.below))
    return _cut(lineage, kept)


def folded(lineage: Lineage) -> Lineage:
    """Families folded: of each the older images that nothing stands on become one node.

    The snapshots of which nothing but such images was made go with them. The
    newest image of a family is always shown, and a single older one too: a row
    that stands for one row says less than that one.
    """
    holder: dict[str, str] = {}
    nodes = dict(lineage.nodes)
    for family, images in _families(lineage).items():
        newest, *older = sorted(images, key=lambda image: (image.made, image.id), reverse=True)
        idle = [image for image in older if not lineage.below[image.id]]
        if len(idle) < 2:  # noqa: PLR2004 - as the docstring says.
            continue
        ids = {image.id for image in idle}
        sources = {above for image in idle for above in lineage.above[image.id] if _is_only_for(lineage, above, ids)}
        held = (*(image.id for image in idle), *sorted(sources))
        fold = f"fold-{newest.id}"
        nodes[fold] = Node(fold, Kind.FOLD, name=family, made=idle[0].made, family=family, holds=held)
        holder.update(dict.fromkeys(held, fold))
    for one in holder:
        del nodes[one]
    edges = dict.fromkeys(
        Edge(above, holder.get(below, below)) for above, below in lineage.edges if above not in holder
    )
    return Lineage(nodes, list(edges))


def _families(lineage: Lineage) -> dict[str, list[Node]]:
    found: dict[str, list[Node]] = {}
    for node in lineage.nodes.values():
        if node.kind is Kind.IMAGE and node.family and not node.is_others:
            found.setdefault(node.family, []).append(node)
    return found


def _is_only_for(lineage: Lineage, source: str, images: set[str]) -> bool:
    node = lineage.nodes[source]
    return node.kind is Kind.SNAPSHOT and not node.is_missing and images.issuperset(lineage.below[source])


def _cut(lineage: Lineage, kept: set[str]) -> Around:
    left_above = Counter(edge.below for edge in lineage.edges if edge.above not in kept and edge.below in kept)
    left_below = Counter(edge.above for edge in lineage.edges if edge.below not in kept and edge.above in kept)
    return Around(lineage.only(kept.__contains__), left_above, left_below)
