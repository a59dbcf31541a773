"""How long it takes until an instance of an image has its disk; its machine is only a state here."""

from __future__ import annotations

import statistics
import time

from bench import floors
from bench.report import at_most, median_of
from bench.sections.section import Bench
from bench.server import start_server
from bench.stock import INSTANCE_TYPE, open_stock
from bench.waits import Launch, run_instance
from kiln.ground.units import GiB
from kiln.pools.folder import Folder
from kiln.pools.qcow2 import Qcow2Pool

_DISK_MS = 25.0


def run(it: Bench) -> None:
    """RunInstances, from the call until the disk is there, and to Running."""
    it.report.head("RunInstances of an image, from the call (machines none: the disk is real)")
    sizes = it.either((20, 100), (20,))
    Qcow2Pool(it.folder / "launch-floor").create("layer", 20 * GiB)
    floor = Folder(it.folder / "launch-floor")
    images = {}
    with open_stock(it.folder / "launch") as stock:
        for size in sizes:
            (images[size],) = stock.images(stock.snapshot(size), 1, first=size, size_gib=size)
    launches: dict[int, list[Launch]] = {size: [] for size in sizes}
    overlays, commits = [], []
    with start_server(it.folder / "launch", one_core=False) as server:
        client = server.client()
        run_instance(client, images[sizes[0]], INSTANCE_TYPE)
        for _ in range(it.either(15, 3)):
            for size in sizes:
                launches[size].append(run_instance(client, images[size], INSTANCE_TYPE))
            began = time.perf_counter()
            (made,) = floors.write_headers(floor, ["layer"], [20 * GiB])
            overlays.append((time.perf_counter() - began) * 1000)
            made.unlink()
            commits.append(1000 / floors.commit_rows(it.folder, 8))
    overlay, commit = statistics.median(overlays), statistics.median(commits)
    against = {
        "the pool's own overlay alone": overlay,
        "that and two commits of bare SQLite, one before and one after": overlay + 2 * commit,
    }
    for size, found in launches.items():
        times = [launch.disk_s * 1000 for launch in found]
        answered = statistics.median(launch.answered_s for launch in found) * 1000
        running = statistics.median(launch.done_s for launch in found) * 1000
        it.report.add(
            median_of(
                f"until its disk of {size} GiB is there",
                "ms",
                times,
                note=f"answered after {answered:.2f} ms, Running after {running:.2f} ms; asked every 2 ms",
                against=against,
                aim=at_most(statistics.median(times), _DISK_MS, f"at most {_DISK_MS:.0f} ms"),
            )
        )
