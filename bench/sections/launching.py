"""How long it takes until an instance of an image has its disk; its machine is only a state here."""

from __future__ import annotations

import statistics
import time

from bench.floors import write_headers
from bench.report import median_of
from bench.sections.section import Bench
from bench.server import start_server
from bench.stock import INSTANCE_TYPE, open_stock
from bench.waits import run_instance
from kiln.declare.units import GiB
from kiln.pools.folder import Folder
from kiln.pools.qcow2 import Qcow2Pool


def run(it: Bench) -> None:
    """RunInstances, from the call to Running."""
    it.report.head("RunInstances of an image, from the call to Running (machines none: the disk is real)")
    sizes = it.either((20, 100), (20,))
    Qcow2Pool(it.folder / "launch-floor").create("layer", 20 * GiB)
    floor = Folder(it.folder / "launch-floor")
    images = {}
    with open_stock(it.folder / "launch") as stock:
        for size in sizes:
            (images[size],) = stock.images(stock.snapshot(size), 1, first=size, size_gib=size)
    waits: dict[int, list[float]] = {size: [] for size in sizes}
    answers: dict[int, list[float]] = {size: [] for size in sizes}
    floors = []
    with start_server(it.folder / "launch", one_core=False) as server:
        client = server.client()
        run_instance(client, images[sizes[0]], INSTANCE_TYPE)
        for _ in range(it.either(15, 3)):
            for size in sizes:
                wait = run_instance(client, images[size], INSTANCE_TYPE)
                waits[size].append(wait.done_s * 1000)
                answers[size].append(wait.answered_s * 1000)
            began = time.perf_counter()
            (made,) = write_headers(floor, ["layer"], [20 * GiB])
            floors.append((time.perf_counter() - began) * 1000)
            made.unlink()
    for size in sizes:
        it.report.add(
            median_of(
                f"1 disk of {size} GiB",
                "ms",
                waits[size],
                note=f"answered after {statistics.median(answers[size]):.2f} ms",
                against={"the pool's own overlay alone": statistics.median(floors)},
            )
        )
