"""What sending a layer out takes, against qemu-img's own conversion that is as durable: both synced, in turns."""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import time
from pathlib import Path

from bench.report import at_most, median_of
from bench.sections.section import Bench
from kiln.ground.units import GiB, KiB
from kiln.pools import moves
from kiln.pools.port import TargetFormat
from kiln.pools.qcow2 import Qcow2Pool

_RATIO = 1.1
_PIECE = 512 * KiB
_LAYER = "v-exported"
_FORMATS: dict[str, TargetFormat] = {"raw": "raw", "qcow2": "qcow2", "vhd": "vpc", "vmdk": "vmdk", "vdi": "vdi"}


def run(it: Bench) -> None:
    """Take turns."""
    size_gib, pieces, turns = it.either(8, 1), it.either(300, 20), it.either(7, 2)
    it.report.head(f"Exporting a disk of {size_gib} GiB with {pieces // 2} MiB of data all over it")
    folder = it.folder / "exporting"
    pool = Qcow2Pool(folder / "pool")
    layer = _fill(pool, folder, size_gib, pieces)
    for name, form in _FORMATS.items():
        own: list[float] = []
        tools: list[float] = []
        for _ in range(turns):
            tools.append(_convert(layer, folder / "tool", form))
            own.append(_send_out(pool, folder / "own", form))
        ratio = statistics.median(own) / statistics.median(tools)
        it.report.add(
            median_of(
                f"as {name}",
                "ms",
                [seconds * 1000 for seconds in own],
                against={"qemu-img convert and a sync": statistics.median(tools) * 1000},
                aim=at_most(ratio, _RATIO, "at most 1.1 times the tool"),
            )
        )


def _fill(pool: Qcow2Pool, folder: Path, size_gib: int, pieces: int) -> Path:
    """A layer with pieces of data all over it."""
    pool.create(_LAYER, size_gib * GiB)
    layer = folder / "pool" / f"{_LAYER}.qcow2"
    chance = random.Random(1)
    commands: list[str] = []
    for n in range(pieces):
        at = chance.randrange(size_gib * GiB // _PIECE) * _PIECE
        commands += ["-c", f"write -q -P {n % 255 + 1} {at} {_PIECE}"]
    subprocess.run(["qemu-io", "-f", "qcow2", *commands, layer], check=True)
    return layer


def _convert(layer: Path, target: Path, form: TargetFormat) -> float:
    began = time.perf_counter()
    options = moves.TARGET_OPTIONS[form]
    spelled = ["-o", options] if options else []
    subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", form, *spelled, layer, target], check=True)
    fd = os.open(target, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
    took = time.perf_counter() - began
    target.unlink()
    return took


def _send_out(pool: Qcow2Pool, target: Path, form: TargetFormat) -> float:
    began = time.perf_counter()
    pool.send_out(_LAYER, target, form, lambda _: None, lambda: False)
    took = time.perf_counter() - began
    target.unlink()
    return took
