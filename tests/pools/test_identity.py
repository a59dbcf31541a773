"""Whose pool a folder is."""

from __future__ import annotations

import json

import pytest

from kiln.pools.errors import IdentityBroken, IdentityTooNew
from kiln.pools.identity import HIDDEN, look
from kiln.pools.port import Generation, Identity
from kiln.pools.qcow2 import Qcow2Pool
from tests.pools.kills import killed_at, points_of

ONE = Identity("one", Generation(3, "ab"), Generation(4, "cd"))
TWO = Identity("one", Generation(4, "cd"))


@pytest.fixture
def pool(tmp_path):
    return Qcow2Pool(tmp_path / "pool")


def file_of(tmp_path):
    return tmp_path / "pool" / HIDDEN / "identity"


def test_says_what_it_was_told(pool, tmp_path):
    assert pool.identity() is None
    pool.identify(ONE)

    assert pool.identity() == look(tmp_path / "pool").identity == ONE
    assert file_of(tmp_path).stat().st_mode & 0o777 == 0o600
    assert file_of(tmp_path).parent.stat().st_mode & 0o777 == 0o700
    assert pool.strangers() == []


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", bytes(200), b"\xff\xfe", b'{"format": 1}', b'{"format": "x", "checksum": 3}'],
)
def test_is_broken_when_it_is_no_whole_file_of_ours(pool, tmp_path, content):
    pool.identify(ONE)
    file_of(tmp_path).write_bytes(content)

    with pytest.raises(IdentityBroken):
        look(tmp_path / "pool")


def test_is_broken_when_any_byte_of_it_was_cut_or_changed(pool, tmp_path):
    pool.identify(ONE)
    whole = file_of(tmp_path).read_bytes()
    for at in range(len(whole) - 1):
        for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]):
            file_of(tmp_path).write_bytes(damaged)
            with pytest.raises((IdentityBroken, IdentityTooNew)):
                pool.identity()


def test_is_refused_when_a_newer_kiln_wrote_it(pool, tmp_path):
    pool.identify(ONE)
    file_of(tmp_path).write_text(json.dumps({"format": 2, "whatever": True}))

    with pytest.raises(IdentityTooNew):
        pool.identity()


def test_a_kill_at_any_line_leaves_the_one_or_the_other(pool, tmp_path):
    pool.identify(ONE)
    count = len(points_of(lambda: pool.identify(TWO)))
    for number in range(count):
        pool.identify(ONE)
        assert killed_at(number, lambda: Qcow2Pool(tmp_path / "pool").identify(TWO))
        assert pool.identity() in (ONE, TWO)
    assert pool.sweep()
    assert pool.leftovers() == []


def test_looking_makes_nothing(tmp_path):
    seen = look(tmp_path / "pool")

    assert (seen.identity, seen.volumes, seen.records) == (None, frozenset(), None)
    assert list(tmp_path.iterdir()) == []
