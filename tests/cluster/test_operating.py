"""What an operator does on the machine of one process, while that has ended and others serve."""

from __future__ import annotations

import json
import tarfile

import pytest

from tests.warm import kiln

pytestmark = [pytest.mark.postgresql, pytest.mark.slow]


@pytest.fixture
def left(deployed, monkeypatch):
    """The data folder of a process that was killed, and an instance that another has running."""
    gone, there = deployed.start("gone", "all"), deployed.start("there", "all")
    caller = deployed.caller(there)
    image = deployed.an_image(caller)
    gone.kill9()
    instance = deployed.an_instance(caller, image)
    monkeypatch.setenv("KILN_DATA", str(deployed.folder / "gone"))
    monkeypatch.setenv("KILN_DATABASE", deployed.address)
    monkeypatch.setenv("KILN_SHARED", str(deployed.shared))
    return instance


def test_who_works_beside_a_process_that_has_ended_finds_those_that_serve(left, tmp_path):
    """A backup took what ran elsewhere for what nobody serves, since nobody served in its own folder."""
    kept = kiln("backup", str(tmp_path / "backups"), "--json")
    bundled = kiln("support", "-o", str(tmp_path / "bundle.tar.gz"))

    assert kept.returncode == 0, kept.stderr
    assert json.loads(kept.stdout)["Moments"] == {left: "at rest"}
    assert bundled.returncode == 0, bundled.stderr
    with tarfile.open(tmp_path / "bundle.tar.gz") as bundle:
        told = bundle.extractfile("kiln-support/fsck.txt")
        assert told is not None
        assert told.read().startswith(b"not looked at: others serve with the database.")
