"""``./kiln bench``: every figure that the documentation names, from one run on one disk, with what was aimed at."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType

from bench.peers import NoPeers
from bench.place import NoDisk, facts, open_folder
from bench.profile import profile
from bench.report import Report
from bench.sections import PEERS, SECTIONS
from bench.sections.section import Bench

INTERRUPTED = 130


def main(arguments: Sequence[str]) -> int:
    """Measure; returns the exit code: 0 whatever the figures are, 1 when something could not be measured."""
    given = parser().parse_args(arguments)
    # Being told to end cleans up as an interrupt does.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        with open_folder(given.data) as folder:
            return _measure(given, folder)
    except (NoDisk, NoPeers) as error:
        _say(f"bench: {error}")
        return 1
    except KeyboardInterrupt:
        _say("\nbench: interrupted; everything that it made is removed")
        return INTERRUPTED


def _measure(given: argparse.Namespace, folder: Path) -> int:
    report = Report(_say)
    about = facts(folder)
    for name, fact in about.items():
        _say(f"{name.replace('_', ' '):<13} {fact}")
    if given.profile:
        profile(folder, _say, images=1000 if given.quick else 10_000, requests=200 if given.quick else 1000)
        return 0
    began = time.monotonic()
    failed = _run(_chosen(given), Bench(folder, report, given.quick), began)
    report.conclude()
    load = f"load average {about['load_average']:.1f} before, {os.getloadavg()[0]:.1f} after"
    _say(f"{_spell(time.monotonic() - began)} in all; {load}")
    if given.json is not None:
        report.write(given.json, {**about, "is_quick": given.quick, "failed": failed})
    if failed:
        _say(f"bench: could not be measured: {', '.join(failed)}")
    return 1 if failed else 0


def _chosen(given: argparse.Namespace) -> Mapping[str, Callable[[Bench], None]]:
    """The sections to measure, in their order."""
    named = given.section or ([] if given.peers else SECTIONS)
    return {name: run for name, run in SECTIONS.items() if name in named} | ({"peers": PEERS} if given.peers else {})


def _run(sections: Mapping[str, Callable[[Bench], None]], bench: Bench, began: float) -> list[str]:
    """Measure one section after the other; returns those that failed, each of which is told and passed over."""
    failed = []
    for number, (name, run) in enumerate(sections.items(), 1):
        _say(f"\n-- {name}: section {number} of {len(sections)}, {_spell(time.monotonic() - began)} since the start")
        try:
            run(bench)
        except NoPeers:
            raise
        except Exception:  # noqa: BLE001 - whatever ends one section, the others can be measured.
            traceback.print_exc()
            failed.append(name)
    return failed


def _spell(seconds: float) -> str:
    """``75 s``, ``12 min``."""
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"  # noqa: PLR2004 - where seconds say little.


def parser() -> argparse.ArgumentParser:
    """What may be said after ``./kiln bench``."""
    made = argparse.ArgumentParser(
        prog="./kiln bench",
        description="Measure Kiln: medians, what they are held against, and what was aimed at. Floors, peers and Kiln "
        "are measured in one run on one disk, in turns. Everything made is removed at the end.",
    )
    made.add_argument(
        "--section",
        action="extend",
        nargs="+",
        choices=SECTIONS,
        metavar="NAME",
        help=f"only these: {', '.join(SECTIONS)}",
    )
    made.add_argument("--quick", action="store_true", help="a minute, to see that all works; the figures mean little")
    made.add_argument(
        "--peers",
        action="store_true",
        help="measure moto and MiniStack beside Kiln, after the sections that --section names and instead of all; "
        "./kiln installs them first, into .venv-peers",
    )
    made.add_argument("--profile", action="store_true", help="show where the time of a request goes, and nothing else")
    made.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file too")
    made.add_argument(
        "--data", type=Path, metavar="FOLDER", help="work below this folder ($TMPDIR or /var/tmp when not given)"
    )
    return made


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
