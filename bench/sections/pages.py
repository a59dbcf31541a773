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
from bench.server import KEY_ID, SECRET, Server, start_server
from bench.stock import open_stock
from bench.waits import settle
from kiln.console.pages import PAGES
from kiln.ground.units import KiB
from tests.browser.visiting import Visitor, brought, ways

_NAMED = 5  #: Of the slowest pages.
_MS, _KIB, _REQUESTS = 50.0, 30.0, 2.0
_TERMINAL = "/terminal"  #: Brings a terminal, which is not held to that.


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
            _times(it, server, visitor, found)
            _cold(it, visitor, found)
        it.report.add(Figure("resident memory after that", server.memory_mb, "MB"))


def _times(it: Bench, server: Server, visitor: Visitor, found: dict[str, str]) -> None:
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
        it.report.add(_computed(it, server, visitor, at, found[at]))
    medians = [statistics.median(times[at]) for at in slowest[_NAMED:]]
    if medians:
        it.report.add(median_of(f"each of the other {len(medians)} pages", "ms", medians))


def _computed(it: Bench, server: Server, visitor: Visitor, at: str, path: str) -> Figure:
    """What of a page's time is the processor's: it tells apart what the page takes and what else the machine does."""
    visits = it.either(30, 3)
    before = server.cpu_s
    for _ in range(visits):
        visitor.get(path)
    spent_ms = (server.cpu_s - before) * 1000 / visits
    aim = at_most(spent_ms, _MS, "at most 50 ms")
    return Figure(f"{at}, of a processor", spent_ms, "ms", n=visits, aim=aim)


def _cold(it: Bench, visitor: Visitor, found: dict[str, str]) -> None:
    """The page that brings most, and the one that asks most often, for a browser that has nothing but a session."""
    kib, requests = {}, {}
    for at, path in found.items():
        if at.endswith(_TERMINAL):
            continue
        page = visitor.get(path)
        files = brought(page.text)
        requests[at] = float(1 + len(files))
        kib[at] = sum(len(answer.sent) for answer in (page, *map(visitor.get, files))) / KiB
    for what, unit, of, limit in (
        ("the most that a page and its files bring, cold", "KiB", kib, _KIB),
        ("the most requests of a page, cold", "", requests, _REQUESTS),
    ):
        most = max(of, key=of.__getitem__)
        note = f"{most}; half of the pages: {statistics.median(of.values()):.1f}"
        aim = at_most(of[most], limit, f"at most {limit:.0f}, but for terminals")
        it.report.add(Figure(what, of[most], unit, n=len(of), note=note, aim=aim))
