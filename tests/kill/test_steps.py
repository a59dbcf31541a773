"""Nothing lost: Kiln is killed at every step of everything that changes something, and started again."""

from __future__ import annotations

import json
import sys

import pytest

from tests.forks import open_forks
from tests.kill.scenarios import SCENARIOS
from tests.tools import needs


@pytest.fixture(scope="module")
def drive(tmp_path_factory):
    """The process that does the killing, for all scenarios."""
    needs("qemu-img", "qemu-io")
    words = tmp_path_factory.mktemp("driver") / "words"
    with open_forks(words, sys.executable, "-m", "tests.kill.driver") as do:
        yield do


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
def test_loses_nothing_wherever_it_is_killed(drive, name, quick_folder):
    assert drive(name, quick_folder) == ""

    outcome = json.loads((quick_folder / "outcome").read_text())
    assert outcome["wrong"] == []
    assert outcome["kills"] == len(outcome["points"][:: SCENARIOS[name].every])
    assert outcome["deaths"] >= 1
    assert "database.committed" in outcome["points"]
