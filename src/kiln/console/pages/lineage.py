"""Lineage: where images come from and what came of them, as a table with rails; whole, or around one thing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from kiln.client.client import ApiFailure
from kiln.console.asking import Answer, go_to, query
from kiln.console.lineage import cutting, drawing, rails, standing
from kiln.console.lineage.graph import Kind, Lineage, Node
from kiln.console.lineage.reading import read
from kiln.console.nouns.cells import Cell
from kiln.console.nouns.cells import mood as mood_of
from kiln.console.visit import NotFound, Page, Shown, Visit
from kiln.ground.units import GiB
from kiln.ground.values import dataclass

AT = "/lineage"
ROWS = 60  #: On a page, which is to stay small.
_MOST = ROWS  #: Of each kind that are read at a time: a page has to be there soon, however many things there are.
_ROUNDS = 3  #: In which things are asked for by their IDs, since something on the page was made of them.
_MOST_DEPTH = 99


class _Source(NamedTuple):
    """How a kind of thing is listed, and asked for by ID."""

    action: str
    outer: str
    inner: str
    by_ids: str
    fixed: Mapping[str, Any]


_SOURCES = {
    "images": _Source("DescribeImages", "Images", "Image", "ImageId", {"Status": "ALL"}),
    "snapshots": _Source("DescribeSnapshots", "Snapshots", "Snapshot", "SnapshotIds", {}),
    "disks": _Source("DescribeDisks", "Disks", "Disk", "DiskIds", {}),
    "instances": _Source("DescribeInstances", "Instances", "Instance", "InstanceIds", {}),
}
_PREFIXES = {"m": "images", "s": "snapshots", "d": "disks", "i": "instances"}
_NOUNS = {Kind.IMAGE: "images", Kind.SNAPSHOT: "snapshots", Kind.DISK: "disks", Kind.INSTANCE: "instances"}


@dataclass(frozen=True)
class Row:
    """A row of the table."""

    node: Node
    svg: str
    href: str  #: The page of the thing itself; empty of what is missing.
    from_here: str  #: The lineage around it; empty of what has no more of it to show.
    state: Cell | None
    made_of: tuple[Node, ...]  #: For who does not see rails.
    left: int  #: Neighbours that are not shown.
    images: int  #: Of a fold: how many it stands for.


def show(visit: Visit) -> Shown:
    """The whole forest."""
    lineage, is_part = _gather(visit, ())
    depth = _number(visit, "depth", _MOST_DEPTH)
    cut = cutting.down_to(_folded(visit, lineage), depth)
    return {**_shown(visit, cut, is_part=is_part), "depth": "" if depth == _MOST_DEPTH else depth, "at": AT}


def show_around(visit: Visit) -> Shown | Answer:
    """What one thing was made of and what was made of it, and what could be done with all that."""
    one = visit.args["id"]
    lineage, is_part = _gather(visit, (one,))
    node = lineage.nodes.get(one)
    if node is None or node.is_missing:
        return _to_owner(visit, one)
    up, down = _number(visit, "up", _MOST_DEPTH), _number(visit, "down", _MOST_DEPTH)
    near = cutting.around(lineage, one)
    # What is shown is folded, what is said of it is not.
    folded = _folded(visit, near.lineage)
    cut = cutting.around(folded, one, up=up, down=down) if one in folded.nodes else near
    below = standing.standing_on(lineage, one)
    return {
        **_shown(visit, cut, is_part=is_part),
        "at": f"{AT}/{quote(one, safe='')}",
        "node": node,
        "href": _href(node),
        "up": "" if up == _MOST_DEPTH else up,
        "down": "" if down == _MOST_DEPTH else down,
        "counts": [(kind, count) for kind, count in standing.count(lineage, below).items()],
        "deletion": _deletion(lineage, one),
        "deprecates": len(standing.deprecation(lineage, one).images),
    }


def _to_owner(visit: Visit, disk: str) -> Answer:
    """The way to the lineage of the instance that a disk is a part of. Raises NotFound where there is none."""
    source = _SOURCES["disks"]
    if _PREFIXES.get(disk.partition("-")[0]) == "disks":
        for row in visit.call(source.action, {source.by_ids: [disk]})[source.outer][source.inner]:
            if row["InstanceId"]:
                return go_to(f"{AT}/{quote(row['InstanceId'], safe='')}")
    raise NotFound


def ask_deprecation(visit: Visit) -> Shown:
    """What would be deprecated."""
    one = visit.args["id"]
    lineage, is_part = _gather(visit, (one,))
    if one not in lineage.nodes:
        raise NotFound
    plan = standing.deprecation(lineage, one)
    return {
        "node": lineage.nodes[one],
        "at": f"{AT}/{quote(one, safe='')}",
        "images": [lineage.nodes[image] for image in plan.images],
        "others": [lineage.nodes[image] for image in plan.others],
        "is_part": is_part,
        "failures": [],
    }


def deprecate(visit: Visit) -> Shown | Answer:
    """Deprecate the images that the form named, one after the other; one that is refused holds up none."""
    ask_deprecation(visit)  # Raises where there is no such thing.
    wanted = [value for name, value in visit.asked.form if name == "image"]
    failures: list[tuple[str, ApiFailure]] = []
    for image in wanted:
        try:
            visit.call("ModifyImageAttribute", ImageId=image, Status="Deprecated")
        except ApiFailure as failure:
            failures.append((image, failure))
    if len(failures) < len(wanted):
        visit.say(visit.texts("lineage.deprecated", count=len(wanted) - len(failures)))
    if failures:
        return {**ask_deprecation(visit), "failures": failures}
    return go_to(f"{AT}/{quote(visit.args['id'], safe='')}")


def _shown(visit: Visit, cut: cutting.Around, *, is_part: bool) -> dict[str, Any]:
    rows = rails.lay(cut.lineage)
    first = min(_number(visit, "from", 0), max(len(rows) - 1, 0))
    drawn = rows[first : first + ROWS]
    kept = [(name, value) for name, value in visit.asked.query if name in ("up", "down", "depth", "fold")]
    here = visit.asked.path
    pages = {"before": max(0, first - ROWS)} if first else {}
    if first + ROWS < len(rows):
        pages["after"] = first + ROWS
    return {
        "rows": list(_rows(cut, drawn)),
        "first": first + 1,
        "last": first + len(drawn),
        "total": len(rows),
        "ways": {name: here + query([*kept, ("from", str(number))]) for name, number in pages.items()},
        "is_folded": _is_folded(visit),
        "is_part": is_part,
        "read": _MOST,
    }


def _rows(cut: cutting.Around, rows: Sequence[rails.Row]) -> Iterator[Row]:
    nodes = cut.lineage.nodes
    for row, svg in zip(rows, drawing.draw(rows, nodes), strict=True):
        node = nodes[row.id]
        yield Row(
            node,
            svg,
            "" if node.is_missing else _href(node),
            "" if node.is_missing or node.kind is Kind.FOLD else f"{AT}/{quote(row.id, safe='')}",
            Cell(node.status, mood=mood_of(node.status)) if node.status else None,
            tuple(nodes[source] for source in cut.lineage.above[row.id]),
            cut.left_above.get(row.id, 0) + cut.left_below.get(row.id, 0),
            sum(held.startswith("m-") for held in node.holds),
        )


def _href(node: Node) -> str:
    if node.kind is Kind.FOLD:
        return "/images" + query([("ImageOwnerAlias", "self"), ("ImageFamily", node.family)])
    return f"/{_NOUNS[node.kind]}/{quote(node.id, safe='')}"


def _deletion(lineage: Lineage, one: str) -> Mapping[str, Any]:
    it = standing.deletion(lineage, one)

    def named(ids: Iterable[str]) -> list[Node]:
        return [lineage.nodes[other] for other in ids]

    return {
        "refused_by": named(it.refused_by),
        "forced_by": named(it.forced_by),
        "shares_with": named(it.shares_with),
        "most_gib": it.most_bytes / GiB,
        "leaves": named(it.leaves),
        "leaves_gib": it.leaves_bytes / GiB,
    }


def _gather(visit: Visit, wanted: Iterable[str]) -> tuple[Lineage, bool]:
    """The newest of everything, *wanted* things and what those were made of; and whether there is more than that."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    is_part: dict[str, bool] = {}
    for name, source in _SOURCES.items():
        answer = visit.call(source.action, {**source.fixed, "PageSize": _MOST})
        found[name] = answer[source.outer][source.inner]
        is_part[name] = len(found[name]) < answer["TotalCount"]
    lineage = read(**found)
    asked: set[str] = set()
    missing = [one for one in wanted if one not in lineage.nodes]
    for _ in range(_ROUNDS):
        missing += [one for one, node in lineage.nodes.items() if node.is_missing and is_part[_NOUNS[node.kind]]]
        answered = [_ask_for(visit, name, missing, asked, found) for name in _SOURCES]
        if not any(answered):
            break
        lineage, missing = read(**found), []
    return lineage, any(is_part.values())


