"""The console: how long a lineage of a thousand things takes from the API's answers to its drawing.

It is held against the least that shows as much: the names of the same things,
escaped and put into a table, without any order or rail. All is processor time:
nothing here waits. The pages themselves follow, and what they are told.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from html import escape
from statistics import median
from typing import Any, TypeVar

from bench.report import at_most, median_of
from bench.sections import pages, telling
from bench.sections.section import Bench
from kiln.console.lineage import cutting, drawing, rails
from kiln.console.lineage.graph import Lineage
from kiln.console.lineage.reading import read

Given = TypeVar("Given")

_NODES = 1000
_AIM_MS = 50.0


def run(it: Bench) -> None:
    """Each shape of forest in turns with its floor."""
    it.report.head(f"The console: a lineage of {_NODES:,} things")
    for words, answers in {"builds of many families": _builds(), "one long chain": _chain()}.items():
        lineage = read(**answers)
        drawn, listed, folded = [], [], []
        for _ in range(it.either(30, 3)):
            drawn.append(_ms(_draw, answers))
            listed.append(_ms(_list, lineage))
            folded.append(_ms(cutting.folded, lineage))
        floor = {"their names in a table": median(listed)}
        aim = at_most(median(drawn), _AIM_MS, f"at most {_AIM_MS:.0f} ms")
        it.report.add(median_of(f"{words}: read, laid and drawn", "ms", drawn, against=floor, aim=aim))
        it.report.add(median_of(f"{words}: folded by family", "ms", folded))
    pages.run(it)
    telling.run(it)


def _draw(answers: Mapping[str, Any]) -> str:
    lineage = read(**answers)
    return "".join(drawing.draw(rails.lay(lineage), lineage.nodes))


def _list(lineage: Lineage) -> str:
    return "".join(f"<tr><td>{escape(node.id)}<td>{escape(node.name)}" for node in lineage.nodes.values())


def _ms(work: Callable[[Given], object], given: Given) -> float:
    began = time.process_time()
    work(given)
    return (time.process_time() - began) * 1000


def _builds() -> Mapping[str, Any]:
    """Builders, the snapshots and images that were made of them, and instances of some."""
    chance = random.Random(1)  # The same forest in every run.
    thirds = _NODES // 3
    builders = [f"i-{n}" for n in range(10)]
    return {
        "snapshots": [_snapshot(f"s-{n}", f"d-{chance.choice(builders)}") for n in range(thirds)],
        "images": [_image(f"m-{n}", f"s-{n}", f"family-{chance.randrange(20)}") for n in range(thirds)],
        "disks": [{"DiskId": f"d-{one}", "InstanceId": one, "Size": 20} for one in builders],
        "instances": [
            *({"InstanceId": one} for one in builders),
            *({"InstanceId": f"i-m-{n}", "ImageId": f"m-{chance.randrange(thirds)}"} for n in range(thirds - 9)),
        ],
    }


def _chain() -> Mapping[str, Any]:
    """An instance, a snapshot of it, an image of that, an instance of that, and so on."""
    thirds = _NODES // 3
    return {
        "snapshots": [_snapshot(f"s-{n}", f"d-{n}") for n in range(thirds)],
        "images": [_image(f"m-{n}", f"s-{n}", "one") for n in range(thirds)],
        "disks": [{"DiskId": f"d-{n}", "InstanceId": f"i-{n}", "Size": 20} for n in range(thirds + 1)],
        "instances": [{"InstanceId": f"i-{n}", "ImageId": f"m-{n - 1}" if n else ""} for n in range(thirds + 1)],
    }


def _snapshot(name: str, disk: str) -> dict[str, Any]:
    return {"SnapshotId": name, "SnapshotName": name, "SourceDiskId": disk, "FullSnapshotSizeInBytes": 20 << 30}


def _image(name: str, snapshot: str, family: str) -> dict[str, Any]:
    mapped = [{"SnapshotId": snapshot, "Size": "20"}]
    return {
        "ImageId": name,
        "ImageName": name,
        "ImageFamily": family,
        "Status": "Available",
        "CreationTime": name.rjust(9, "0"),
        "DiskDeviceMappings": {"DiskDeviceMapping": mapped},
    }
