"""What the console's pages cost: bytes and requests of a browser that comes for the first time, and the server's time.

Every page of the console's table is measured that has something to show: a way
to it is found by following links, as people do.
"""

from __future__ import annotations

import statistics
import time
from contextlib import closing

from bench.report import Figure, at_most, median_of
from bench.sections.section import Bench
from bench.server import KEY_ID, SECRET, start_server
from bench.stock import open_stock
from bench.waits import settle
from kiln.console.pages import PAGES
from kiln.ground.units import KiB
from tests.browser.visiting import Visitor, brought, ways

_NAMED = 5  #: Of the slowest pages.
_MS, _KIB, _REQUESTS = 50.0, 30.0, 2


def run(it: Bench) -> None:
    """Measure every page among many images and layers."""
    images, layers = it.either((10_000, 100_000), (500, 1_000))
    it.report.head(f"The console's pages, among {images:,} images and {layers:,} layers, on one core")
    data = it.folder / "pages"
    with open_stock(data) as stock:
        stock.images(stock.snapshot(), images)
        stock.layers(layers)
        stock.instance([20, 100])
    with start_server(data) as server:
        settle(server)
        with closing(Visitor(server.endpoint.removeprefix("http://"))) as visitor:
            visitor.enter(KEY_ID, SECRET)
            found = ways(visitor, PAGES)
            _times(it, visitor, found)
            _cold(it, visitor, found)
        it.report.add(Figure("resident memory after that", server.memory_mb, "MB"))


def _times(it: Bench, visitor: Visitor, found: dict[str, str]) -> None:
    """The pages in turns, so that what else the machine does meets all alike."""
    times: dict[str, list[float]] = {at: [] for at in found}
    for _ in range(it.either(15, 3)):
        for at, path in found.items():
            began = time.perf_counter()
            visitor.get(path)
            times[at].append((time.perf_counter() - began) * 1000)
    slowest = sorted(times, key=lambda at: -statistics.median(times[at]))
    for at in slowest[:_NAMED]:
        aim = at_most(statistics.median(times[at]), _MS, "at most 50 ms")
        it.report.add(median_of(at, "ms", times[at], aim=aim))
    medians = [statistics.median(times[at]) for at in slowest[_NAMED:]]
    if medians:
        it.report.add(median_of(f"each of the other {len(medians)} pages", "ms", medians))


def _cold(it: Bench, visitor: Visitor, found: dict[str, str]) -> None:
    """The page that brings most, and the one that asks most often, for a browser that has nothing but a session."""
    kib, requests = {}, {}
    for at, path in found.items():
        visitor.forget_files()
        page = visitor.get(path)
        files = brought(page.text)
        requests[at] = 1 + len(files)
        kib[at] = sum(len(answer.sent) for answer in (page, *map(visitor.get, files))) / KiB
    largest, busiest = max(kib, key=lambda at: kib[at]), max(requests, key=lambda at: requests[at])
    it.report.add(
        median_of(
            "bytes of a page and its files, cold",
            "KiB",
            list(kib.values()),
            note=f"most: {largest}",
            aim=at_most(kib[largest], _KIB, "each at most 30 KiB"),
        )
    )
    aim = at_most(requests[busiest], _REQUESTS, "each at most 2")
    it.report.add(median_of("requests for a page, cold", "", list(requests.values()), note=f"most: {busiest}", aim=aim))
