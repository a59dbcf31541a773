"""Whether an image of large disks takes longer than one of small disks: many images of both, in turns, on one server.

What else the machine does differs from turn to turn by more than what is looked
for. So the turns are compared in pairs, and with the median goes the range in
which it lies with 95 % by the pairs themselves (a bootstrap). Pairs are taken
until that range lies within the aim or outside of it, for so long at the most;
where an edge of the aim lies in it even then, the figure says that these runs
cannot tell: the machine was too busy.
"""

from __future__ import annotations

import os
import random
import shutil
import statistics
import time
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
Pair = tuple[float, float]  #: Seconds of the small one, and of the large one.

_LIMIT_S = 120.0
_BATCH = 8  #: Pairs between two looks whether they are enough.
_DEEP = 14  #: Images of an instance before its chain is shortened.
#: Of each size, which take turns: a chain that grows deep is shortened, and that would be measured too.
_INSTANCES = 24


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
        for turn in range(it.either(_INSTANCES, 2)):
            _pair(client, [of[turn] for of in instances], turn)
        pairs = take_pairs(
            lambda turn: _pair(client, [of[turn % _INSTANCES] for of in instances], turn),
            least=it.either(48, 8),
            most=it.either(_INSTANCES * _DEEP, 8),
            limit_s=_LIMIT_S,
        )
    _report(it, "stopped, one disk", pairs)


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
        _pair(client, instances, 1)
        pairs = take_pairs(
            lambda turn: _pair(client, instances, turn),
            least=it.either(_DEEP, 2),
            most=it.either(5 * _DEEP, 2),  # Chains grow deep, and are shortened, with both alike.
            limit_s=_LIMIT_S,
        )
    _report(it, "running, a data disk of that size", pairs)


def take_pairs(take: Callable[[int], Pair], *, least: int, most: int, limit_s: float) -> list[Pair]:
    """Pairs, each *take* of its number, until they are enough for a verdict, there are *most*, or the time is up."""
    ends = time.monotonic() + limit_s
    pairs: list[Pair] = []
    while len(pairs) < most:
        pairs.append(take(len(pairs)))
        if len(pairs) >= least and len(pairs) % _BATCH == 0 and verdict_of(*_range_of(_ratio, pairs)) is not None:
            break
        if time.monotonic() > ends and len(pairs) > 1:
            break
    return pairs


def verdict_of(least: float, most: float) -> bool | None:
    """Whether a ratio between the two is surely within the aim, or surely not; None where it may be either."""
    if least >= 1 - _WITHIN and most <= 1 + _WITHIN:
        return True
    return False if most < 1 - _WITHIN or least > 1 + _WITHIN else None


def _console(data: Path, instance: str) -> Path:
    return DataFolder(data).console(instance)


def _pair(client: Client, instances: Sequence[str], turn: int) -> tuple[float, float]:
    """Seconds that the small and the large one take, one right after the other; who is first changes."""
    order = (0, 1) if turn % 2 else (1, 0)
    took = {which: create_image(client, instances[which], GENTLE_S).done_s for which in order}
    return took[0], took[1]


def _report(it: Bench, what: str, pairs: Sequence[Pair]) -> None:
    small, large = ([pair[which] * 1000 for pair in pairs] for which in (0, 1))
    ratio = _ratio(pairs)
    least, most = _range_of(_ratio, pairs)
    note = (
        f"{statistics.median(large):.2f} against {statistics.median(small):.2f} ms; with 95 % between {least:.2f}x and "
        f"{most:.2f}x"
    )
    verdict = verdict_of(least, most)
    aim = Aim("within 10 %" if verdict is not None else "within 10 %, which these runs cannot tell", verdict is True)
    it.report.add(Figure(what, ratio, "x", n=len(pairs), least=least, most=most, note=note, aim=aim))


def _ratio(pairs: Sequence[Pair]) -> float:
    """The median of how many times as long the large one of a pair took."""
    return statistics.median(large / small for small, large in pairs)


def _range_of(figure: Callable[[Sequence[Pair]], float], pairs: Sequence[Pair]) -> tuple[float, float]:
    """Where the figure lies with 95 %, by what it is of as many pairs drawn from these again and again."""
    chance = random.Random(1)
    drawn = sorted(figure(chance.choices(pairs, k=len(pairs))) for _ in range(_RESAMPLED))
    return drawn[_RESAMPLED * 25 // 1000], drawn[_RESAMPLED * 975 // 1000]
