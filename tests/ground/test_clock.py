"""Times as callers spell them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kiln.ground.clock import from_text, span_of, to_minutes_text, to_seconds_text

MINUTE = 1_795_414_020.0  #: 2026-11-23T06:07Z


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("2026-11-23T06:07Z", (MINUTE, MINUTE + 60)),
        ("2026-11-23T06:07:05Z", (MINUTE + 5, MINUTE + 6)),
        ("2026-11-23T06:07:59Z", (MINUTE + 59, MINUTE + 60)),
        ("2026-11-23T06:07:05.5Z", (MINUTE + 5.5, MINUTE + 5.6)),
        ("2026-11-23T06:07:05.250Z", (MINUTE + 5.25, MINUTE + 5.251)),
    ],
)
def test_a_time_is_as_long_as_it_is_spelled(text, span):
    assert span_of(text) == pytest.approx(span, abs=1e-6)
    assert from_text(text) == pytest.approx(span[0], abs=1e-6)


@pytest.mark.parametrize(
    "text",
    ["", "noon", "2026-11-23", "2026-11-23T06:07", "2026-11-23 06:07Z", "2026-11-23T06:07z", "2026-11-23t06:07Z",
     "2026-11-23T06:07:60Z", "2026-11-23T24:00Z", "2026-13-01T00:00Z", "2026-02-30T00:00Z", "2026-1-3T06:07Z",
     "2026-11-23T06:07:05.Z", "2026-11-23T06:07.5Z", "2026-11-23T06:07+00:00", "2026-11-23T06:07ZZ",
     "0000-01-01T00:00Z",     "\u0662\u0660\u0662\u0666-11-23T06:07Z", " 2026-11-23T06:07Z", "2026-11-23T06:07Z\n"],
)  # fmt: skip
def test_what_is_no_time_is_none(text):
    assert span_of(text) is None
    assert from_text(text) is None


@pytest.mark.parametrize("text", ["0001-01-01T00:00Z", "9999-12-31T23:59Z"])
def test_the_ends_of_time_are_times(text):
    assert span_of(text) is not None


@settings(deadline=None)
@given(st.floats(0, 4e9) | st.integers(0, 4_000_000_000).map(float))
@example(MINUTE - 4e-7)
@example(MINUTE - 6e-7)
def test_a_moment_is_spelled_as_datetime_spells_it(when):
    moment = datetime.fromtimestamp(when, UTC)

    assert to_seconds_text(when) == moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert to_minutes_text(when) == moment.strftime("%Y-%m-%dT%H:%MZ")
