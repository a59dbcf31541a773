"""A clock that is set forward has nothing deleted before its time."""

from __future__ import annotations

import pytest

from kiln.store.snapshots import snapshots
from kiln.upkeep.keeper import CHORES, release_snapshots
from kiln.upkeep.unhurried import Unhurried
from tests.clouds import Clock
from tests.stock import a_snapshot

HOUR, DAY = 3600.0, 86_400.0
START = 600.0


class Hands:
    """The two clocks: the time of day, which can be set, and the steady one."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.steady = Clock()

    def pass_(self, seconds):
        self.steady.now += seconds
        self.cloud.clock.now += seconds

    def set_forward(self, seconds):
        self.cloud.clock.now += seconds


@pytest.fixture
def hands(cloud):
    return Hands(cloud)


@pytest.fixture
def released(cloud, hands):
    """The release of snapshots, that has run since ten minutes after a start."""
    chore = Unhurried("release_snapshots", release_snapshots, hands.steady)
    chore(cloud.ports)
    hands.pass_(START)
    assert chore(cloud.ports) == []
    return lambda: bool(chore(cloud.ports))


def test_waits_after_a_start_with_a_clock_that_is_ahead(cloud, hands):
    a_snapshot(cloud, retention_days=1)
    hands.set_forward(60 * DAY)
    chore = Unhurried("release_snapshots", release_snapshots, hands.steady)

    for _ in range(10):
        assert not chore(cloud.ports)
        hands.pass_(START / 10)

    assert chore(cloud.ports)


def test_what_is_due_goes_at_once_where_the_clock_goes_on(cloud, hands, released):
    a_snapshot(cloud, retention_days=1)

    hands.pass_(DAY - 60)
    assert not released()
    hands.pass_(60)
    assert released()


@pytest.mark.parametrize("step", [2.0, 60.0, HOUR])
def test_nothing_goes_early_by_a_step_of_up_to_an_hour(cloud, hands, released, step):
    a_snapshot(cloud, retention_days=1)
    hands.pass_(DAY - step)
    assert not released()

    hands.set_forward(step)
    assert not released()
    hands.pass_(step - 1)
    assert not released()
    hands.pass_(1)
    assert released()


@pytest.mark.parametrize("step", [2 * HOUR, DAY, 90 * DAY, 3650 * DAY])
def test_a_longer_step_is_waited_for_an_hour(cloud, hands, released, step):
    kept = a_snapshot(cloud, retention_days=1)
    hands.set_forward(step)
    assert not released()

    hands.pass_(HOUR - 1)

    assert not released()
    with cloud.ports.database.read() as tx:
        assert snapshots.find(tx, id=kept.id) is not None


def test_a_clock_that_is_put_right_meanwhile_has_deleted_nothing(cloud, hands, released):
    a_snapshot(cloud, retention_days=1)
    hands.set_forward(30 * DAY)
    assert not released()
    hands.pass_(HOUR / 2)
    assert not released()
    hands.set_forward(-30 * DAY)

    for _ in range(20):
        hands.pass_(HOUR)
        assert not released()


def test_each_step_is_waited_for(cloud, hands, released):
    a_snapshot(cloud, retention_days=1)
    for _ in range(30):
        hands.set_forward(2 * HOUR)
        assert not released()
        hands.pass_(HOUR - 1)
        assert not released()


def test_a_step_back_puts_nothing_off(cloud, hands, released):
    a_snapshot(cloud, retention_days=1)
    hands.pass_(2 * DAY)
    hands.set_forward(-HOUR)

    assert released()


def test_says_that_the_clock_was_set(cloud, hands, released, caplog):
    hands.set_forward(DAY)
    released()

    assert caplog.messages.count("clock_set_forward") == 1


def test_every_chore_that_deletes_by_the_time_of_day_waits(cloud):
    unhurried = {chore.name for chore in CHORES if isinstance(chore.do, Unhurried)}

    assert unhurried == {"release_snapshots", "release_instances", "forget_tokens", "forget_invocations"}
