"""Turns: so many at once, and nobody keeps one for good."""

from __future__ import annotations

import threading

import pytest

from kiln.ground.turns import Turns


def test_are_so_many_at_once():
    turns, most, inside, lock = Turns(2, 60.0), [0], [0], threading.Lock()

    def work():
        with turns.one():
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            with lock:
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 1 <= most[0] <= 2


def test_pass_on_when_one_is_held_for_too_long():
    turns, done = Turns(1, 0.05), threading.Event()

    def work():
        with turns.one():
            done.set()

    with turns.one():
        thread = threading.Thread(target=work)
        thread.start()
        assert done.wait(300)
        thread.join()


def test_are_given_back_when_the_work_fails():
    turns = Turns(1, 3600.0)
    with pytest.raises(ZeroDivisionError), turns.one():
        raise ZeroDivisionError
    with turns.one():
        pass
