"""Everything that is carried out, with each of its steps begun twice, and each of its steps failing once.

Likewise everything that nobody can carry out, while it is ended by its rows.

What can go wrong with one action is found by watching it once, so there are as
many tries as it has steps; fewer are drawn from all of them.
"""

from __future__ import annotations

import logging
import shutil
import traceback
from collections.abc import Iterator

from tests.steps.trials import NAMES, TASKS, Trial
from torment.campaign import Outcome, Place, Skipped, Verdict

_LEAST = 8  #: Of one action: to lay out its beginning takes as long as some tries.


def run(place: Place) -> Iterator[Outcome]:
    """See the module."""
    if missing := [tool for tool in ("qemu-img", "qemu-io") if shutil.which(tool) is None]:
        raise Skipped(f"needs {' and '.join(missing)}")
    left = place.tries
    all_there_is = [(name, False) for name in NAMES] + [(name, True) for name in TASKS]
    place.chance.shuffle(all_there_is)
    # What fails as it should is told in the log, with its traceback.
    logging.disable(logging.CRITICAL)
    try:
        for number, (name, is_unreadable) in enumerate(all_there_is):
            if left <= 0:
                return
            folder = place.folder / str(number)
            trial = Trial(name, folder, is_unreadable=is_unreadable)
            found = trial.disturbances()
            share = max(_LEAST, left // (len(all_there_is) - number))
            drawn = place.chance.sample(found, min(share, left, len(found)))
            left -= len(drawn)
            for wrong in drawn:
                subject = f"{name}{', unreadable' if is_unreadable else ''}, {wrong}"
                try:
                    trial.expect_well(wrong)
                    yield Outcome(subject)
                except Exception as error:  # noqa: BLE001 - whatever does not end as it should is what is looked for.
                    verdict = Verdict.LOST if isinstance(error, AssertionError) else Verdict.FAILED
                    yield Outcome(subject, verdict, traceback.format_exc(limit=-2).replace("\n", " | "))
            shutil.rmtree(folder)
    finally:
        logging.disable(logging.NOTSET)
