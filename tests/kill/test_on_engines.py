"""Nothing lost on PostgreSQL and a folder that is shared, and on PostgreSQL and a Ceph, wherever Kiln is killed."""

from __future__ import annotations

import json
import sys

import pytest

from tests.forks import open_forks
from tests.kill.scenarios import SCENARIOS
from tests.tools import needs

#: A scenario is some twenty kills, of which four are tried at once, and on a Ceph each waits for the dead to be dead.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

#: What a pool on Ceph refuses: it keeps nothing encrypted.
ENCRYPTED = {"copy_image_encrypted"}


@pytest.fixture(scope="module")
def kill(tmp_path_factory):
    """The process that does the killing, for all scenarios."""
    needs("qemu-img", "qemu-io")
    words = tmp_path_factory.mktemp("deaths") / "words"
    with open_forks(words, sys.executable, "-m", "tests.kill.deaths") as do:
        yield do


#: CreateImage for every change, and the others each night.
NAMES = [pytest.param(name, marks=() if name.startswith("create_image") else pytest.mark.nightly) for name in SCENARIOS]


@pytest.fixture
def engines(engine, postgresql_server, request):
    """How the killing process is told what to stand on."""
    return [postgresql_server] + ([request.getfixturevalue("ceph").configuration] if engine == "ceph" else [])


@pytest.mark.parametrize("name", NAMES)
def test_loses_nothing_wherever_it_is_killed(kill, name, engine, engines, quick_folder):
    if engine == "ceph" and name in ENCRYPTED:
        pytest.skip("a pool on Ceph keeps nothing encrypted")

    assert kill(name, quick_folder, *engines) == ""

    outcome = json.loads((quick_folder / "outcome").read_text())
    assert outcome["wrong"] == []
    assert outcome["kills"] == len(outcome["points"][:: SCENARIOS[name].every])
    assert "database.committed" in outcome["points"]
