"""What is counted of a request that arrives, and which bound it breaks."""

from __future__ import annotations

import pytest

from kiln.wire.http import bounds
from kiln.wire.http.arriving import Arriving
from kiln.wire.http.streams import Stream

LENGTH = [(b"content-length", b"100000")]


@pytest.fixture
def arriving():
    return Arriving(0.0)


@pytest.fixture
def in_body(arriving):
    arriving.end_head(LENGTH, 0.0)
    return arriving


def test_tells_what_was_wrong_first(in_body):
    in_body.find("two_hosts")
    in_body.find("")
    in_body.find("body_too_large")

    assert in_body.fault == "two_hosts"


def test_is_late_with_its_head_from_the_first_byte_on(in_body):
    in_body.end()
    assert not in_body.is_head_late(1000)

    in_body.time_head(1000)
    in_body.time_head(1000 + bounds.HEAD_S)

    assert not in_body.is_head_late(1000 + bounds.HEAD_S)
    assert in_body.is_head_late(1001 + bounds.HEAD_S)


def test_has_all_of_its_time_after_a_handshake(arriving):
    arriving.time_head_anew(bounds.HEAD_S)

    assert not arriving.is_head_late(bounds.HEAD_S * 2)


def test_is_late_with_its_body_when_it_pauses_and_when_it_never_ends(in_body):
    assert in_body.is_body_late(bounds.PAUSE_S + 1, is_ours=False)

    in_body.came(bounds.BODY_S)

    assert not in_body.is_body_late(bounds.BODY_S, is_ours=False)
    assert in_body.is_body_late(bounds.BODY_S + 1, is_ours=False)


def test_is_not_late_with_a_stream_that_waits_for_its_reader(in_body):
    in_body.stream = Stream(0.0)

    assert not in_body.is_body_late(bounds.PAUSE_S + 1, is_ours=True)
    assert in_body.is_body_late(2 * bounds.PAUSE_S + 2, is_ours=False)


def test_may_have_a_long_body_where_it_is_streamed_alone(in_body):
    in_body.stream = Stream(0.0)
    in_body.take_parsed(bounds.BODY_ON_THE_WIRE + 1, began_in_head=False)
    assert not in_body.fault

    in_body.stream = None
    in_body.take_parsed(1, began_in_head=False)

    assert in_body.fault == "body_too_large"


def test_begins_anew_with_each_head(in_body):
    for _ in range(bounds.HEADER_COUNT):
        in_body.take_trailer()
    in_body.end()
    in_body.end_head(LENGTH, 0.0)
    in_body.take_trailer()
    assert not in_body.fault

    for _ in range(bounds.HEADER_COUNT):
        in_body.take_trailer()

    assert in_body.fault == "headers_too_large"


def test_counts_a_head_that_does_not_end(arriving):
    arriving.take_parsed(bounds.REQUEST_LINE + bounds.HEADERS, began_in_head=True)
    assert not arriving.fault

    arriving.take_parsed(1, began_in_head=True)

    assert arriving.fault == "headers_too_large"


def test_counts_what_comes_in_a_chunk_and_is_no_body(in_body):
    in_body.begin_chunk()
    in_body.take_parsed(bounds.HEADERS, began_in_head=False)
    in_body.take_body(1)
    in_body.take_parsed(bounds.HEADERS, began_in_head=False)
    assert not in_body.fault

    in_body.take_parsed(1, began_in_head=False)

    assert in_body.fault == "headers_too_large"


def test_comes_in_no_crumbs(in_body):
    for _ in range(bounds.FEW_PIECES):
        in_body.take_body(1)
    assert not in_body.fault

    in_body.take_body(1)

    assert in_body.fault == "body_in_crumbs"


def test_is_parsed_no_further_than_its_told_end(in_body):
    in_body.take_body(100_000 - 24)

    assert in_body.next_slice == 24
    in_body.end()
    assert in_body.next_slice == bounds.SLICE
