"""A lineage: instances, disks, snapshots and images, and which was made of which."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

from kiln.ground.values import dataclass


class Kind(StrEnum):
    """What a node is."""

    INSTANCE = "instance"
    DISK = "disk"  #: One that no instance has.
    SNAPSHOT = "snapshot"
    IMAGE = "image"
    FOLD = "fold"  #: Stands for several images of a family, and the snapshots that only they are made of.


class Node(NamedTuple):
    """A thing that the API told, or whose ID it told."""

    id: str
    kind: Kind
    name: str = ""
    status: str = ""
    made: str = ""  #: ISO 8601; empty of what is not known.
    family: str = ""
    size_bytes: int = 0  #: As it reads, not as it takes room; 0 where the API does not tell it.
    is_missing: bool = False  #: Something names it, and the API does not show it: deleted, or another account's.
    is_others: bool = False  #: Another account's, which shares it.
    holds: tuple[str, ...] = ()  #: Of a fold: the IDs that it stands for.


class Edge(NamedTuple):
    """*below* was made of *above*."""

    above: str
    below: str


@dataclass(frozen=True)
class Lineage:
    """A graph. Both ends of each edge are nodes; nothing is its own source; no edge is there twice."""

    nodes: Mapping[str, Node]
    edges: Sequence[Edge]

    @cached_property
    def above(self) -> Mapping[str, Sequence[str]]:
        """What each node was made of."""
        found: dict[str, list[str]] = {one: [] for one in self.nodes}
        for edge in self.edges:
            found[edge.below].append(edge.above)
        return found

    @cached_property
    def below(self) -> Mapping[str, Sequence[str]]:
        """What was made of each node."""
        found: dict[str, list[str]] = {one: [] for one in self.nodes}
        for edge in self.edges:
            found[edge.above].append(edge.below)
        return found

    def only(self, kept: Callable[[str], bool]) -> Lineage:
        """The part of the nodes that are *kept*, and the edges between them."""
        nodes = {one: node for one, node in self.nodes.items() if kept(one)}
        return Lineage(nodes, [edge for edge in self.edges if edge.above in nodes and edge.below in nodes])


def reached(start: Iterable[str], to: Mapping[str, Sequence[str]], steps: int | None = None) -> Iterator[str]:
    """*start* and all that can be reached by *to* from there, the nearest first; not further than *steps*."""
    seen = dict.fromkeys(start)
    rim = list(seen)
    yield from rim
    while rim and (steps is None or steps > 0):
        steps = None if steps is None else steps - 1
        rim = list(dict.fromkeys(next_one for one in rim for next_one in to[one] if next_one not in seen))
        seen.update(dict.fromkeys(rim))
        yield from rim
