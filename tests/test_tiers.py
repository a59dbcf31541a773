"""What is left for every night."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import tiers

pytest_plugins = ("pytester",)


@pytest.mark.parametrize(
    ("repeats", "ci", "left"),
    [
        ("owners", "", ["test_one"]),
        ("suites", "true", ["test_one", "test_five", "test_six"]),
        ("all", "", ["test_one", "test_two", "test_three", "test_four", "test_five", "test_six"]),
    ],
)
def test_leaves_out_what_a_run_is_not_for_and_says_so(pytester, monkeypatch, repeats, ci, left):
    monkeypatch.setenv("CI", ci)
    pytester.makeini("[pytest]\nmarkers =\n ceph: x\n debian: x\n nightly: x\n peers: x\n slow_vm: x\n exhaustive: x\n")
    pytester.makepyfile(
        "import pytest\n"
        "def test_one(): pass\n@pytest.mark.debian\ndef test_two(): pass\n@pytest.mark.peers\ndef test_three(): pass\n"
        "@pytest.mark.nightly\ndef test_four(): pass\n@pytest.mark.slow_vm\ndef test_five(): pass\n"
        "@pytest.mark.ceph\ndef test_six(): pass\n"
    )

    plugins = ("-p", "tests.repeats", "-p", "tests.tiers", "-p", "no:randomly")
    said = pytester.runpytest(*plugins, "--repeats", repeats, "--collect-only", "-q")

    assert [line.partition("::")[2] for line in said.outlines if "::" in line] == left
    assert ("`./kiln test all`" in said.stdout.str()) is (repeats != "all")


def test_leaves_out_by_name_what_there_is():
    """What was moved or renamed would be done at the desk, and nobody would know why that takes longer."""
    root = Path(__file__).parent.parent
    assert [name for name in tiers.EXHAUSTIVE if not is_there(root, *name.split("::"))] == []


def is_there(root, file, test=""):
    path = root / file
    return path.exists() and (not test or re.search(rf"(def|class) {test}\b", path.read_text()) is not None)


def test_leaves_what_is_exhaustive_to_who_lands(pytester, monkeypatch):
    monkeypatch.setenv("CI", "")
    pytester.makeini("[pytest]\nmarkers =\n exhaustive: x\n")
    folder = pytester.mkdir("tests").joinpath("fuzz")
    folder.mkdir()
    (folder / "test_any.py").write_text("def test_one(): pass\n")
    (folder.parent / "test_other.py").write_text("def test_two(): pass\n")

    def found(*words):
        plugins = ("-p", "tests.repeats", "-p", "tests.tiers", "-p", "no:randomly")
        said = pytester.runpytest(*plugins, "--repeats", "owners", "--collect-only", "-q", *words)
        return [line.partition("::")[2] for line in said.outlines if "::" in line]

    assert found() == ["test_two"]
    monkeypatch.setenv("CI", "true")
    assert found() == ["test_one", "test_two"]


def test_leaves_to_the_night_what_is_exhaustive_on_ceph(pytester, monkeypatch):
    monkeypatch.setenv("CI", "true")
    pytester.makeini("[pytest]\nmarkers =\n ceph: x\n exhaustive: x\n timeout: x\n")
    file = pytester.mkdir("tests").joinpath("fuzz", "test_any.py")
    file.parent.mkdir()
    file.write_text("import pytest\ndef test_one(): pass\n@pytest.mark.ceph\ndef test_two(): pass\n")

    plugins = ("-p", "tests.repeats", "-p", "tests.tiers", "-p", "no:randomly")
    said = pytester.runpytest(*plugins, "--repeats", "suites", "--collect-only", "-q")

    assert [line.partition("::")[2] for line in said.outlines if "::" in line] == ["test_one"]
