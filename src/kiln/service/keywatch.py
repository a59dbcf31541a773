"""Tells the log of keys that were made, switched off or on, or removed while the service runs.

``kiln account`` changes them beside it, in a process that logs nothing: whoever
reads the log afterwards learns here when a key came and when it went.
"""

from __future__ import annotations

from kiln.ground.journal import Journal
from kiln.store import accounts
from kiln.store.accounts import Credential
from kiln.store.database import Database

log = Journal("kiln.service")


class KeyWatch:
    """Compares the keys with those of the last look, the first time with those of the start. A chore of the keeper."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known = _keys(database)

    def look(self) -> None:
        """Log what is not as it was."""
        before, self._known = self._known, _keys(self._database)
        for key, row in self._known.items():
            if key not in before:
                _tell("key_added" if row.active else "key_added_disabled", row)
            elif row.active != before[key].active:
                _tell("key_enabled" if row.active else "key_disabled", row)
        for key, row in before.items():
            if key not in self._known:
                _tell("key_removed", row)


def _keys(database: Database) -> dict[tuple[str, str], Credential]:
    with database.read() as tx:
        return {(row.kind, row.id): row for row in accounts.credentials.all(tx)}


def _tell(event: str, row: Credential) -> None:
    log.info(event, account=row.account, kind=row.kind, key=row.id)
