"""Nothing lost: Kiln is killed at every step of everything that changes something, and started again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kill.scenarios import SCENARIOS
from tests.tools import needs

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    """The process that does the killing, for all scenarios: what it imports takes longer than many a kill."""
    needs("qemu-img", "qemu-io")
    words = tmp_path_factory.mktemp("driver") / "words"
    command = [sys.executable, "-m", "tests.kill.driver"]
    with (
        words.open("w") as said,
        subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True
        ) as process,
    ):

        def drive(name, folder):
            process.stdin.write(f"{name} {folder}\n")
            process.stdin.flush()
            assert process.stdout.readline() == "0\n", words.read_text()
            return json.loads((folder / "outcome").read_text())

        yield drive


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", SCENARIOS)
def test_loses_nothing_wherever_it_is_killed(driver, name, quick_folder):
    outcome = driver(name, quick_folder)

    assert outcome["wrong"] == []
    assert outcome["kills"] == len(outcome["points"][:: SCENARIOS[name].every])
    assert outcome["deaths"] >= 1
    assert "database.committed" in outcome["points"]
