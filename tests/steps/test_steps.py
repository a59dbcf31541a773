"""Whatever is carried out may be begun again at every line, and may fail at every line, and loses nothing.

Of all that can go wrong some is drawn for each test; ``./kiln torment --section steps`` tries all of it.
"""

from __future__ import annotations

import os
import random
import traceback

import pytest

from tests.kill.conftest import quick_folder  # noqa: F401 - a fixture
from tests.steps.trials import NAMES, TASKS, Trial
from tests.tools import needs

MOST = 8  #: Of what can go wrong with one of them, in one run.
FEW = 3  #: Likewise of one whose trials take longest, and in a quick run.

_SLOW = {"ImportImage": FEW}  #: Each trial starts the judges of two files.

#: Always the same ones where a change is judged; others each time at a desk.
_SEED = 20261128 if os.environ.get("CI") else random.SystemRandom().randrange(10**9)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_ends_well_whatever_goes_wrong_once(name, quick_folder):  # noqa: F811 - the fixture.
    expect_well(name, quick_folder, _SLOW.get(name, MOST))


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_ends_well_whatever_goes_wrong_while_it_is_ended_unread(name, quick_folder):  # noqa: F811 - the fixture.
    expect_well(name, quick_folder, FEW, is_unreadable=True)


def test_ends_well_when_one_thing_goes_wrong(quick_folder):  # noqa: F811 - the fixture.
    expect_well("CreateImage", quick_folder, FEW)


def expect_well(name, folder, most, *, is_unreadable=False):
    """That it ends well under so many of its disturbances."""
    needs("qemu-img", "qemu-io")
    trial = Trial(name, folder, is_unreadable=is_unreadable)
    found, wrong = trial.disturbances(), []
    assert found
    drawn = random.Random(f"{_SEED}:{name}").sample(found, min(most, len(found)))
    for disturbance in drawn:
        try:
            trial.expect_well(disturbance)
        except Exception:  # noqa: BLE001 - all that go wrong are told at once.
            wrong.append(f"{disturbance}: {traceback.format_exc(limit=-2)}")
    assert wrong == [], f"{len(wrong)} of {len(drawn)} with seed {_SEED}:\n" + "\n".join(wrong[:8])
