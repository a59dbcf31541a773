"""The way to a guest's card: guests come and go, and one that is slow loses nothing that waits for it."""

from __future__ import annotations

import contextlib
import socket

import pytest

from kiln.networks.ends import End
from kiln.networks.polling import Poll


class Cable:
    def __init__(self, folder):
        self.path = folder / "end"
        self.told = []
        self.poll = Poll()
        self.end = End(self.poll, str(self.path), lambda: self.told.append("full"), lambda: self.told.append("free"))

    @contextlib.contextmanager
    def guest(self):
        self.path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
            made.settimeout(300)
            made.bind(str(self.path))
            yield made


@pytest.fixture
def cable(tmp_path):
    made = Cable(tmp_path)
    with made.poll:
        yield made
        made.end.close()


def test_what_finds_nobody_is_lost_and_who_comes_hears_what_comes_then(cable):
    assert cable.end.send(b"to nobody")
    for _ in range(2):
        with cable.guest() as guest:
            assert cable.end.send(b"to the guest")
            assert guest.recv(100) == b"to the guest"
        assert cable.end.send(b"to nobody again")

    assert cable.told == []


def test_one_that_is_slow_hears_all_that_waited_for_it(cable):
    with cable.guest() as guest:
        number = 0
        while cable.end.send(str(number).encode()):
            number += 1
        assert cable.told == ["full"]
        cable.end.offer(b"lost")
        cable.poll.turn(0)
        assert cable.told == ["full"]

        heard = [guest.recv(100)]
        cable.poll.turn(60)
        assert cable.told == ["full", "free"]
        heard += [guest.recv(100) for _ in range(number)]
        assert heard == [str(one).encode() for one in range(number + 1)]


def test_one_that_goes_while_it_is_waited_for_holds_nothing_up(cable):
    with cable.guest():
        while cable.end.send(b"x"):
            pass
    cable.poll.turn(60)
    assert cable.told == ["full", "free"]

    with cable.guest() as guest:
        assert cable.end.send(b"to the next")
        assert guest.recv(100) == b"to the next"


def test_what_is_closed_while_it_is_waited_for_tells_nobody(cable):
    with cable.guest():
        while cable.end.send(b"x"):
            pass
        cable.end.close()
        cable.poll.turn(0)

    assert cable.told == ["full"]