def _ask_for(
    visit: Visit, name: str, ids: Iterable[str], asked: set[str], found: dict[str, list[Mapping[str, Any]]]
) -> bool:
    """Ask for things by their IDs, of which none is *asked* for twice; whether any is there."""
    wanted = [one for one in ids if _PREFIXES.get(one.partition("-")[0]) == name and one not in asked][:_MOST]
    if not wanted:
        return False
    asked.update(wanted)
    source = _SOURCES[name]
    by_ids = ",".join(wanted) if name == "images" else wanted
    answer = visit.call(source.action, {**source.fixed, source.by_ids: by_ids, "PageSize": _MOST})
    rows = answer[source.outer][source.inner]
    found[name] += rows
    return bool(rows)


def _folded(visit: Visit, lineage: Lineage) -> Lineage:
    return cutting.folded(lineage) if _is_folded(visit) else lineage


def _is_folded(visit: Visit) -> bool:
    return visit.asked.asked("fold") != "no"


def _number(visit: Visit, name: str, default: int) -> int:
    asked = visit.asked.asked(name)
    return int(asked) if asked.isascii() and asked.isdecimal() and len(asked) <= 4 else default  # noqa: PLR2004


PAGES: tuple[Page, ...] = (
    Page(at=AT, run=show, template="lineage.html"),
    Page(at=f"{AT}/{{id}}", run=show_around, template="lineage_of_one.html"),
    Page(at=f"{AT}/{{id}}/deprecate", run=ask_deprecation, template="lineage_deprecate.html"),
    Page(at=f"{AT}/{{id}}/deprecate", run=deprecate, method="POST", template="lineage_deprecate.html"),
)
