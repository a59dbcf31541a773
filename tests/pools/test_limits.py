from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kiln.ground.units import MiB
from kiln.pools.limits import ENVIRONMENT, Limits, walled
from tests.tools import needs
from tests.waiting import wait_for


@pytest.fixture(autouse=True)
def _tools():
    needs("prlimit", "setpriv")


def run(program, limits, **more):
    return subprocess.run(
        walled([sys.executable, "-c", program], limits), capture_output=True, text=True, check=False, **more
    )


def test_lets_a_modest_program_run():
    assert run("print(1)", Limits(memory_bytes=512 * MiB, cpu_s=5, file_bytes=0)).stdout == "1\n"


def test_stops_a_program_that_takes_too_much_memory():
    done = run("bytearray(600 * 2**20)", Limits(memory_bytes=512 * MiB))

    assert "MemoryError" in done.stderr


def test_stops_a_program_that_takes_too_long():
    done = run("while True: pass", Limits(cpu_s=1))

    assert done.returncode in (-signal.SIGXCPU, -signal.SIGKILL)


def test_stops_a_program_that_writes(tmp_path):
    done = run("open('file', 'wb', 0).write(b'x' * 5000)", Limits(file_bytes=4096), cwd=tmp_path)

    assert (tmp_path / "file").stat().st_size <= 4096
    assert done.returncode == 0  # Python writes short; only the next byte would fail.


def test_passes_nothing_of_kilns_environment_on():
    done = run("import os; print(sorted(os.environ))", Limits(), env=ENVIRONMENT)

    assert done.stdout.strip() == str(sorted(ENVIRONMENT))


def test_kills_the_tool_when_kiln_is_killed(tmp_path):
    starter = f"""
import subprocess, sys
from kiln.pools.limits import Limits, walled
child = subprocess.Popen(walled(["sleep", "60"], Limits()))
open({str(tmp_path / "pid")!r}, "w").write(str(child.pid) + "\\n")
child.wait()
"""
    with subprocess.Popen([sys.executable, "-c", starter]) as kiln:
        pid = int(wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip()))
        wait_for(lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\n")

        kiln.kill()

    wait_for(lambda: is_gone(pid))


def is_gone(pid):
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True
