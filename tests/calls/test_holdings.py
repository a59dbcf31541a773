"""Who waits for a look at what the pool holds."""

from __future__ import annotations

import threading

import pytest

from kiln.calls.holdings import Held, Holdings, HoldingsWatch

NOTHING = Holdings(counts={}, all=Held({}, {}, {}), by_account={}, at=0.0)


class Looks:
    """Looks that each end when they may, and seconds that go by when they are told to."""

    def __init__(self) -> None:
        self.now = 0.0
        self.may_end = threading.Semaphore(0)
        self.watch = HoldingsWatch(self._look, lambda: self.now)

    def ask(self):
        return self.watch.ask(None, None, None)

    def _look(self, *_):
        assert self.may_end.acquire(timeout=300)
        return NOTHING


@pytest.fixture
def looks():
    made = Looks()
    yield made
    made.may_end.release(10)


def test_who_comes_as_the_first_look_begins_waits_for_it_and_who_comes_late_does_not(looks):
    first = looks.ask()
    looks.now = 2.0
    assert looks.ask() is first is not None

    looks.now = 4.0
    assert looks.ask() is None
    assert looks.watch.found is None

    looks.may_end.release()
    first.result(300)
    assert looks.watch.found is NOTHING


def test_nobody_waits_for_another_look_where_looks_take_long(looks):
    first = looks.ask()
    looks.now = 1.0
    looks.may_end.release()
    first.result(300)

    assert looks.ask() is None

    looks.now = 102.0
    assert looks.ask() is None
    assert looks.watch.found is NOTHING


def test_who_asks_waits_for_a_look_that_takes_no_time(looks):
    first = looks.ask()
    looks.may_end.release()
    first.result(300)

    again = looks.ask()

    assert again is not None
    assert again is not first
