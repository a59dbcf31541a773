"""The room that is kept for deleting. What it is good for on a full disk is in tests/full."""

from __future__ import annotations

import stat

import pytest

from kiln.ground.units import MiB
from kiln.service.ballast import SIZE_BYTES, Ballast
from tests.mounts import mounted
from tests.pools.kills import killed_at


def kept(path) -> int:
    return path.stat().st_blocks * 512


def test_takes_up_room_and_lets_it_go(tmp_path):
    path = tmp_path / "ballast"
    ballast = Ballast(path)

    ballast.fill()
    assert kept(path) == SIZE_BYTES
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ballast.give_up()
    assert kept(path) == 0
    ballast.fill()
    assert kept(path) == SIZE_BYTES


@pytest.mark.parametrize("point", range(4))
def test_may_be_killed_while_it_does(tmp_path, point):
    path = tmp_path / "ballast"

    def act() -> None:
        Ballast(path).fill()
        Ballast(path).give_up()

    assert killed_at(point, act)
    Ballast(path).fill()

    assert kept(path) == SIZE_BYTES


def test_has_nothing_to_let_go_twice(tmp_path):
    ballast = Ballast(tmp_path / "ballast")
    assert not ballast.give_up()

    ballast.fill()

    assert ballast.give_up()
    assert not ballast.give_up()


def test_takes_nothing_where_there_is_not_enough(tmp_path):
    # On a disk of its own: for a moment, all that is free there is taken.
    with mounted("-t", "tmpfs", "-o", "size=32m", "tmpfs", tmp_path):
        path = tmp_path / "ballast"
        ballast = Ballast(path, size_bytes=Ballast(path).free_bytes() + 64 * MiB)

        ballast.fill()

        assert kept(path) == 0
        assert ballast.free_bytes() > 31 * MiB


def test_is_given_up_until_it_can_be_taken_up_again(tmp_path):
    path, room = tmp_path / "ballast", [64 * MiB]

    class Small(Ballast):
        def free_bytes(self) -> int:
            return room[0]

    assert not Small(path).is_given_up(), "who never took it up has given nothing up"
    ballast = Small(path)
    ballast.fill()
    assert not ballast.is_given_up()

    room[0] = 15 * MiB
    ballast.give_up()
    assert ballast.is_given_up()
    assert Small(path).is_given_up(), "after a start, too"

    room[0] = 16 * MiB
    assert not ballast.is_given_up()
    assert kept(path) == SIZE_BYTES
