"""CreateImage of a stopped instance, from the call to Available, against what making the overlays alone takes.

All sizes and counts take turns, and the floors with them, so that whatever else
the machine does meets all alike. The peer, which copies, is measured once for
each size, on the very disks that became images.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.floors import copy, create_overlays, fill, random_file, write_headers
from bench.report import Figure, at_most, median_of
from bench.sections.section import Bench
from bench.server import Server, start_server
from bench.stock import Stock, open_stock
from bench.waits import GENTLE_S, Wait, create_image, rest
from kiln.ground.units import GiB, KiB, MiB
from kiln.pools.folder import Folder
from kiln.pools.qcow2 import Qcow2Pool

_TIMES, _BYTES = 3.0, 1 * MiB
_INSTANCES = 3  #: Two that take turns, and one to warm up with and to count bytes with.


@dataclass
class Case:
    """So many disks of one size.

    Of several instances, which take turns: chains that have grown deep are
    shortened in the background, and that would be measured too.
    """

    disks: int
    size_gib: int
    instances: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)
    gentle: list[Wait] = field(default_factory=list)
    headers_s: list[float] = field(default_factory=list)
    tool_s: list[float] = field(default_factory=list)
    peer_s: float | None = None

    @property
    def what(self) -> str:
        """For people."""
        return f"{self.disks} disk{'s' * (self.disks > 1)} of {self.size_gib} GiB"

    @property
    def done_ms(self) -> list[float]:
        """From the call to Available, asked without a pause."""
        return [wait.done_s * 1000 for wait in self.waits]

    @property
    def gentle_ms(self) -> list[float]:
        """From the call to Available, asked every 2 ms."""
        return [wait.done_s * 1000 for wait in self.gentle]


def run(it: Bench) -> None:
    """Take turns, then count bytes."""
    it.report.head("CreateImage of a stopped instance, from the call to Available, over HTTP")
    shapes = it.either(((1, 20), (4, 20), (17, 20)), ((1, 20), (4, 20)))
    cases = [Case(disks, size) for disks, size in shapes]
    with open_stock(it.folder / "stopped") as stock:
        _stock(it, stock, cases)
    pool, floor = Qcow2Pool(it.folder / "stopped-floor"), Folder(it.folder / "stopped-floor")
    disks = [f"disk-{n}" for n in range(max(case.disks for case in cases))]
    for disk in disks:
        pool.create(disk, 2 * GiB)
    with start_server(it.folder / "stopped", one_core=False) as server:
        client = server.client()
        for case in cases:
            for instance in case.instances:
                create_image(client, instance)
        for turn in range(it.either(11, 3)):
            for case in cases:
                rest()
                case.waits.append(create_image(client, case.instances[turn % 2]))
                case.gentle.append(create_image(client, case.instances[1 - turn % 2], GENTLE_S))
                parents, sizes = disks[: case.disks], [case.size_gib * GiB] * case.disks
                case.headers_s.append(_time(write_headers, floor, parents, sizes))
                case.tool_s.append(_time(create_overlays, floor, parents))
        for case in cases:
            if case.disks == 1:
                case.peer_s = copy(case.files[0], it.folder / "copy.qcow2")
        for case in cases:
            _report(it, case)
        _count_bytes(it, server, [case for case in cases if case.size_gib == 20])  # noqa: PLR2004 - one of each count.


def _stock(it: Bench, stock: Stock, cases: list[Case]) -> None:
    data_mib = it.either(1024, 64)
    it.report.say(f"  (each single disk holds {data_mib} MiB of random data, for the peer to copy)")
    source = random_file(it.folder / "random.raw", data_mib * MiB)
    for case in cases:
        case.instances = [stock.instance([case.size_gib] * case.disks) for _ in range(_INSTANCES)]
        case.files = stock.files(case.instances[0])
        if case.disks == 1:
            fill(case.files[0], source)
    source.unlink()


def _time(make: Callable[..., list[Path]], *arguments: object) -> float:
    began = time.perf_counter()
    made = make(*arguments)
    seconds = time.perf_counter() - began
    for path in made:
        path.unlink()
    return seconds


def _report(it: Bench, case: Case) -> None:
    figure = median_of(case.what, "ms", case.done_ms)
    headers, tool = statistics.median(case.headers_s) * 1000, statistics.median(case.tool_s) * 1000
    against = {
        "the pool's own overlays alone": headers,
        "qemu-img create -b, one by one": tool,
    }
    if case.peer_s is not None:
        against["qemu-img convert (measured once)"] = case.peer_s * 1000
    answered = statistics.median(wait.answered_s for wait in case.waits) * 1000
    gentle = statistics.median(case.gentle_ms)
    it.report.add(
        median_of(
            case.what,
            "ms",
            case.done_ms,
            note=f"answered after {answered:.2f} ms, Available {figure.value - answered:.2f} ms later; "
            f"{gentle:.2f} ms in all when asked every 2 ms",
            against=against,
        )
    )
    it.report.add(
        Figure(
            f"{case.what}, against the pool's own overlays",
            figure.value / headers,
            "x",
            aim=at_most(figure.value / headers, _TIMES, "at most 3x the pool's own overlays")
            if case.disks == 1
            else None,
        )
    )


def _count_bytes(it: Bench, server: Server, cases: list[Case]) -> None:
    it.report.head("Bytes written for an image, a disk")
    client, count = server.client(), it.either(8, 2)
    for case in cases:
        written, allocated = server.written_bytes, _allocated(server)
        for _ in range(count):
            create_image(client, case.instances[-1])
        disks = count * case.disks
        written_each = (server.written_bytes - written) / disks
        allocated_each = (_allocated(server) - allocated) / disks
        whole = written_each + allocated_each
        it.report.add(
            Figure(
                case.what,
                whole / KiB,
                "KiB",
                n=count,
                note=f"{written_each / KiB:.1f} KiB by the server's write_bytes, {allocated_each / KiB:.1f} KiB more "
                "in the pool (counted twice: the first has it too)",
                aim=at_most(whole, _BYTES, "less than 1 MiB a disk"),
            )
        )


def _allocated(server: Server) -> int:
    return sum(path.stat().st_blocks * 512 for path in (server.data / "pool").glob("*.qcow2"))
