"""What stands on a node, what deleting it would do, and what deprecating it and all below it would.

How many bytes a deletion gives back is not told by the API: layers are shared,
and a layer that something stands on stays. So there is a bound: what nothing
else can need any more, as it reads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from kiln.console.lineage.graph import Kind, Lineage, Node, reached

_AVAILABLE = "Available"


class Deletion(NamedTuple):
    """What deleting a node would do."""

    refused_by: tuple[str, ...]  #: Because of these it is refused, by force or not.
    forced_by: tuple[str, ...]  #: Because of these it takes Force; they stay as they are.
    shares_with: tuple[str, ...]  #: These need some of its bytes: what they need stays.
    most_bytes: int  #: No more than this is given back.
    leaves: tuple[str, ...]  #: Snapshots which nothing else is made of, and that stay when the image is gone.
    leaves_bytes: int  #: No more than this is given back when they are deleted, too.


class Deprecation(NamedTuple):
    """Images that would be deprecated, and those that would not, the nearest first."""

    images: tuple[str, ...]
    others: tuple[str, ...]  #: Deprecated already, being made, failed, or another account's.


def standing_on(lineage: Lineage, one: str) -> tuple[str, ...]:
    """All that was made of a node, directly or not, the nearest first. Raises KeyError."""
    return tuple(reached([one], lineage.below))[1:]


def count(lineage: Lineage, ids: tuple[str, ...]) -> Mapping[Kind, int]:
    """How many of each kind they are."""
    return Counter(lineage.nodes[one].kind for one in ids)


def deletion(lineage: Lineage, one: str) -> Deletion:
    """What deleting a node would do, as DeleteImage, DeleteSnapshot, DeleteDisk and DeleteInstance say it.

    Raises KeyError.
    """
    node = lineage.nodes[one]
    below = [made for made in lineage.below[one] if made != one]
    if node.is_missing or node.is_others or node.kind is Kind.FOLD:
        return Deletion((), (), (), 0, (), 0)
    if node.kind is Kind.IMAGE:
        return _of_image(lineage, one, below)
    if node.kind is Kind.SNAPSHOT:
        images = [made for made in below if lineage.nodes[made].kind is Kind.IMAGE]
        disks = [made for made in below if made not in images and lineage.nodes[made].kind is not Kind.SNAPSHOT]
        shares = _sharing(lineage, one, below)
        return Deletion(tuple(images), tuple(disks), shares, 0 if images else node.size_bytes, (), 0)
    return Deletion((), (), _sharing(lineage, one, below), node.size_bytes, (), 0)


def deprecation(lineage: Lineage, one: str) -> Deprecation:
    """What deprecating a node, if it is an image, and every image below it would do. Raises KeyError."""
    images = [
        node
        for node in (lineage.nodes[made] for made in reached([one], lineage.below))
        if node.kind is Kind.IMAGE and not node.is_missing
    ]
    return Deprecation(
        tuple(node.id for node in images if _can_be_deprecated(node)),
        tuple(node.id for node in images if not _can_be_deprecated(node)),
    )


def _of_image(lineage: Lineage, one: str, below: list[str]) -> Deletion:
    """Its bytes are its snapshots'; these stay."""
    alone = [
        source
        for source in lineage.above[one]
        if not lineage.nodes[source].is_missing
        and lineage.nodes[source].kind is Kind.SNAPSHOT
        and lineage.below[source] == [one]
    ]
    shares = {other for source in alone for other in _sharing(lineage, source, [])} | set(below)
    bytes_left = sum(lineage.nodes[source].size_bytes for source in alone)
    return Deletion((), tuple(below), tuple(sorted(shares)), 0, tuple(alone), bytes_left)


def _sharing(lineage: Lineage, one: str, below: list[str]) -> tuple[str, ...]:
    """Who needs bytes of a node: what was made of it, and of a snapshot the disk that goes on above its layer."""
    sources = [source for source in lineage.above[one] if not lineage.nodes[source].is_missing]
    return tuple(dict.fromkeys([*below, *sources]))


def _can_be_deprecated(node: Node) -> bool:
    return node.status == _AVAILABLE and not node.is_others
