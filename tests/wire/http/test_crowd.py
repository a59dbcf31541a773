from __future__ import annotations

from kiln.declare.metrics import REFUSED
from kiln.wire.http.bounds import Room
from kiln.wire.http.crowd import Crowd


class One:
    """A connection that only remembers."""

    def __init__(self):
        self.gave_way, self.times = False, []

    def give_way(self):
        self.gave_way = True

    def check_time(self, now):
        self.times.append(now)


def come(crowd, peer, count):
    ones = [One() for _ in range(count)]
    assert [crowd.come(one, peer) for one in ones] == [0] * count
    return ones


def test_the_one_that_has_been_silent_longest_gives_way_to_its_peer_s_next():
    crowd = Crowd(Room(10, 2))
    first, second = come(crowd, "a", 2)
    crowd.wait(first)

    (third,) = come(crowd, "a", 1)

    assert [one.gave_way for one in (first, second, third)] == [False, True, False]
    assert crowd.counts == {"connections": 2, "gave_way": 1}


def test_a_peer_with_few_takes_the_place_of_one_with_many():
    crowd = Crowd(Room(4, 3))
    many, few = come(crowd, "a", 3), come(crowd, "b", 1)

    come(crowd, "c", 1)

    assert [one.gave_way for one in (*many, *few)] == [True, False, False, False]


def test_refuses_when_all_of_a_peer_are_being_answered():
    crowd, before = Crowd(Room(10, 2)), REFUSED.value("too_many_of_peer")
    for one in come(crowd, "a", 2):
        crowd.ask(one)

    assert crowd.come(One(), "a") == 429
    assert crowd.come(One(), "b") == 0
    assert crowd.counts == {"connections": 3, "too_many_of_peer": 1}
    assert REFUSED.value("too_many_of_peer") == before + 1, "kiln_http_refused_total"


def test_refuses_when_all_are_being_answered():
    crowd = Crowd(Room(2, 2))
    first, second = come(crowd, "a", 1), come(crowd, "b", 1)
    crowd.ask(first[0])
    crowd.ask(second[0])

    assert crowd.come(One(), "c") == 503
    crowd.leave(first[0])
    assert crowd.come(One(), "c") == 0


def test_forgets_who_has_left():
    crowd = Crowd(Room(2, 2))
    for _ in range(100):
        (one,) = come(crowd, "a", 1)
        crowd.leave(one)
        crowd.leave(one)
        crowd.wait(one)

    assert crowd.counts == {"connections": 0}


def test_has_every_connection_look_at_the_clock():
    crowd = Crowd(Room(9, 9))
    ones = come(crowd, "a", 3)
    crowd.ask(ones[0])

    crowd.check_times(5.0)

    assert [one.times for one in ones] == [[5.0]] * 3


def test_tells_the_log_of_refusals_now_and_then(caplog):
    crowd = Crowd(Room(9, 9))
    for now in (61.0, 62.0, 63.0):
        crowd.count("bad_request")
        crowd.check_times(now)

    assert [record.getMessage() for record in caplog.records] == ["http_refused"]
