"""What is left for every night."""

from __future__ import annotations

import pytest

pytest_plugins = ("pytester",)


@pytest.mark.parametrize(
    ("repeats", "left"), [("owners", ["test_one"]), ("all", ["test_one", "test_two", "test_three", "test_four"])]
)
def test_leaves_out_of_a_run_for_a_change_what_takes_minutes_or_an_environment_of_its_own(pytester, repeats, left):
    pytester.makeini("[pytest]\nmarkers =\n debian: a Debian guest\n nightly: worth a night\n peers: others\n")
    pytester.makepyfile(
        "import pytest\n"
        "def test_one(): pass\n@pytest.mark.debian\ndef test_two(): pass\n@pytest.mark.peers\ndef test_three(): pass\n"
        "@pytest.mark.nightly\ndef test_four(): pass\n"
    )

    plugins = ("-p", "tests.repeats", "-p", "tests.tiers", "-p", "no:randomly")
    said = pytester.runpytest(*plugins, "--repeats", repeats, "--collect-only", "-q")

    assert [line.partition("::")[2] for line in said.outlines if "::" in line] == left
