"""What is left for every night."""

from __future__ import annotations

import pytest

pytest_plugins = ("pytester",)


@pytest.mark.parametrize(
    ("repeats", "ci", "left"),
    [
        ("owners", "", ["test_one"]),
        ("owners", "true", ["test_one", "test_five"]),
        ("all", "", ["test_one", "test_two", "test_three", "test_four", "test_five", "test_six"]),
    ],
)
def test_leaves_out_what_a_run_is_not_for_and_says_so(pytester, monkeypatch, repeats, ci, left):
    monkeypatch.setenv("CI", ci)
    pytester.makeini("[pytest]\nmarkers =\n ceph: x\n debian: x\n nightly: x\n peers: x\n slow_vm: x\n")
    pytester.makepyfile(
        "import pytest\n"
        "def test_one(): pass\n@pytest.mark.debian\ndef test_two(): pass\n@pytest.mark.peers\ndef test_three(): pass\n"
        "@pytest.mark.nightly\ndef test_four(): pass\n@pytest.mark.slow_vm\ndef test_five(): pass\n"
        "@pytest.mark.ceph\ndef test_six(): pass\n"
    )

    plugins = ("-p", "tests.repeats", "-p", "tests.tiers", "-p", "no:randomly")
    said = pytester.runpytest(*plugins, "--repeats", repeats, "--collect-only", "-q")

    assert [line.partition("::")[2] for line in said.outlines if "::" in line] == left
    assert ("`./kiln test all`" in said.stdout.str()) is (repeats == "owners")
