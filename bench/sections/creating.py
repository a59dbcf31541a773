"""How many images a second are made of snapshots: durable, signed, from many clients, on one core.

Two servers take turns, one with an empty database and one with many images, so
that whatever else the machine does meets both alike. Then the same on a disk
whose sync takes longer.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from contextlib import ExitStack

from bench import floors, slowdisk
from bench.load import CLIENTS, Outcome, load
from bench.report import Figure, at_least, median_of
from bench.sections.section import Bench
from bench.server import REGION, Server, start_server
from bench.stock import open_stock

_MANY = 10_000
_RATE = 1000.0
_AS_MANY = 0.9  #: What counts as the same, among measurements that differ by more than that from turn to turn.
_GROUPS = (1, 16, CLIENTS)  #: Callers that share a commit, in the floors.


def run(it: Bench) -> None:
    """Take turns."""
    it.report.head(f"CreateImage of a snapshot, durable, signed, over HTTP, {CLIENTS} clients, on one core")
    many = it.either(_MANY, 1000)
    outcomes, held_against, memory = _measure(it, "create", (0, many), floors.commit_rows)
    for count, found in outcomes.items():
        _report(it, f"with {count:,} images there before", found, held_against)
    rates = [statistics.median(outcome.rate for outcome in found) for found in outcomes.values()]
    ratio = rates[1] / rates[0]
    it.report.add(
        Figure(
            f"with {many:,} images, as many as with none", ratio, "x", aim=at_least(ratio, _AS_MANY, "no fewer (0.9x)")
        )
    )
    it.report.add(Figure("resident memory after all that", memory, "MB"))


def run_slowly(it: Bench) -> None:
    """The same with an empty database, where a sync takes longer."""
    it.report.head(
        f"The same where each sync takes {slowdisk.EXTRA_MS} ms more than the disk's own: strace holds up fsync and "
        "fdatasync"
    )
    against = slowdisk.reason_against()
    if against:
        it.report.say(f"  not measured: {against}")
        return
    outcomes, held_against, _ = _measure(it, "slow", (0,), slowdisk.commit_rows)
    _report(it, f"a sync of {slowdisk.EXTRA_MS} ms more", outcomes[0], held_against)


def _measure(
    it: Bench, name: str, counts: tuple[int, ...], commit_rows: Callable[..., float]
) -> tuple[dict[int, list[Outcome]], dict[str, float], float]:
    """For each count of images what each turn came to; SQLite's own rates by its groups; the last server's memory."""
    wanted, turns = it.either(1000, 100), it.either(5, 2)
    outcomes: dict[int, list[Outcome]] = {count: [] for count in counts}
    bare: dict[int, list[float]] = {group: [] for group in _GROUPS}
    with ExitStack() as stack:
        snapshots, servers = {}, {}
        for count in counts:
            data = it.folder / f"{name}-{count}"
            with open_stock(data) as stock:
                snapshots[count] = stock.snapshot()
                stock.images(snapshots[count], count)
            servers[count] = stack.enter_context(start_server(data, is_slow=name == "slow"))
            _create(servers[count], snapshots[count], wanted // 5)
        for _ in range(turns):
            for group, rates in bare.items():
                rates.append(commit_rows(it.folder, wanted // 5 if group == 1 else wanted, group))
            for count, server in servers.items():
                outcomes[count].append(_create(server, snapshots[count], wanted))
        memory = servers[counts[-1]].memory_mb
    said = {1: "bare SQLite, one row a commit, no HTTP"}
    return (
        outcomes,
        {said.get(n, f"bare SQLite, {n} rows a commit, no HTTP"): statistics.median(r) for n, r in bare.items()},
        memory,
    )


def _create(server: Server, snapshot: str, wanted: int) -> Outcome:
    return load(server, [{"Action": "CreateImage", "RegionId": REGION, "SnapshotId": snapshot}] * wanted)


def _report(it: Bench, what: str, found: list[Outcome], against: dict[str, float]) -> None:
    failed, latencies = sum(o.failed for o in found), [o.percentile(50) for o in found]
    figure = median_of(what, "/s", [o.rate for o in found])
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
            against=against,
            aim=at_least(figure.value if is_met else 0.0, _RATE, f"at least {_RATE:,.0f}/s, none failed"),
        )
    )
