"""Whether two things take as long as each other: told as soon as the pairs say so, and never when they do not."""

from __future__ import annotations

import random

import pytest

from bench.sections.flat import take_pairs, verdict_of


@pytest.mark.parametrize(
    ("least", "most", "verdict"),
    [(0.9, 1.1, True), (0.97, 1.02, True), (1.11, 1.4, False), (0.5, 0.89, False), (0.8, 1.0, None), (1.0, 1.3, None)],
)
def test_a_range_is_within_outside_or_says_nothing(least, most, verdict):
    assert verdict_of(least, most) is verdict


def test_pairs_that_agree_are_enough_at_once():
    assert len(take_pairs(lambda _: (1.0, 1.02), least=16, most=400, limit_s=60)) == 16
    assert len(take_pairs(lambda _: (1.0, 2.0), least=16, most=400, limit_s=60)) == 16


def test_pairs_that_differ_are_taken_until_they_tell():
    chance = random.Random(7)
    noisy = [(1.0, chance.uniform(0.7, 1.3)) for _ in range(1000)]

    taken = take_pairs(lambda turn: noisy[turn], least=8, most=1000, limit_s=60)

    assert 8 < len(taken) < 1000
    assert taken == noisy[: len(taken)]


@pytest.mark.parametrize(("most", "limit_s", "count"), [(24, 60, 24), (400, 0, 2)])
def test_the_number_and_the_time_of_pairs_are_bounded(most, limit_s, count):
    pairs = [(1.0, 0.5), (1.0, 1.5)] * 200

    assert len(take_pairs(lambda turn: pairs[turn], least=8, most=most, limit_s=limit_s)) == count
