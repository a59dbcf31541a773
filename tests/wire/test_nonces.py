from __future__ import annotations

import threading

import pytest

from kiln.wire.nonces import WINDOW_S, MemoryNonces, Use

NOW = 1795416140.0


def test_knows_a_nonce_the_second_time():
    nonces = MemoryNonces()

    uses = [nonces.use("AK", "n", at=NOW, now=NOW + later) for later in (0, 0, 1, 60)]

    assert uses == [Use.NEW, Use.USED, Use.USED, Use.USED]


def test_tells_keys_apart():
    nonces = MemoryNonces()

    assert nonces.use("AK", "n", at=NOW, now=NOW) is Use.NEW
    assert nonces.use("BK", "n", at=NOW, now=NOW) is Use.NEW
    assert nonces.use("A", "Kn", at=NOW, now=NOW) is Use.NEW


@pytest.mark.parametrize("at", [NOW - WINDOW_S, NOW - 301, NOW, NOW + 299, NOW + WINDOW_S])
def test_knows_a_nonce_until_its_request_has_expired(at):
    nonces = MemoryNonces()
    nonces.use("AK", "n", at=at, now=min(at + WINDOW_S, NOW))

    for step in range(60):
        now = NOW + step * 30
        if at - WINDOW_S <= now <= at + WINDOW_S:
            nonces.use("AK", f"other {step}", at=now, now=now)
            assert nonces.use("AK", "n", at=at, now=now) is Use.USED


def test_knows_a_nonce_whatever_the_time_of_the_second_request():
    nonces = MemoryNonces()
    nonces.use("AK", "n", at=NOW, now=NOW)

    assert nonces.use("AK", "n", at=NOW + 600, now=NOW) is Use.USED
    assert nonces.use("AK", "n", at=NOW - 600, now=NOW) is Use.USED


def test_refuses_rather_than_forgets_when_full():
    nonces = MemoryNonces(capacity=6)

    uses = [nonces.use("AK", f"n{i}", at=NOW, now=NOW) for i in range(5)]

    assert uses == [Use.NEW] * 3 + [Use.FULL] * 2
    assert nonces.use("AK", "n0", at=NOW, now=NOW) is Use.USED


class Steady:
    """The time that has really passed."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_has_room_again_once_requests_have_expired():
    steady = Steady()
    nonces = MemoryNonces(capacity=6, steady=steady)
    for i in range(3):
        nonces.use("AK", f"n{i}", at=NOW, now=NOW)

    steady.now = WINDOW_S + 600
    later = NOW + steady.now

    assert nonces.use("AK", "later", at=later, now=later) is Use.NEW


@pytest.mark.parametrize("step", [31 * 60, 3600, 86_400, 10 * 365 * 86_400, -3600, -86_400])
def test_a_clock_that_is_set_and_set_back_makes_no_request_good_again(step):
    nonces = MemoryNonces(steady=Steady())
    nonces.use("AK", "n", at=NOW, now=NOW)

    assert nonces.use("AK", "meanwhile", at=NOW + step, now=NOW + step) is Use.NEW

    assert nonces.use("AK", "n", at=NOW, now=NOW + 1) is Use.USED
    assert nonces.use("AK", "next", at=NOW + 1, now=NOW + 1) is Use.NEW


@pytest.mark.parametrize("passed", [3600, 86_400, 10 * 86_400])
def test_a_clock_that_is_set_back_long_afterwards_makes_no_request_good_again(passed):
    steady = Steady()
    nonces = MemoryNonces(steady=steady)
    nonces.use("AK", "n", at=NOW, now=NOW)
    steady.now = passed
    nonces.use("AK", "later", at=NOW + passed, now=NOW + passed)

    assert nonces.use("AK", "n", at=NOW, now=NOW) in (Use.USED, Use.FORGOTTEN)
    assert nonces.use("AK", "n", at=NOW, now=NOW + WINDOW_S) in (Use.USED, Use.FORGOTTEN)
    assert nonces.use("AK", "other", at=NOW + 600, now=NOW + 600) is Use.NEW


def test_an_account_leaves_room_for_the_next():
    nonces = MemoryNonces(capacity=1000)

    def fill(account: str) -> int:
        uses = [nonces.use("AK", f"{account} {i}", at=NOW, now=NOW, account=account) for i in range(1000)]
        assert set(uses) == {Use.NEW, Use.FULL}
        return uses.count(Use.NEW)

    assert [fill(account) for account in "abcd"] == [500, 250, 125, 63]
    assert nonces.use("AK", "one", at=NOW, now=NOW, account="e") is Use.NEW
    assert nonces.use("AK", "one more", at=NOW, now=NOW, account="a") is Use.FULL


def test_gives_a_nonce_to_one_of_many_threads():
    nonces = MemoryNonces()
    uses: list[Use] = []

    def use_all() -> None:
        uses.extend([nonces.use("AK", f"n{i}", at=NOW, now=NOW) for i in range(500)])

    threads = [threading.Thread(target=use_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert uses.count(Use.NEW) == 500
    assert uses.count(Use.USED) == 1500
