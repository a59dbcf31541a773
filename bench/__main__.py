"""``./kiln bench``: every figure that the documentation names, from one run on one disk, with what was aimed at."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from bench.place import NoDisk, facts, open_folder
from bench.profile import profile
from bench.report import Report
from bench.sections import SECTIONS
from bench.sections.section import Bench

INTERRUPTED = 130


def main(arguments: Sequence[str]) -> int:
    """Measure; returns the exit code: 0 whatever the figures are, 1 when nothing could be measured."""
    given = _parser().parse_args(arguments)
    # Being told to end cleans up as an interrupt does.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        with open_folder(given.data) as folder:
            _measure(given, folder)
    except NoDisk as error:
        _say(f"bench: {error}")
        return 1
    except KeyboardInterrupt:
        _say("\nbench: interrupted; everything that it made is removed")
        return INTERRUPTED
    return 0


def _measure(given: argparse.Namespace, folder: Path) -> None:
    report = Report(_say)
    about = facts(folder)
    for name, fact in about.items():
        _say(f"{name.replace('_', ' '):<13} {fact}")
    if given.profile:
        profile(folder, _say, images=1000 if given.quick else 10_000, requests=200 if given.quick else 1000)
        return
    began = time.monotonic()
    bench = Bench(folder, report, given.quick)
    for name in given.section or SECTIONS:
        SECTIONS[name](bench)
    report.conclude()
    load = f"load average {about['load_average']:.1f} before, {os.getloadavg()[0]:.1f} after"
    _say(f"{time.monotonic() - began:.0f} s in all; {load}")
    if given.json is not None:
        report.write(given.json, {**about, "is_quick": given.quick})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./kiln bench",
        description="Measure Kiln: medians, what they are held against, and what was aimed at. Floors, peers and Kiln "
        "are measured in one run on one disk, in turns. Some eight minutes; everything made is removed at the end.",
    )
    parser.add_argument(
        "--section",
        action="extend",
        nargs="+",
        choices=SECTIONS,
        metavar="NAME",
        help=f"only these: {', '.join(SECTIONS)}",
    )
    parser.add_argument("--quick", action="store_true", help="a minute, to see that all works; the figures mean little")
    parser.add_argument(
        "--profile", action="store_true", help="show where the time of a request goes, and nothing else"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file too")
    parser.add_argument(
        "--data", type=Path, metavar="FOLDER", help="work below this folder ($TMPDIR or /var/tmp when not given)"
    )
    return parser


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
