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


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", SCENARIOS)
def test_loses_nothing_wherever_it_is_killed(name, quick_folder):
    needs("qemu-img", "qemu-io")
    command = [sys.executable, "-m", "tests.kill.driver", name, quick_folder]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.stdout, done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["wrong"] == []
    assert "database.committed" in outcome["points"]
