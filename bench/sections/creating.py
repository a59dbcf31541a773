"""How many images a second are made of snapshots: durable, signed, from many clients, on one core.

Two servers take turns, one with an empty database and one with many images, so
that whatever else the machine does meets both alike.
"""

from __future__ import annotations

import statistics
from contextlib import ExitStack

from bench.floors import commit_rows
from bench.load import CLIENTS, Outcome, load
from bench.report import Figure, at_least, median_of
from bench.sections.section import Bench
from bench.server import REGION, Server, start_server
from bench.stock import open_stock

_MANY = 10_000
_RATE = 400.0
_AS_MANY = 0.9  #: What counts as the same, among measurements that differ by more than that from turn to turn.


def run(it: Bench) -> None:
    """Take turns."""
    it.report.head(f"CreateImage of a snapshot, durable, signed, over HTTP, {CLIENTS} clients, on one core")
    many = it.either(_MANY, 1000)
    wanted, turns = it.either(600, 100), it.either(5, 2)
    outcomes: dict[int, list[Outcome]] = {0: [], many: []}
    floors = []
    with ExitStack() as stack:
        snapshots, servers = {}, {}
        for count in outcomes:
            data = it.folder / f"create-{count}"
            with open_stock(data) as stock:
                snapshots[count] = stock.snapshot()
                stock.images(snapshots[count], count)
            servers[count] = stack.enter_context(start_server(data))
            _create(servers[count], snapshots[count], wanted // 5)
        for _ in range(turns):
            floors.append(commit_rows(it.folder, wanted))
            for count, server in servers.items():
                outcomes[count].append(_create(server, snapshots[count], wanted))
        memory = servers[many].memory_mb
    for count, found in outcomes.items():
        _report(it, count, found, statistics.median(floors))
    rates = [statistics.median(outcome.rate for outcome in found) for found in outcomes.values()]
    ratio = rates[1] / rates[0]
    it.report.add(
        Figure(
            f"with {many:,} images, as many as with none", ratio, "x", aim=at_least(ratio, _AS_MANY, "no fewer (0.9x)")
        )
    )
    it.report.add(Figure("resident memory after all that", memory, "MB"))


def _create(server: Server, snapshot: str, wanted: int) -> Outcome:
    return load(server, [{"Action": "CreateImage", "RegionId": REGION, "SnapshotId": snapshot}] * wanted)


def _report(it: Bench, count: int, found: list[Outcome], floor: float) -> None:
    failed, latencies = sum(o.failed for o in found), [o.percentile(50) for o in found]
    figure = median_of(f"with {count:,} images there before", "/s", [o.rate for o in found])
    note = (
        f"half within {statistics.median(latencies):.1f} ms, {failed} failed; "
        f"{sorted(found, key=lambda outcome: outcome.cpu_ms)[len(found) // 2].cost}"
    )
    is_met = figure.value >= _RATE and failed == 0
    it.report.add(
        median_of(
            figure.what,
            "/s",
            [o.rate for o in found],
            note=note,
            against={"bare SQLite, one row a commit, no HTTP": floor},
            aim=at_least(figure.value if is_met else 0.0, _RATE, "at least 400/s, none failed"),
        )
    )
