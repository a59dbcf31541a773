"""``kiln db check``: whether a database is fit to be worked with, and holds what its own laws say.

Nothing is changed, and a service may run beside it.
"""

from __future__ import annotations

from collections.abc import Iterator

from kiln.service.assemble import look
from kiln.service.databases import open_database
from kiln.service.servers import Look, survey_server
from kiln.service.settings import Settings
from kiln.store import schema
from kiln.store.faults import outage_said
from kiln.store.migrating import differences
from kiln.upkeep.fsck import row_findings


def survey(settings: Settings) -> Iterator[Look]:
    """Look at one thing after the other; what is not well makes the next be left out where it rests on that.

    Raises DatabaseUnusable where the database cannot be reached or has no tables, DatabaseDamaged, DeploymentRefused.
    """
    is_fit = True
    if settings.database:
        for one in survey_server(settings):
            is_fit &= one.is_well or one.what == "clock"
            yield one
    if is_fit:
        yield from _tables(settings)


def _tables(settings: Settings) -> Iterator[Look]:
    with outage_said():
        database = open_database(settings, None)
        try:
            yield Look("tables", f"of version {schema.version(database)}, the newest that this Kiln knows")
            for difference in differences(database):
                yield Look("tables", f"they are not as declared: {difference}", is_well=False)
        finally:
            database.close()
    with look(settings) as ports:
        found = row_findings(ports)
    for one in found:
        yield Look("rows", f"{one.subject} {one.text}", is_well=False)
    if not found:
        yield Look("rows", "none contradicts another")
