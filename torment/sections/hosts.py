"""Hosts on one database and one pool that die, stand still, are cut off, and have clocks of their own.

Each try is a life of its own, which ``--seed`` and its number make again.
"""

from __future__ import annotations

import logging
import random
import shutil
import traceback
from collections.abc import Iterator

from torment.campaign import Outcome, Place, Skipped, Verdict
from torment.simulated.life import Life, Lost, Stock


def run(place: Place) -> Iterator[Outcome]:
    """See the module."""
    if missing := [tool for tool in ("qemu-img", "qemu-io") if shutil.which(tool) is None]:
        raise Skipped(f"needs {' and '.join(missing)}")
    (place.folder / "stock").mkdir()
    stock = Stock.lay_out(place.folder / "stock")
    logging.disable(logging.CRITICAL)
    try:
        for number in range(place.tries):
            seed = place.chance.randrange(10**9)
            life = Life(stock, place.folder / str(number), random.Random(seed))
            try:
                life.run()
                yield Outcome(f"life {seed}")
            except Exception as error:  # noqa: BLE001 - whatever does not end as it should is what is looked for.
                verdict = Verdict.LOST if isinstance(error, AssertionError | Lost) else Verdict.FAILED
                seen = f"{'; '.join(life.told)} | {traceback.format_exc(limit=-3)}".replace("\n", " | ")
                yield Outcome(f"life {seed}", verdict, seen)
            finally:
                life.close()
    finally:
        logging.disable(logging.NOTSET)
