"""CRC-64/XZ of bytes, and of pieces put together."""

from __future__ import annotations

import os

import pytest

from kiln.ground.crc64 import crc64, joined


def test_is_that_of_the_catalogue_of_crcs():
    assert crc64(b"123456789") == 0x995DC9BBDF1939FA


def test_goes_on_behind_what_came_before():
    assert crc64(b"56789", crc64(b"1234")) == crc64(b"123456789")


@pytest.mark.parametrize(("first", "second"), [(0, 0), (0, 7), (7, 0), (1, 1), (1000, 77_777)])
def test_joins_those_of_two_pieces(first, second):
    one, other = os.urandom(first), os.urandom(second)

    assert joined(crc64(one), crc64(other), second) == crc64(one + other)


def test_is_unknown_behind_what_is_unknown():
    assert crc64(b"x", None) is None
    assert joined(None, 1, 1) is joined(1, None, 1) is None
