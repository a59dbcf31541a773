"""What it takes that the console tells browsers what changes: until one sees it, in memory, and of CreateImage."""

from __future__ import annotations

import shutil
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

from bench.report import Figure, at_most, median_of
from bench.sections.section import Bench
from bench.server import KEY_ID, SECRET, Server, start_server
from bench.stock import open_stock
from bench.waits import GENTLE_S, create_image, rest, settle
from kiln.client.client import Client
from kiln.ground.units import KiB
from tests.browser.visiting import Visitor
from tests.browser.windows import open_browser, open_window

_BROWSERS = 100
_SEEN_MS, _BESIDE = 200.0, 1.5
_SOON_S = 30.0

#: Notes when a frame was painted in which the list has a row of that name.
_WATCH = """name => {
  window.seen = new Promise(done => {
    const look = () => {
      const isThere = document.getElementById("rows")?.textContent.includes(name)
      requestAnimationFrame(() => isThere ? done(Date.now()) : look())
    }
    look()
  })
}"""


def run(it: Bench) -> None:
    """A second browser first, and then a hundred of them."""
    it.report.head("The console tells browsers of changes, on one core")
    data = it.folder / "telling"
    with open_stock(data) as stock:
        instance = stock.instance([20])
    with start_server(data) as server, closing(server.client()) as client:
        settle(server)
        _seen(it, server, client, instance)
        _beside(it, server, client, instance)


def _seen(it: Bench, server: Server, client: Client, instance: str) -> None:
    """From the call of CreateImage until the list in a browser shows the image."""
    if shutil.which("chromium") is None:
        it.report.say("  until it is seen: left out, there is no chromium here")
        return
    with open_browser() as browser, open_window(browser, server.endpoint) as window:
        page = window.page
        page.goto(Visitor(server.endpoint.removeprefix("http://")).link(KEY_ID, SECRET))
        page.wait_for_url("**/console/")
        page.goto("/console/images")  # Now the browser has been here, and gets the script as well.
        seen = [_seen_ms(page, client, instance, f"seen-{n}") for n in range(it.either(15, 3))]
    aim = at_most(statistics.median(seen), _SEEN_MS, "at most 200 ms")
    it.report.add(median_of("CreateImage, from the call to a row on another screen", "ms", seen, aim=aim))


def _seen_ms(page: Any, client: Client, instance: str, name: str) -> float:
    page.evaluate(_WATCH, name)
    rest()
    began = time.time()
    client.call("CreateImage", InstanceId=instance, ImageName=name)
    return float(page.evaluate("window.seen")) - began * 1000


def _beside(it: Bench, server: Server, client: Client, instance: str) -> None:
    """Memory with a hundred that are told, and CreateImage alone and beside them, in turns."""
    before = server.memory_mb
    alone, beside, grown = [], [], []
    for _ in range(it.either(10, 2)):
        alone.append(_create_ms(client, instance))
        with _looking(server):
            grown.append(server.memory_mb - before)
            beside.append(_create_ms(client, instance))
    what = f"resident memory for each of {_BROWSERS} browsers that are told"
    it.report.add(Figure(what, max(grown) * KiB / _BROWSERS, "KiB", note=f"{before:.0f} MB without"))
    ratio = statistics.median(beside) / statistics.median(alone)
    note = f"{statistics.median(beside):.1f} ms instead of {statistics.median(alone):.1f} ms"
    aim = at_most(ratio, _BESIDE, "at most 1.5 times as long")
    it.report.add(Figure(f"CreateImage beside {_BROWSERS} of them", ratio, "x", n=len(beside), note=note, aim=aim))


def _create_ms(client: Client, instance: str) -> float:
    rest()
    return create_image(client, instance, GENTLE_S).done_s * 1000


@contextmanager
def _looking(server: Server) -> Iterator[None]:
    """A hundred browsers that are told what changes; they are when this begins."""
    host = server.endpoint.removeprefix("http://")
    with ExitStack() as held:
        visitor = held.enter_context(closing(Visitor(host)))
        visitor.enter(KEY_ID, SECRET)
        cookies = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
        request = f"GET /console/changes HTTP/1.1\r\nHost: {host}\r\nCookie: {cookies}\r\n\r\n".encode()
        name, _, port = host.rpartition(":")
        lines = [held.enter_context(socket.create_connection((name, int(port)), _SOON_S)) for _ in range(_BROWSERS)]
        for line in lines:
            line.sendall(request)
        for line in lines:
            said = b""
            while b"listening" not in said:
                part = line.recv(4096)
                if not part:
                    raise RuntimeError(f"a browser was not told of changes: {said[:200]!r}")
                said += part
        yield
