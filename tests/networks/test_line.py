"""A keeper and its egress: messages in order, descriptors beside them, and an end that is heard."""

from __future__ import annotations

import os
import socket

import pytest

from kiln.networks.line import Line, pair
from kiln.networks.polling import Poll


class Far:
    def __init__(self):
        self.heard, self.descriptors, self.is_lost = [], [], False

    def hear(self, word, number, said, descriptor):
        self.heard.append((word, number, said))
        if descriptor is not None:
            self.descriptors.append(descriptor)

    def lose(self, _):
        self.is_lost = True


@pytest.fixture
def line():
    one, other = pair()
    near, far = Far(), Far()
    with Poll() as poll:
        own, its = Line(poll, one, near.hear, near.lose), Line(poll, other, far.hear, far.lose)
        yield poll, own, its, near, far
        own.close()
        its.close()
    for descriptor in far.descriptors:
        os.close(descriptor)


def turn_until(poll, is_so):
    for _ in range(10_000):
        if is_so():
            return
        poll.turn(0.1)
    raise AssertionError("it never came")


def test_what_finds_no_room_comes_later_in_its_order(line):
    poll, own, _, _, far = line
    for number in range(500):
        own.say(1, number, bytes(10_000))
    own.offer(4, 999, b"lost")  # Others wait before it.

    turn_until(poll, lambda: len(far.heard) == 500)
    assert [number for _, number, _ in far.heard] == list(range(500))
    own.offer(4, 999, b"heard")
    turn_until(poll, lambda: len(far.heard) == 501)
    assert far.heard[-1] == (4, 999, b"heard")


def test_a_descriptor_comes_with_its_message_and_is_closed_here(line):
    poll, own, _, _, far = line
    one, other = socket.socketpair()
    given = one.detach()
    own.say(2, 7, descriptor=given)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(given)

    turn_until(poll, lambda: far.heard)
    assert far.heard == [(2, 7, b"")]
    os.write(far.descriptors[0], b"x")
    with other:
        assert other.recv(1) == b"x"


def test_the_other_hears_of_the_end_after_all_that_was_said(line):
    poll, own, _, near, far = line
    own.say(1, 1)
    own.close()
    turn_until(poll, lambda: far.is_lost)

    assert far.heard == [(1, 1, b"")]
    assert not near.is_lost


def test_what_is_no_message_ends_it():
    end, other = pair()
    far = Far()
    with end, Poll() as poll:
        Line(poll, other, far.hear, far.lose)
        end.send(b"short")
        turn_until(poll, lambda: far.is_lost)

    assert far.heard == []
