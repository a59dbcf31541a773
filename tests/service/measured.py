"""What a Kiln tells of what it measures, read by Prometheus's own parser.

before = measured(cloud)
...
assert measured(cloud).since(before, "kiln_captures_total", consistency="stopped") == 1
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from kiln.service.datafolder import DataFolder
from kiln.service.exposition import Exposition
from kiln.service.health import health
from kiln.service.readings import Readings
from kiln.upkeep.audit import Room
from tests.clouds import Cloud


@dataclass
class Measured:
    """Samples by their names and labels."""

    samples: dict[tuple[str, frozenset[tuple[str, str]]], float]

    def __call__(self, name: str, **labels: str) -> float | None:
        """The value of one; None where there is none."""
        return self.samples.get((name, frozenset(labels.items())))

    def since(self, before: Measured, name: str, **labels: str) -> float:
        """How much one has grown, which may have begun since."""
        return (self(name, **labels) or 0.0) - (before(name, **labels) or 0.0)

    def labels(self, name: str) -> Iterator[dict[str, str]]:
        """Those of every series of that name."""
        return (dict(labels) for found, labels in self.samples if found == name)


def read(text: str) -> Measured:
    """The samples of a scrape."""
    families = text_string_to_metric_families(text)
    return Measured({(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples})


def scrape(cloud: Cloud, accepted: str = "", room: Room | None = None) -> tuple[str, bytes]:
    """All that a Kiln without HTTP measures just now, as it is told; *room* is its audit's."""
    process = ("all", "local", "worker-1")
    audit = room or Room(cloud.ports, 1000)
    readings = Readings(
        cloud.ports, DataFolder(cloud.folder), lambda: health(cloud.ports), lambda: 3, audit, process=process
    )
    return Exposition(readings).tell(accepted)


def measured(cloud: Cloud, room: Room | None = None) -> Measured:
    """The same, read."""
    return read(scrape(cloud, room=room)[1].decode())
