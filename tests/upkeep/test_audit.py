"""What becomes of the audit's lines: the old go, and of too many the oldest of who has most."""

from __future__ import annotations

from collections import Counter

import pytest

from kiln.store.audit import AuditEvent, audit
from kiln.upkeep.audit import Room
from tests.service.measured import measured

DAY = 86400


@pytest.fixture
def lines(cloud):
    """Makes lines of an account, one a second from a time on; what is there, when it was made."""

    def make(account: str, count: int, since: float = 0.0, error: str = "", detail: str = "{}") -> None:
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
                    detail=detail,
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

    assert Room(cloud.ports, 1000).forget_old(2) == 1203
    assert Room(cloud.ports, 1000).forget_old(2) == 0
    assert len(kept(cloud)) == 4


def test_forgets_the_oldest_of_who_has_most(cloud, lines):
    lines("loud", 1500)
    lines("quiet", 20)

    assert Room(cloud.ports, 1000).forget_most() == 520

    rows = kept(cloud)
    assert Counter(row.account for row in rows) == {"loud": 980, "quiet": 20}
    assert min(row.at for row in rows if row.account == "loud") == 520


def test_refused_calls_push_out_no_others(cloud, lines):
    lines("a", 900)
    lines("a", 400, since=5000, error="InvalidParameter")

    assert Room(cloud.ports, 1000).forget_most() == 300

    assert Counter(row.error for row in kept(cloud)) == {"": 900, "InvalidParameter": 100}


def test_forgets_the_oldest_of_who_takes_most_bytes(cloud, lines):
    """Though there are few: letters of several bytes count as such."""
    lines("wide", 200, detail="龘" * 4000)
    lines("quiet", 300, since=5000)
    room = Room(cloud.ports, 1000)

    removed = room.forget_most()

    assert Counter(row.account for row in kept(cloud)) == {"wide": 200 - removed, "quiet": 300}
    assert 115 <= removed <= 125
    assert room.taken.bytes <= 1000 * 1024
    assert room.forget_most() == 0


def test_refused_calls_take_a_tenth_of_the_bytes(cloud, lines):
    lines("a", 50, error="InvalidParameter", detail="x" * 10_000)
    lines("a", 20, since=5000, detail="x" * 10_000)

    Room(cloud.ports, 1000).forget_most()

    assert Counter(row.error for row in kept(cloud)) == {"": 20, "InvalidParameter": 10}


@pytest.mark.parametrize("is_old", [True, False])
def test_weighs_what_came_since_as_if_all_were_weighed_again(cloud, lines, is_old):
    room = Room(cloud.ports, 1000)
    lines("a", 700, since=cloud.clock.now - 3 * DAY if is_old else cloud.clock.now)
    room.forget_most()
    lines("a", 200, since=cloud.clock.now - 30)
    lines("b", 300, since=cloud.clock.now + 1, error="InvalidParameter")

    assert room.forget_most() == 200
    assert room.forget_old(2) == (700 if is_old else 0)
    room.forget_most()
    assert room.taken == weighed(cloud)
    # And after a while, when what came has settled.
    cloud.clock.now += 2000
    room.forget_most()
    assert room.taken == weighed(cloud)
    assert room.taken.events == len(kept(cloud))


def weighed(cloud):
    """What one who weighs all of it finds."""
    room = Room(cloud.ports, 1_000_000)
    room.forget_most()
    return room.taken


def test_tells_what_it_takes_and_what_has_left_it(cloud, lines):
    lines("a", 1200)
    room = Room(cloud.ports, 1000)
    before = measured(cloud, room)
    room.forget_most()
    found = measured(cloud, room)
    room.forget_old(1)
    after = measured(cloud, room)

    assert (found("kiln_audit_events"), found("kiln_audit_bytes")) == (1000, room.taken.bytes)
    assert found.since(before, "kiln_audit_removed_total", reason="many") == 200
    assert after.since(found, "kiln_audit_removed_total", reason="old") == 1000
