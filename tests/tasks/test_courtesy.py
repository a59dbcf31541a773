"""What a host leaves to another one: for a while, and only what that has more room for."""

from __future__ import annotations

from dataclasses import dataclass

from kiln.store.hosts import NOTHING, Room
from kiln.tasks.courtesy import Courtesy

SMALL, LARGE = Room(cpus=4, memory_mib=4096), Room(cpus=4, memory_mib=8192)


@dataclass
class Start:
    id: str
    host: str = ""
    cpus: int = 1
    memory_mib: int = 1024


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def test_a_start_is_left_to_who_has_more_for_so_long_and_no_longer():
    clock = Clock()
    courtesy = Courtesy(2.0, clock)
    courtesy.look(LARGE)
    assert courtesy.leaves(Start("a"), SMALL)
    clock.now += 1.9
    courtesy.look(LARGE)
    assert (courtesy.leaves(Start("a"), SMALL), courtesy.leaves(Start("b"), SMALL)) == (True, True)
    clock.now += 0.1

    assert (courtesy.leaves(Start("a"), SMALL), courtesy.leaves(Start("b"), SMALL)) == (False, True)


def test_nothing_is_left_to_who_has_as_much_or_less_or_to_nobody():
    courtesy = Courtesy(2.0, Clock())
    for elsewhere in (LARGE, SMALL, NOTHING):
        courtesy.look(elsewhere)
        assert not courtesy.leaves(Start("a"), LARGE)
    courtesy.look(Room(cpus=8, memory_mib=8192))
    assert courtesy.leaves(Start("a"), LARGE)


def test_of_two_starts_an_empty_host_among_empty_ones_takes_one():
    courtesy = Courtesy(2.0, Clock())
    courtesy.look(LARGE)

    assert [courtesy.leaves(Start("a"), LARGE), courtesy.leaves(Start("b"), LARGE.less(SMALL))] == [False, True]


def test_what_was_left_long_ago_is_forgotten():
    clock = Clock()
    courtesy = Courtesy(2.0, clock)
    courtesy.look(LARGE)
    assert courtesy.leaves(Start("a"), SMALL)
    clock.now += 1000
    courtesy.look(LARGE)

    assert courtesy.leaves(Start("a"), SMALL)
