"""``.ci/run`` and ``.ci/nightly`` in a folder whose launcher is played: what is asked for, and what makes them fail."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
_PLAYED = """#!/bin/sh
echo "CI=$CI $*" >>asked
echo "said by $1"
[ "$1" != "{hangs}" ] || {{ echo $$ >pid; exec sleep 1000; }}
[ "$1" != "{fails}" ]
"""


class Played:
    """A folder with the scripts and a launcher that notes what it is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT / ".ci", folder / ".ci")

    def start(self, name: str, *words: str, fails: str = "", hangs: str = "") -> subprocess.Popen[str]:
        """Start one where one word of the launcher fails, and one never ends."""
        (self.folder / "kiln").write_text(_PLAYED.format(fails=fails, hangs=hangs))
        (self.folder / "kiln").chmod(0o755)
        command = ["bash", self.folder / ".ci" / name, *words]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def run(self, name: str, *words: str, fails: str = "") -> tuple[int, str]:
        """The exit code, and all that was said."""
        process = self.start(name, *words, fails=fails)
        said, _ = process.communicate(timeout=300)
        return process.returncode, said

    @property
    def asked(self) -> set[str]:
        file = self.folder / "asked"
        return set(file.read_text().splitlines()) if file.exists() else set()


@pytest.fixture
def played(tmp_path):
    return Played(tmp_path)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("run", ("test", "torment --short --seed 20261128")),
        ("nightly", ("test all", "torment", "torment --section hosts --tries 10000", "docs")),
    ],
)
def test_does_all_that_there_is_and_misses_no_tool_in_silence(played, name, words):
    code, said = played.run(name)

    assert code == 0
    assert played.asked == {f"CI=true {word}" for word in ("setup", "check", *words)}
    assert all(f"said by {word}\n" in said for word in ("check", "test", "torment"))


@pytest.mark.parametrize("fails", ["setup", "check", "test", "torment"])
@pytest.mark.parametrize("name", ["run", "nightly"])
def test_fails_when_one_of_them_does(played, name, fails):
    code, said = played.run(name, fails=fails)

    assert code == 1
    assert f"said by {fails}\n" in said
    assert fails == "setup" or said.endswith(f"failed: {fails}\n")


def test_a_site_that_cannot_be_built_fails_the_night(played):
    code, said = played.run("nightly", fails="docs")

    assert code == 1
    assert said.endswith("failed: docs\n")


def test_leaves_nothing_at_work_when_it_is_stopped(played):
    process = played.start("run", hangs="torment")
    pid = played.folder / "pid"
    deadline = time.monotonic() + 300
    while not pid.exists() or not pid.read_text().strip():
        assert time.monotonic() < deadline
        time.sleep(0.01)

    process.send_signal(signal.SIGTERM)

    # The pipe is at its end only when whoever could write to it has ended.
    process.communicate(timeout=300)
    assert process.returncode == 130


def test_refuses_a_word_that_it_does_not_know(played):
    code, _ = played.run("run", "everything")

    assert (code, played.asked) == (2, set())
