"""What the audit costs: two servers take turns, one that writes every change down, and one that is told not to."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from bench.load import CLIENTS, Outcome, load
from bench.report import Figure, at_most, median_of
from bench.sections.section import Bench
from bench.server import REGION, Server, start_server
from bench.stock import open_stock

_MOST = 1.05
_SETTINGS = {"with the audit": {}, "without": {"KILN_AUDIT_DAYS": "0"}}


def run(it: Bench) -> None:
    """Take turns, and compare the processor time of all turns: that of one falls between the kernel's ticks."""
    it.report.head(f"The audit beside CreateImage of a snapshot, {CLIENTS} clients, on one core")
    wanted, turns = it.either(1000, 100), it.either(10, 2)
    found: dict[str, list[Outcome]] = {name: [] for name in _SETTINGS}
    with ExitStack() as stack:
        servers = {}
        for number, (name, settings) in enumerate(_SETTINGS.items()):
            data = it.folder / f"audit-{number}"
            with open_stock(data) as stock:
                snapshot = stock.snapshot()
            servers[name] = (stack.enter_context(start_server(data, settings=settings)), snapshot)
            _create(*servers[name], wanted)
        for turn in range(turns):
            # Whoever comes second has the disk that the first has left.
            for name in list(servers) if turn % 2 else reversed(list(servers)):
                found[name].append(_create(*servers[name], wanted))
    for name, outcomes in found.items():
        it.report.add(median_of(name, "/s", [one.rate for one in outcomes], note=f"{_cpu_ms(outcomes):.3f} ms each"))
    one, other = (_cpu_ms(outcomes) for outcomes in found.values())
    ratio = one / other if other else 1.0
    it.report.add(
        Figure(
            "processor time with it, of that without",
            ratio,
            "x",
            n=turns,
            aim=at_most(ratio, _MOST, "a twentieth more at most (1.05x)"),
        )
    )


def _create(server: Server, snapshot: str, wanted: int) -> Outcome:
    return load(server, [{"Action": "CreateImage", "RegionId": REGION, "SnapshotId": snapshot}] * wanted)


def _cpu_ms(outcomes: Sequence[Outcome]) -> float:
    """The server's processor time for a request, of all of these."""
    return sum(one.cpu_seconds for one in outcomes) / sum(one.requests for one in outcomes) * 1000
