"""Whatever is carried out may be begun again at every line, and may fail at every line, and loses nothing."""

from __future__ import annotations

import traceback

import pytest

from kiln.upkeep.duties import DUTIES
from tests.beginnings import BEGINNINGS
from tests.kill.conftest import quick_folder  # noqa: F401 - a fixture
from tests.steps.trials import Trial
from tests.tools import needs

MOST = 20  #: Of what can go wrong with an action, in one run.
FEW = 2  #: Likewise, in a quick one.

_UNJUDGED = "no whole run of it was seen, and a failure may be one of these trials or one of Kiln"

#: Not tried so far, with the reason. A new operation does not belong here: it is tried by being declared.
NOT_TRIED = dict.fromkeys(
    (
        "AttachDisk",
        "CreateDisk",
        "CreateSnapshot",
        "DetachDisk",
        "RebootInstance",
        "ResetDisk",
        "ResizeDisk",
        "StartInstance",
        "StopInstance",
    ),
    _UNJUDGED,
) | {
    "ExportImage": "trials of what comes after a call count calls that raise by themselves, and never come to it",
    "Merge": "a merge that failed stays the task of its volumes, and whether the sweeper then passes them over is open",
}

tried = pytest.mark.parametrize("action", sorted(DUTIES.keys() - NOT_TRIED.keys()))


@pytest.mark.slow
@pytest.mark.timeout(240)
@tried
def test_ends_well_whatever_goes_wrong_once(action, quick_folder):  # noqa: F811 - the fixture.
    expect_well(action, quick_folder, MOST)


def test_ends_well_when_one_thing_goes_wrong(quick_folder):  # noqa: F811 - the fixture.
    expect_well("CreateImage", quick_folder, FEW)


def test_has_no_more_to_try_than_before():
    assert DUTIES.keys() >= NOT_TRIED.keys()
    assert len(NOT_TRIED) <= 11, "this number only gets smaller"


def expect_well(action, folder, most):
    """That the action ends well under so many of its disturbances."""
    needs("qemu-img", "qemu-io")
    assert action in BEGINNINGS, f"tests/beginnings.py: {action} is missing"
    trial = Trial(action, folder)
    disturbances, wrong = trial.disturbances(most), []
    for disturbance in disturbances:
        try:
            trial.expect_well(disturbance)
        except Exception:  # noqa: BLE001 - all that go wrong are told at once.
            wrong.append(f"{disturbance}: {traceback.format_exc(limit=-2)}")
    assert disturbances
    assert wrong == [], f"{len(wrong)} of {len(disturbances)}:\n" + "\n".join(wrong[:8])
