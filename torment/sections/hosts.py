"""Hosts on one database and one pool that die, stand still, are cut off, and have clocks of their own.

Each try is a life of its own, which ``--seed`` and its number make again. In every eighth hosts are drained, and guests
move from one to another.
"""

from __future__ import annotations

import logging
import random
import shutil
import traceback
from collections.abc import Iterator
from pathlib import Path

from torment.campaign import Outcome, Place, Skipped, Verdict
from torment.simulated.life import Life, Lost, Stock
from torment.simulated.moves import Moves

_MOVES = 8  #: Of so many lives one has moves.


def run(place: Place) -> Iterator[Outcome]:
    """See the module."""
    if missing := [tool for tool in ("qemu-img", "qemu-io") if shutil.which(tool) is None]:
        raise Skipped(f"needs {' and '.join(missing)}")
    stocks = {kind: _stock(place.folder / f"stock-{kind.__name__}", kind) for kind in (Life, Moves)}
    logging.disable(logging.CRITICAL)
    try:
        for number in range(place.tries):
            kind, seed = Moves if number % _MOVES == 0 else Life, place.chance.randrange(10**9)
            life = kind(stocks[kind], place.folder / str(number), random.Random(seed))
            try:
                life.run()
                yield Outcome(f"{kind.__name__} {seed}")
            except Exception as error:  # noqa: BLE001 - whatever does not end as it should is what is looked for.
                verdict = Verdict.LOST if isinstance(error, AssertionError | Lost) else Verdict.FAILED
                seen = f"{'; '.join(life.told)} | {traceback.format_exc(limit=-3)}".replace("\n", " | ")
                yield Outcome(f"{kind.__name__} {seed}", verdict, seen)
            finally:
                life.close()
    finally:
        logging.disable(logging.NOTSET)


def _stock(folder: Path, kind: type[Life]) -> Stock:
    folder.mkdir()
    return Stock.lay_out(folder, kind.holds)
