"""What a PostgreSQL server is found to be, while a service runs or none does; nothing is changed."""

from __future__ import annotations

import time
from collections.abc import Iterator

from kiln.ground.clock import system_clock
from kiln.ground.values import dataclass
from kiln.service.settings import Settings
from kiln.store import schema
from kiln.store.database import open_postgresql
from kiln.store.standing import faults_of, standing

#: Leases, grace and signatures go by the host's clock; a signature may be off by 15 minutes, a lease by a few seconds.
CLOCK_S = 2.0


@dataclass(frozen=True)
class Look:
    """One thing that was looked at."""

    what: str
    text: str
    is_well: bool = True


def survey_server(settings: Settings) -> Iterator[Look]:
    """Look at the server alone. Raises DatabaseDown, also where the user may not read which tables there are."""
    database = open_postgresql(settings.server)
    try:
        database.probe(lambda _: None)  # A connection takes longer than a question, and has been made by then.
        before, began = system_clock(), time.monotonic()
        it = database.probe(standing)
        took_s = time.monotonic() - began
        makes_tables = database.probe(lambda _: schema.version(database)) != schema.NEWEST
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
