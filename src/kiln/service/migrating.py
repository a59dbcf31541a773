"""``kiln db migrate``: tables made and upgraded on purpose, and told before."""

from __future__ import annotations

from contextlib import ExitStack

from kiln.service.claim import hold_data_folder
from kiln.service.databases import open_database, require_there, require_whole
from kiln.service.pairing import version_there
from kiln.service.settings import Settings
from kiln.service.upgrading import Say
from kiln.store import schema
from kiln.store.migrating import steps_after

NEWEST = schema.NEWEST  #: What tables are brought to.


def planned(settings: Settings) -> list[str]:
    """What would be done, in words, one migration after the other; nothing is changed. Raises DatabaseUnusable."""
    require_there(settings)
    found = version_there(settings)
    if found is None:
        return [f"make all tables, of version {NEWEST}"]
    return [f"carry out {step.number}: {step.about}" for step in steps_after(found)]


def migrate(settings: Settings, say: Say) -> None:
    """Do it. Raises DatabaseUnusable, DataFolderBusy; nothing was changed then.

    SQLite is changed by nobody but who holds the data folder. In PostgreSQL a lock keeps others from it who migrate,
    and a service of the version before works on meanwhile.
    """
    with ExitStack() as stack:
        if not settings.database:
            stack.enter_context(hold_data_folder(settings.data))
            require_whole(settings)
        open_database(settings, say).close()
