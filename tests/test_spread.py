"""In which order files are given to workers."""

from __future__ import annotations

pytest_plugins = ("pytester",)


def test_begins_with_what_takes_long_and_leaves_a_file_in_one_piece(pytester):
    pytester.makeini("[pytest]\nmarkers = vm: a machine\n")
    pytester.makepyfile(
        test_a="def test_one(): pass\ndef test_two(): pass\n",
        test_b="import pytest\ndef test_one(): pass\n@pytest.mark.vm\ndef test_two(): pass\n",
        test_c="def test_one(): pass\ndef test_two(): pass\ndef test_three(): pass\n",
    )

    said = pytester.runpytest(
        "-p", "tests.spread", "-p", "no:randomly", "--collect-only", "-q", "--import-mode=prepend"
    )

    files = [line.partition("::")[0] for line in said.outlines if "::" in line]
    assert files == ["test_b.py"] * 2 + ["test_c.py"] * 3 + ["test_a.py"] * 2
