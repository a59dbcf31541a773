"""``kiln db check``: whether a database is fit to be worked with, and holds what its own laws say.

Nothing is changed, and a service may run beside it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from kiln.ground.clock import system_clock
from kiln.ground.values import dataclass
from kiln.service.assemble import look
from kiln.service.databases import open_database
from kiln.service.settings import Settings
from kiln.store import schema
from kiln.store.database import open_postgresql
from kiln.store.faults import outage_said
from kiln.store.migrating import differences
from kiln.store.standing import faults_of, standing
from kiln.upkeep.fsck import row_findings

#: Leases, grace and signatures go by the host's clock; a signature may be off by 15 minutes, a lease by a few seconds.
CLOCK_S = 2.0


@dataclass(frozen=True)
class Look:
    """One thing that was looked at."""

    what: str
    text: str
    is_well: bool = True


def survey(settings: Settings) -> Iterator[Look]:
    """Look at one thing after the other; what is not well makes the next be left out where it rests on that.

    Raises DatabaseUnusable where the database cannot be reached or has no tables, DatabaseDamaged, DeploymentRefused.
    """
    is_fit = True
    if settings.database:
        for one in _server(settings):
            is_fit &= one.is_well or one.what == "clock"
            yield one
    if is_fit:
        yield from _tables(settings)


def _server(settings: Settings) -> Iterator[Look]:
    database = open_postgresql(settings.server)
    try:
        database.probe(lambda _: None)  # A connection takes longer than a question, and has been made by then.
        before, began = system_clock(), time.monotonic()
        it = database.probe(standing)
        took_s = time.monotonic() - began
        makes_tables = schema.version(database) != schema.NEWEST
    finally:
        database.close()
    yield Look("server", f"PostgreSQL {it.version_text}, as {it.user}, {_encrypted(is_so=it.is_encrypted)}")
    for fault in faults_of(it, makes_tables=makes_tables):
        yield Look("server", fault, is_well=False)
    # Somewhere in the time that the question took the server looked at its clock.
    ahead_s = it.clock - before - took_s / 2
    off_s = max(0.0, abs(ahead_s) - took_s / 2)
    words = f"the server's is {abs(ahead_s):.1f} s {'ahead of' if ahead_s > 0 else 'behind'} this host's"
    yield Look("clock", words, is_well=off_s <= CLOCK_S)


def _encrypted(*, is_so: bool) -> str:
    return "by TLS" if is_so else "without TLS"


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
