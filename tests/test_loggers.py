"""What is left of a test that set up logging."""

from __future__ import annotations

pytest_plugins = ("pytester",)

_TESTS = """
import logging
from kiln.service import logs

def test_that_serves(capsys):
    logs.configure("debug")

def test_of_later():
    assert not logging.getLogger().isEnabledFor(logging.DEBUG)
    logging.getLogger("kiln.any").error("something")
"""


def test_is_nothing_for_the_next_one(pytester):
    pytester.makepyfile(_TESTS)

    ended = pytester.runpytest("-p", "tests.loggers", "-p", "no:randomly", "-s")

    ended.assert_outcomes(passed=2)
    assert "Logging error" not in ended.stdout.str() + ended.stderr.str()
