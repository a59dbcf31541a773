"""The keeper and its smaller chores."""

from __future__ import annotations

import threading

from kiln.pools.errors import PoolFull
from kiln.store import tags
from kiln.store.errors import DatabaseBusy
from kiln.store.tokens import KEPT_S, Token, tokens
from kiln.upkeep.keeper import CHORES, Chore, Keeper, forget_tokens, prepare, release_snapshots
from tests.stock import a_snapshot, an_instance

DAY = 86400


def test_releases_a_snapshot_whose_days_are_over(cloud):
    old = a_snapshot(cloud, retention_days=1, created_at=cloud.clock.now - 2 * DAY)
    a_snapshot(cloud, retention_days=3, created_at=cloud.clock.now - 2 * DAY)
    a_snapshot(cloud, retention_days=0, created_at=cloud.clock.now - 900 * DAY)
    cloud.ports.database.write(lambda tx: tags.put(tx, old.account, "snapshot", old.id, {"a": "b"}))

    assert release_snapshots(cloud.ports) == [old.id]
    assert release_snapshots(cloud.ports) == []
    with cloud.ports.database.read() as tx:
        assert tags.of(tx, "snapshot", [old.id]) == {old.id: []}


def test_keeps_a_snapshot_that_an_image_stands_on(cloud):
    old = a_snapshot(cloud, retention_days=1)
    cloud.call("CreateImage", SnapshotId=old.id)
    cloud.clock.now += 2 * DAY

    assert release_snapshots(cloud.ports) == []


def test_forgets_old_tokens(cloud):
    for token, age in (("old", KEPT_S + 10), ("new", 10)):
        row = Token(account="1", action="X", token=token, digest="", answer="{}", created_at=cloud.clock.now - age)
        cloud.ports.database.write(lambda tx, row=row: tokens.insert(tx, row))

    assert forget_tokens(cloud.ports) == 1
    with cloud.ports.database.read() as tx:
        assert [t.token for t in tokens.all(tx)] == ["new"]


def test_has_the_next_overlays_of_captured_disks_made_ready(cloud):
    instance = an_instance(cloud, data_disks=2)
    cloud.call("CreateImage", InstanceId=instance.id)
    cloud.settle()

    assert prepare(cloud.ports) == 3
    assert prepare(cloud.ports) == 0
    assert prepare in [chore.do for chore in CHORES]


class FullPool:
    """A pool in which nothing can be made."""

    def prepare(self):
        raise PoolFull("no room")

    @property
    def overlays(self):
        return self

    def due_to_open(self):
        return []


def test_makes_nothing_ready_where_there_is_no_room(cloud):
    cloud.refit(pool=FullPool())

    assert prepare(cloud.ports) == 0


def test_goes_on_when_a_chore_fails(cloud):
    done = threading.Event()

    def fail(ports):
        raise RuntimeError("a bug")

    keeper = Keeper(cloud.ports, (Chore("fail", 60.0, fail), Chore("next", 60.0, lambda ports: done.set())))
    keeper.start()
    try:
        assert done.wait(300)
    finally:
        keeper.stop()


def test_begins_nothing_before_its_time_and_can_be_stopped_meanwhile(cloud):
    begun = threading.Event()
    keeper = Keeper(cloud.ports, (Chore("one", 60.0, lambda ports: begun.set()),), first_after_s=3600)
    keeper.start()
    keeper.stop()

    assert not begun.is_set()
    assert keeper.dead() == []


def test_does_a_chore_while_another_does_not_end(cloud):
    done, is_over = threading.Event(), threading.Event()
    slow = Chore("slow", 60.0, lambda ports: is_over.wait(300))
    keeper = Keeper(cloud.ports, (slow, Chore("next", 60.0, lambda ports: done.set())))
    keeper.start()
    try:
        assert done.wait(300)
    finally:
        is_over.set()
        keeper.stop()


def test_puts_a_chore_off_while_another_keeps_the_database_busy(cloud, caplog):
    done = threading.Event()
    left = [DatabaseBusy("database is locked")]

    def do(ports):
        if left:
            raise left.pop()
        done.set()

    keeper = Keeper(cloud.ports, (Chore("busy", 0.0, do),))
    keeper.start()
    try:
        assert done.wait(300)
    finally:
        keeper.stop()

    said = [(one.getMessage(), one.exc_info) for one in caplog.records if one.name == "kiln.upkeep"]
    assert said == [("chore_put_off", None)]
