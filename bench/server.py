"""A served Kiln to measure, in a process of its own on a core of its own, and what its process has used."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.slowdisk import slowed
from kiln.client.client import Client
from kiln.service.ending import end
from kiln.service.settings import DEFAULT_REGION

KEY_ID, SECRET, REGION = "AKIDBENCH", "SECRETBENCH", DEFAULT_REGION


@dataclass(frozen=True)
class Server:
    """A Kiln that answers."""

    endpoint: str
    pid: int
    data: Path
    start_s: float  #: From fork to the first answer.
    core: int | None  #: The only one that it may use.

    def client(self) -> Client:
        """A client of its one account."""
        return Client(self.endpoint, KEY_ID, SECRET, REGION)

    @property
    def memory_mb(self) -> float:
        """Resident memory."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))

    @property
    def written_bytes(self) -> int:
        """What the process has had written to disks since it began."""
        lines = Path(f"/proc/{self.pid}/io").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))

    @property
    def cpu_s(self) -> float:
        """Processor time used since it began."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def a_core() -> int | None:
    """The one that who is measured has for itself; None where there is no other for who measures."""
    usable = os.sched_getaffinity(0)
    return min(usable) if len(usable) > 1 else None


@contextmanager
def start_server(
    data: Path,
    machines: str = "none",
    *,
    one_core: bool = True,
    log: Path | None = None,
    is_slow: bool = False,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Serve *data* until the context ends; with *one_core* the server has one core and no other.

    Where *is_slow* its syncs take longer (``bench.slowdisk``). What it logs goes to *log*, or where this process's
    errors go. *settings* are those that it has beside, by the names of the environment.
    """
    core = a_core() if one_core else None
    began = time.monotonic()
    command = [sys.executable, "-P", "-m", "kiln.cli.main", "serve", "--data", str(data), "--listen", "127.0.0.1:0"]
    if is_slow:
        command = slowed(command)
    # What is set for another Kiln in this shell is not for this one.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KILN_")}
    # Where it is installed its modules are compiled; what is measured is not the compiler.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    logged = None if log is None else log.open("ab")
    process = subprocess.Popen(
        [*command, "--machines", machines],
        stdout=subprocess.PIPE,
        stderr=logged,
        text=True,
        env=environment
        | {"KILN_SERVER_ACCESS_KEY_ID": KEY_ID, "KILN_SERVER_ACCESS_KEY_SECRET": SECRET}
        | dict(settings or {}),
        preexec_fn=None if core is None else lambda: os.sched_setaffinity(0, {core}),  # noqa: PLW1509 - no threads yet.
    )
    if logged is not None:
        logged.close()
    try:
        assert process.stdout is not None  # It is a pipe.
        endpoint = next((line.split()[-1] for line in process.stdout if line.startswith("listening on ")), None)
        if endpoint is None:
            raise RuntimeError(f"kiln serve ended with {process.wait()} before it listened")
        urllib.request.urlopen(endpoint + "/healthz").read()
        yield Server(endpoint, process.pid, data, time.monotonic() - began, core)
    finally:
        end(process, 30)
        if process.stdout is not None:
            process.stdout.close()
