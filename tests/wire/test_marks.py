from __future__ import annotations

import hashlib
import random
import tracemalloc

from kiln.wire.marks import SIZE, Marks


def digest(n: int) -> bytes:
    return hashlib.blake2b(str(n).encode(), digest_size=SIZE).digest()


def test_holds_what_was_added_and_nothing_else():
    marks = Marks()
    for n in range(20_000):
        assert digest(n) not in marks
        marks.add(digest(n))

    assert len(marks) == 20_000
    assert all(digest(n) in marks for n in range(20_000))
    assert not any(digest(n) in marks for n in range(20_000, 40_000))


def test_what_two_make_where_they_meet_is_none():
    """All of these lie one behind the other, and the end of one with the beginning of the next reads as a third."""
    seen = random.Random(1)
    a, b = (bytes(2) + seen.randbytes(SIZE - 4) + bytes(2) for _ in range(2))
    between = [(a + b)[shift : shift + SIZE] for shift in range(SIZE - 2, SIZE)]
    assert {mark[:2] for mark in between} == {bytes(2)}
    marks = Marks()
    marks.add(a)
    marks.add(b)

    assert a in marks
    assert b in marks
    assert not any(mark in marks for mark in between)

    for mark in between:
        marks.add(mark)
    assert all(mark in marks for mark in (a, b, *between))


def test_takes_little_more_than_the_digests_themselves():
    digests = [digest(n) for n in range(50_000)]
    tracemalloc.start()
    try:
        marks = Marks()
        for one in digests:
            marks.add(one)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert taken < 25 * len(digests), taken
