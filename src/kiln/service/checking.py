"""The full check of the database once a day while Kiln serves; before a start it is made anyway.

A disk that loses a write tells nobody. What a statement does not happen to read
would be found at the next start only, which may be a year away.
"""

from __future__ import annotations

from pathlib import Path

from kiln.calls.call import Ports
from kiln.ground.journal import Journal
from kiln.ground.units import DAY_S
from kiln.store.errors import DatabaseDown
from kiln.store.glance import damage_of_sqlite

EVERY_S = float(DAY_S)  #: Of serving: by the monotonic clock.

log = Journal("kiln.service")


class DailyCheck:
    """A chore: has SQLite check its whole file, from the second time on, and every write stopped where it is damaged.

    It reads through a connection of its own, which has no page in its memory, in one read transaction, and keeps
    nobody from writing. Pages of PostgreSQL are that server's to check.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._is_due = False

    def __call__(self, ports: Ports) -> None:
        """Check, but for the first time."""
        if not self._is_due:
            self._is_due = True
            return
        try:
            damage = damage_of_sqlite(self._file, is_open=True)
        except DatabaseDown as error:
            log.warning("database_not_checked", reason=str(error))
            return
        if damage is None:
            log.info("database_checked")
        else:
            ports.database.found_damaged(damage)
