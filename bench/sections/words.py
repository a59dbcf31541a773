"""What the command line takes for itself: the processor time of a word's own process, beside what it stands on.

Wall time would measure who else uses the machine; the service's own time for
the answer is in another process, and does not count. Words take turns with a
bare interpreter and with one that loads the library which reads options.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from statistics import median

from bench.report import at_most, median_of
from bench.sections.section import Bench
from bench.server import KEY_ID, REGION, SECRET, start_server

_OWN_S = 0.15

#: Ask the service over HTTP.
_ASKING = ("image list", "instance list", "snapshot list", "disk list", "task list", "call DescribeRegions")

#: Open the data folder themselves, and so load the store.
_BESIDE = ("env", "account list", "bucket list", "trash list")

_FLOORS = {"an interpreter that does nothing": "pass", "an interpreter that loads typer": "import typer"}


def run(it: Bench) -> None:
    """Every word in turns."""
    it.report.head("A word of the command line: processor time of its own")
    data = it.folder / "words"
    with start_server(data, one_core=False) as server:
        environment = {
            **{n: v for n, v in os.environ.items() if not n.startswith("KILN_") and n != "PYTHONDONTWRITEBYTECODE"},
            "KILN_ENDPOINT": server.endpoint,
            "KILN_ACCESS_KEY_ID": KEY_ID,
            "KILN_ACCESS_KEY_SECRET": SECRET,
            "KILN_REGION": REGION,
            "KILN_DATA": str(data),
        }
        words = {f"kiln {said}": ["-m", "kiln.cli.main", *said.split()] for said in ("--version", *_ASKING, *_BESIDE)}
        commands = words | {name: ["-c", program] for name, program in _FLOORS.items()}
        times: dict[str, list[float]] = {name: [] for name in commands}
        for turn in range(it.either(10, 1)):
            for name, arguments in commands.items():
                seconds = _own_s(arguments, environment)
                if turn or it.is_quick:  # The first writes down the compiled modules.
                    times[name].append(seconds)
    against = {name: median(times[name]) for name in _FLOORS}
    for name in words:
        aim = at_most(median(times[name]), _OWN_S, "at most 0.15 s")
        it.report.add(median_of(name, "s", times[name], against=against, aim=aim))


def _own_s(arguments: Sequence[str], environment: Mapping[str, str]) -> float:
    """Processor time of an interpreter from its start to its end. Raises RuntimeError when it fails."""
    process = subprocess.Popen([sys.executable, "-P", *arguments], env=environment, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(arguments)} ended with {process.returncode}")
    return used.ru_utime + used.ru_stime
