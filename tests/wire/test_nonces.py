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
    nonces = MemoryNonces(capacity=3)

    uses = [nonces.use("AK", f"n{i}", at=NOW, now=NOW) for i in range(5)]

    assert uses == [Use.NEW] * 3 + [Use.FULL] * 2
    assert nonces.use("AK", "n0", at=NOW, now=NOW) is Use.USED


def test_has_room_again_once_requests_have_expired():
    nonces = MemoryNonces(capacity=3)
    for i in range(3):
        nonces.use("AK", f"n{i}", at=NOW, now=NOW)

    later = NOW + WINDOW_S + 300

    assert nonces.use("AK", "later", at=later, now=later) is Use.NEW


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
