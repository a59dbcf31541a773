"""How quickly DescribeImages answers, with few and with many images in the database."""

from __future__ import annotations

import random
from collections.abc import Sequence

from bench.load import CLIENTS, load
from bench.report import Figure, at_least, at_most, median_of
from bench.sections.section import Bench
from bench.server import REGION, Server, start_server
from bench.stock import open_stock

_RATE, _PAGE_MS = 1000.0, 10.0
_WHERE_AIMED = 10_000  #: How many images there are where pages are aimed at.


def run(it: Bench) -> None:
    """By ID from many clients, pages from one."""
    it.report.head(f"DescribeImages, signed, over HTTP, on one core ({CLIENTS} clients by ID, one for pages)")
    data = it.folder / "describe"
    ids: list[str] = []
    snapshot = ""
    for count in it.either((1_000, _WHERE_AIMED), (500,)):
        with open_stock(data) as stock:
            snapshot = snapshot or stock.snapshot()
            ids += stock.images(snapshot, count - len(ids), first=len(ids))
        with start_server(data) as server:
            _by_id(it, server, ids)
            _pages(it, server, count)


def _by_id(it: Bench, server: Server, ids: Sequence[str]) -> None:
    wanted = it.either(4000, 300)
    params = [{"Action": "DescribeImages", "RegionId": REGION, "ImageId": random.choice(ids)} for _ in range(wanted)]
    load(server, params[: wanted // 10])
    outcome = load(server, params)
    is_met = outcome.rate >= _RATE and outcome.failed == 0
    it.report.add(
        Figure(
            f"by ID among {len(ids):,}",
            outcome.rate,
            "/s",
            note=f"half within {outcome.percentile(50):.1f} ms, 99 % within {outcome.percentile(99):.1f} ms, "
            f"{outcome.failed} of {outcome.requests} failed; {outcome.cost}",
            aim=at_least(outcome.rate if is_met else 0.0, _RATE, "at least 1,000/s, none failed"),
        )
    )


def _pages(it: Bench, server: Server, count: int) -> None:
    for what, size in (("a page of 100", {"PageSize": "100"}), ("a page of the default size, 10", {})):
        params = [{"Action": "DescribeImages", "RegionId": REGION, **size}] * it.either(60, 10)
        load(server, params[:5], clients=1)
        outcome = load(server, params, clients=1)
        figure = median_of(f"{what}, among {count:,}", "ms", outcome.latencies_ms)
        is_aimed = count == _WHERE_AIMED and size != {}
        aim = at_most(figure.value, _PAGE_MS, "at most 10 ms") if is_aimed else None
        note = f"{outcome.failed} failed; {outcome.cost}"
        it.report.add(median_of(figure.what, "ms", outcome.latencies_ms, note=note, aim=aim))
