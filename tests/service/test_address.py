"""What a service has said of itself, as it is read again."""

from __future__ import annotations

import os

import pytest

from kiln.service.address import Address, tell, told

SAID = Address("http://127.0.0.1:8080", ("cn-a", "cn-b"))
OTHERWISE = Address("http://localhost:1", ("cn-z",))


def test_is_read_as_it_was_told(tmp_path):
    tell(tmp_path / "address", SAID)

    assert told(tmp_path / "address", OTHERWISE) == SAID


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a" * 100_000])
def test_is_nothing_in_a_damaged_file_and_told_anew(tmp_path, content):
    (tmp_path / "address").write_bytes(content)

    assert told(tmp_path / "address", OTHERWISE) == OTHERWISE
    tell(tmp_path / "address", SAID)
    assert told(tmp_path / "address", OTHERWISE) == SAID


def test_is_not_waited_for_in_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "address")

    assert told(tmp_path / "address", OTHERWISE) == OTHERWISE
