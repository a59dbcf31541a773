"""How long a start takes, and how much memory a Kiln takes that does nothing."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from bench.report import Figure, at_most, median_of
from bench.sections.section import Bench
from bench.server import start_server

_START_S, _MEMORY_MB = 0.5, 60.0

#: What every start does that is not Kiln's: the interpreter, and the libraries of the database, HTTP and options.
_LIBRARIES = "import sqlalchemy.dialects.sqlite, uvicorn.server, uvloop, typer, cryptography.hazmat.primitives.hashes"


def run(it: Bench) -> None:
    """Start on a new data folder once, and on the same one again and again."""
    it.report.head("Start and memory")
    data = it.folder / "start"
    with start_server(data, one_core=False) as server:
        first_s = server.start_s
    starts, cpu, floors, memory = [], [], [], 0.0
    for _ in range(it.either(5, 1)):
        with start_server(data, one_core=False) as server:
            starts.append(server.start_s)
            cpu.append(server.cpu_s)
            time.sleep(1)  # What a start leaves behind is done with by then.
            memory = server.memory_mb
        floors.append(_took_s(_LIBRARIES))
    it.report.add(Figure("first start on a new data folder, to the first answer", first_s, "s"))
    figure = median_of("start on a data folder, to the first answer", "s", starts)
    it.report.add(
        median_of(
            "start on a data folder, to the first answer",
            "s",
            starts,
            note=f"of which processor time: {min(cpu):.2f} to {max(cpu):.2f} s",
            against={"an interpreter that loads the libraries": statistics.median(floors)},
            aim=at_most(figure.value, _START_S, "at most 0.5 s"),
        )
    )
    it.report.add(
        Figure("resident memory, idle", memory, "MB", aim=at_most(memory, _MEMORY_MB, "at most 60 MB")),
    )


def _took_s(program: str) -> float:
    """Seconds that an interpreter takes to run *program* and to end."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True)
    return time.perf_counter() - began
