"""How much of a body is given to the parser at once."""

from __future__ import annotations

import pytest

from kiln.ground.units import KiB
from kiln.wire.http import bounds
from kiln.wire.http.streams import slice_bytes, told_length


@pytest.mark.parametrize(("left", "wanted"), [(1024 * KiB, 64 * KiB), (24 * KiB, 24 * KiB), (1, 1), (0, 1)])
def test_of_a_known_length_is_given_in_large_slices_and_no_further_than_its_end(left, wanted):
    assert slice_bytes(left) == wanted


def test_in_chunks_is_given_in_small_slices_since_each_chunk_is_a_piece():
    assert slice_bytes(None) == bounds.SLICE


@pytest.mark.parametrize(
    ("headers", "length"),
    [
        ([(b"host", b"h"), (b"content-length", b"17")], 17),
        ([(b"content-length", b"0" * 5000)], 0),
        ([(b"content-length", b"+1")], None),
        ([(b"transfer-encoding", b"chunked")], None),
        ([], None),
    ],
)
def test_is_as_long_as_its_header_says(headers, length):
    assert told_length(headers) == length
