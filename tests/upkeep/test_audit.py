"""What becomes of the audit's lines: the old go, and of too many the oldest of who has most."""

from __future__ import annotations

from collections import Counter

import pytest

from kiln.store.audit import AuditEvent, audit
from kiln.upkeep.audit import forget_most, forget_old

DAY = 86400


@pytest.fixture
def lines(cloud):
    """Makes lines of an account, one a second from a time on; what is there, when it was made."""

    def make(account: str, count: int, since: float = 0.0, error: str = "") -> None:
        def write(tx) -> None:
            for n in range(count):
                row = AuditEvent(
                    account=account,
                    at=since + n,
                    id=f"{account}-{since}-{n}",
                    service="Ecs",
                    name="CreateDisk",
                    caller="root",
                    access_key="",
                    error=error,
                    resources="",
                    detail="{}",
                )
                audit.insert(tx, row)

        cloud.ports.database.write(write)

    return make


def kept(cloud) -> list[AuditEvent]:
    with cloud.ports.database.read() as tx:
        return audit.all(tx)


def test_forgets_what_is_older_than_its_days(cloud, lines):
    lines("a", 1200, since=cloud.clock.now - 3 * DAY)
    lines("b", 3, since=cloud.clock.now - 3 * DAY)
    lines("a", 4, since=cloud.clock.now - DAY)

    assert forget_old(cloud.ports, 2) == 1203
    assert forget_old(cloud.ports, 2) == 0
    assert len(kept(cloud)) == 4


def test_forgets_the_oldest_of_who_has_most(cloud, lines):
    lines("loud", 1500)
    lines("quiet", 20)

    assert forget_most(cloud.ports, 1000) == 520

    rows = kept(cloud)
    assert Counter(row.account for row in rows) == {"loud": 980, "quiet": 20}
    assert min(row.at for row in rows if row.account == "loud") == 520


def test_refused_calls_push_out_no_others(cloud, lines):
    lines("a", 900)
    lines("a", 400, since=5000, error="InvalidParameter")

    assert forget_most(cloud.ports, 1000) == 300

    assert Counter(row.error for row in kept(cloud)) == {"": 900, "InvalidParameter": 100}
