"""Where the time goes: the hot paths in this process, without HTTP, under the profiler.

Every request is a whole one, signed, to the gateway: what the server's threads
do for it, on SQLite in a folder of its own. Also the way of one CreateImage
from a stopped instance, from kill point to kill point.
"""

from __future__ import annotations

import cProfile
import io
import pstats
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.load import query
from bench.server import REGION
from bench.stock import Stock, open_stock
from kiln.ground import killpoints
from kiln.operations import CATALOGUE
from kiln.service.accounts import StoredCredentials
from kiln.tasks.worker import Worker
from kiln.upkeep import unfinished
from kiln.upkeep.duties import DUTIES
from kiln.wire.dispatch import Dispatcher
from kiln.wire.doors.door import RawRequest
from kiln.wire.gateway import Gateway
from kiln.wire.nonces import MemoryNonces

_LINES = 25
_WARM_UP = 50


@dataclass(frozen=True)
class Doorway:
    """A Kiln without HTTP around it."""

    stock: Stock
    gateway: Gateway

    def requests(self, params: Sequence[Mapping[str, str]]) -> list[RawRequest]:
        """Whole requests, signed now."""
        headers = [("host", "bench")]
        return [
            RawRequest(method="GET", path="/", query_string=query(one).encode(), headers=headers, body=b"")
            for one in params
        ]

    def send(self, requests: Sequence[RawRequest]) -> None:
        """Have all of them answered. Raises AssertionError for a refusal."""
        for request in requests:
            answer = self.gateway.answer(request)
            assert answer.status == 200, answer.body  # noqa: PLR2004 - HTTP's word for well.


@contextmanager
def open_doorway(data: Path) -> Iterator[Doorway]:
    """A Kiln in *data* with a worker, in this process."""
    with open_stock(data) as stock:
        ports, database = stock.assembly.ports, stock.assembly.database
        worker = Worker(ports, DUTIES, unfinished)
        gateway = Gateway(
            Dispatcher(CATALOGUE, ports, worker.id, worker.hand_over),
            StoredCredentials(database, stock.assembly.sealer, ports.clock),
            MemoryNonces(),
            ports.clock,
        )
        worker.start()
        try:
            yield Doorway(stock, gateway)
        finally:
            worker.stop()


def profile(folder: Path, say: Callable[[str], None], *, images: int, requests: int) -> None:
    """Print the profile of both hot paths, and the way of one CreateImage from an instance."""
    with open_doorway(folder / "profile") as doorway:
        snapshot = doorway.stock.snapshot()
        known = doorway.stock.images(snapshot, images)
        create = [{"Action": "CreateImage", "RegionId": REGION, "SnapshotId": snapshot}] * requests
        _profile(doorway, say, "CreateImage from a snapshot", create)
        describe = [
            {"Action": "DescribeImages", "RegionId": REGION, "ImageId": random.choice(known)} for _ in range(requests)
        ]
        _profile(doorway, say, f"DescribeImages by ID among {images:,} images", describe)
        page = [{"Action": "DescribeImages", "RegionId": REGION, "PageSize": "100"}] * max(20, requests // 50)
        _profile(doorway, say, f"DescribeImages, a page of 100 of {images:,} images", page)
        _follow(doorway, say)


def _profile(doorway: Doorway, say: Callable[[str], None], what: str, params: Sequence[Mapping[str, str]]) -> None:
    doorway.send(doorway.requests(params[:_WARM_UP]))
    plain, watched = doorway.requests(params), doorway.requests(params)
    began, cpu_began = time.perf_counter(), time.process_time()
    doorway.send(plain)
    cpu_ms = (time.process_time() - cpu_began) / len(params) * 1000
    wall_ms = (time.perf_counter() - began) / len(params) * 1000
    say(f"\n{what}: {cpu_ms:.3f} ms of processor time a request, {wall_ms:.3f} ms in all, without HTTP and profiler")
    profiler = cProfile.Profile()
    profiler.runcall(doorway.send, watched)
    text = io.StringIO()
    pstats.Stats(profiler, stream=text).strip_dirs().sort_stats("tottime").print_stats(_LINES)
    say(text.getvalue().rstrip())


def _follow(doorway: Doorway, say: Callable[[str], None]) -> None:
    """Say when one CreateImage from a stopped instance passed each kill point."""
    instance = doorway.stock.instance([20])
    done = threading.Event()
    passed: list[tuple[str, float]] = []

    def note(point: str) -> None:
        passed.append((point, time.perf_counter()))
        if point == "create_image.published":
            done.set()

    for is_last in (False, True):
        (request,) = doorway.requests([{"Action": "CreateImage", "RegionId": REGION, "InstanceId": instance}])
        done.clear()
        passed.clear()
        killpoints.listen(note)
        began = time.perf_counter()
        doorway.send([request])
        passed.append(("(answered)", time.perf_counter()))
        done.wait(30)
        killpoints.listen(None)
        if is_last:
            say("\nCreateImage of a stopped instance with one disk, in ms from the call:")
            for point, at in sorted(passed, key=lambda one: one[1]):
                say(f"  {(at - began) * 1000:8.2f}  {point}")
