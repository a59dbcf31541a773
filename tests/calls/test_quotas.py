"""When things are counted: seldom while much is left, and at each request near the quota, whoever else makes some."""

from __future__ import annotations

from kiln.calls.quotas import QuotaWatch


class Rows:
    """How many there are, and how often they were counted."""

    def __init__(self) -> None:
        self.there = self.counted = 0

    def count(self) -> int:
        self.counted += 1
        return self.there


def make(watch: QuotaWatch, rows: Rows, limit: int) -> bool:
    if watch.is_reached("images", limit, rows.count):
        return False
    rows.there += 1
    return True


def test_one_alone_makes_as_many_as_may_be_and_counts_seldom():
    watch, rows = QuotaWatch(), Rows()

    made = sum(make(watch, rows, 1000) for _ in range(1100))

    assert made == 1000
    assert rows.counted < 150


def test_several_make_no_more_than_may_be_whoever_is_faster():
    now = [0.0]
    rows = Rows()
    slow, *fast = [QuotaWatch(is_shared=True, steady=lambda: now[0]) for _ in range(4)]

    made = sum(make(slow, rows, 2000) for _ in range(10))
    for _ in range(1000):
        made += sum(make(one, rows, 2000) for one in fast)
        now[0] += 0.005
    made += sum(make(slow, rows, 2000) for _ in range(1000))

    assert made == rows.there == 2000


def test_a_count_of_several_is_good_for_a_moment():
    now = [0.0]
    rows = Rows()
    watch = QuotaWatch(is_shared=True, steady=lambda: now[0])

    for _ in range(100):
        make(watch, rows, 100_000)
    counted = rows.counted
    now[0] += 1.0
    make(watch, rows, 100_000)

    assert (counted, rows.counted) == (1, 2)
