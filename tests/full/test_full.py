"""A full disk during import, freeze, merge and launch, and under the database: a clear failure, and nothing lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.full.scenarios import SCENARIOS
from tests.tools import needs

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_full_disk_loses_nothing(scenario, tmp_path):
    needs("unshare", "mount", "qemu-io", "qemu-img")
    alone = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]

    done = subprocess.run(
        [*alone, sys.executable, "-m", "tests.full.scenarios", scenario, tmp_path],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
