"""Counting: what is counted, from many threads, and within bounds."""

from __future__ import annotations

import threading

from kiln.ground.meters import MOST_SERIES, OTHER, Counter, Histogram


def test_a_counter_counts_by_its_labels():
    counter = Counter("kiln_x_total", "X.", {"kind": "which"})

    counter.add("a")
    counter.add("a", by=2)
    counter.add("b")

    assert counter.series() == {("a",): 3, ("b",): 1}
    assert counter.value("c") == 0


def test_a_histogram_has_values_up_to_a_bucket_in_it():
    histogram = Histogram("kiln_x_seconds", "X.", buckets=(1.0, 2.0))

    for value in (0.5, 1.0, 1.5, 9.0):
        histogram.observe(value)

    assert histogram.value() == ((2, 1, 1), 12.0)


def test_nobody_makes_series_without_end():
    counter, histogram = Counter("x_total", "X.", {"a": ""}), Histogram("x_seconds", "X.", {"a": "", "b": ""})

    for n in range(MOST_SERIES + 50):
        counter.add(str(n))
        histogram.observe(1.0, str(n), "b")

    assert len(counter.series()) == len(histogram.series()) == MOST_SERIES + 1
    assert counter.value(OTHER) == sum(histogram.value(OTHER, OTHER).counts) == 50
    counter.add("0")
    assert counter.value("0") == 2


def test_loses_nothing_that_many_threads_count():
    counter, histogram = Counter("x_total", "X."), Histogram("x_seconds", "X.")

    def count():
        for _ in range(5000):
            counter.add()
            histogram.observe(0.5)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert counter.value() == 20_000
    assert histogram.value().total == 10_000
