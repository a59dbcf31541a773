"""Whether an image of large disks takes longer than one of small disks: many images of both, in turns, on one server.

What else the machine does differs from turn to turn by more than what is looked
for. So the turns are compared in pairs, and with the median goes the range in
which it lies with 95 % by the pairs themselves (a bootstrap): a figure whose
range reaches beyond the aim says that the runs were too few, or the machine too
busy, to say so.
"""

from __future__ import annotations

import os
import random
import shutil
import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.report import Aim, Figure
from bench.sections.running import ask, none_left
from bench.sections.section import Bench
from bench.server import start_server
from bench.stock import open_stock
from bench.waits import GENTLE_S, create_image, until_instance
from kiln.client.client import Client
from kiln.guest.errors import GuestError
from kiln.guest.image import build
from kiln.service.datafolder import DataFolder
from kiln.service.settings import read_settings

_SMALL_GIB, _LARGE_GIB = 2, 100
_WITHIN = 0.1
_RESAMPLED = 2000
_INSTANCES = 8  #: Of each size, which take turns: a chain that grows deep is shortened, and that would be measured too.


def run(it: Bench) -> None:
    """First of stopped instances, then of running ones."""
    it.report.head(f"CreateImage of {_LARGE_GIB} GiB against {_SMALL_GIB} GiB, in pairs, asked every 2 ms")
    _stopped(it)
    _running(it)


def _stopped(it: Bench) -> None:
    data = it.folder / "flat-stopped"
    with open_stock(data) as stock:
        instances = [[stock.instance([size]) for _ in range(_INSTANCES)] for size in (_SMALL_GIB, _LARGE_GIB)]
    with start_server(data, one_core=False) as server:
        client = server.client()
        pairs = [_pair(client, [of[turn % _INSTANCES] for of in instances], turn) for turn in range(it.either(96, 8))]
    _report(it, "stopped, one disk", pairs[_INSTANCES:] or pairs)


def _running(it: Bench) -> None:
    if shutil.which("qemu-system-x86_64") is None:
        it.report.say("  running: left out, there is no qemu-system-x86_64 here")
        return
    guest = it.folder / "flat-guest.qcow2"
    try:
        build(read_settings(os.environ).guest_cache, guest)
    except GuestError as error:
        it.report.say(f"  running: left out, {error}")
        return
    guest.chmod(0o444)
    data = it.folder / "flat-running"
    with open_stock(data) as stock:
        instances = [stock.instance([1, size], boot=guest) for size in (_SMALL_GIB, _LARGE_GIB)]
    with ExitStack() as held:
        held.enter_context(none_left(data / "run"))
        client = held.enter_context(start_server(data, "qemu", one_core=False)).client()
        for instance in instances:
            client.call("StartInstance", InstanceId=instance)
        for instance in instances:
            until_instance(client, instance, "Running")
            ask(_console(data, instance), "agent stop", "sync")
        pairs = [_pair(client, instances, turn) for turn in range(it.either(15, 3))]
    _report(it, "running, a data disk of that size", pairs[1:])


def _console(data: Path, instance: str) -> Path:
    return DataFolder(data).console(instance)


def _pair(client: Client, instances: Sequence[str], turn: int) -> tuple[float, float]:
    """Seconds that the small and the large one take, one right after the other; who is first changes."""
    order = (0, 1) if turn % 2 else (1, 0)
    took = {which: create_image(client, instances[which], GENTLE_S).done_s for which in order}
    return took[0], took[1]


def _report(it: Bench, what: str, pairs: Sequence[tuple[float, float]]) -> None:
    small, large = ([pair[which] * 1000 for pair in pairs] for which in (0, 1))
    ratio = _ratio(pairs)
    least, most = _range_of(_ratio, pairs)
    note = (
        f"{statistics.median(large):.2f} against {statistics.median(small):.2f} ms; with 95 % between {least:.2f}x and "
        f"{most:.2f}x"
    )
    is_met = least >= 1 - _WITHIN and most <= 1 + _WITHIN
    aim = Aim("within 10 %, and the runs are enough to say so", is_met)
    it.report.add(Figure(what, ratio, "x", n=len(pairs), least=least, most=most, note=note, aim=aim))


def _ratio(pairs: Sequence[tuple[float, float]]) -> float:
    """The median of how many times as long the large one of a pair took."""
    return statistics.median(large / small for small, large in pairs)


def _range_of(
    figure: Callable[[Sequence[tuple[float, float]]], float], pairs: Sequence[tuple[float, float]]
) -> tuple[float, float]:
    """Where the figure lies with 95 %, by what it is of as many pairs drawn from these again and again."""
    chance = random.Random(1)
    drawn = sorted(figure(chance.choices(pairs, k=len(pairs))) for _ in range(_RESAMPLED))
    return drawn[_RESAMPLED * 25 // 1000], drawn[_RESAMPLED * 975 // 1000]
