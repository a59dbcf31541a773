"""What a run that was killed leaves mounted."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.mounts import mounted
from tests.tools import needs

pytest_plugins = ("pytester",)

_KILLED = """
import os
import signal
from tests.mounts import mounted

def test_that_is_killed(tmp_path):
    folder = tmp_path / "left"
    folder.mkdir()
    with mounted("-t", "tmpfs", "tmpfs", folder):
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_is_nothing(pytester, monkeypatch, tmp_path):
    needs("mount")
    with mounted("-t", "tmpfs", "tmpfs", tmp_path):
        """Here it can be tried."""
    pytester.makepyfile(_KILLED)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parent.parent))

    ended = pytester.runpytest_subprocess("-p", "tests.mounts", f"--basetemp={tmp_path / 'run'}")

    assert ended.ret == -signal.SIGKILL
    assert next((tmp_path / "run").rglob("left")).is_dir()
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to be root")
def test_of_a_test_are_seen_by_what_it_starts_alone(tmp_path):
    with mounted("-t", "tmpfs", "tmpfs", tmp_path):
        assert str(tmp_path) in Path("/proc/self/mounts").read_text()
        assert str(tmp_path) not in Path(f"/proc/{os.getppid()}/mounts").read_text()
