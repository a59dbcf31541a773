"""The users of machines: no two Kilns on a host use the same."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from kiln.machines import users
from kiln.machines.confinement import uid_of
from kiln.machines.errors import MachineRefused
from kiln.machines.runfolder import RunFolder

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give machines users of their own")


@pytest.fixture(autouse=True)
def claims(tmp_path, monkeypatch):
    """Claims of a host that has no other Kilns, and where no process has such a user."""
    monkeypatch.setattr(users, "CLAIMS", tmp_path / "claims")
    (tmp_path / "proc" / "self").mkdir(parents=True)
    monkeypatch.setattr(users, "_PROC", tmp_path / "proc")
    return tmp_path / "claims"


@pytest.fixture
def kilns(tmp_path):
    """The run folders of two Kilns."""
    for name in "ab":
        (tmp_path / name).mkdir()
    return tmp_path / "a", tmp_path / "b"


def test_are_others_for_each_kiln_and_machine(kilns):
    given = [users.next_user(run) for run in kilns * 3]

    assert len(set(given)) == 6
    assert all(users.is_own(run, uid) for run, uid in zip(kilns * 3, given, strict=True))
    assert not any(users.is_own(run, uid) for run, uid in zip(kilns[::-1] * 3, given, strict=True))


def test_go_on_in_another_block_when_one_is_used_up(kilns, monkeypatch):
    monkeypatch.setattr(users, "BLOCK", 2)

    given = [users.next_user(kilns[0 if number % 3 else 1]) for number in range(9)]

    assert len(set(given)) == 9


def test_are_not_those_of_an_earlier_kiln_that_lived_in_a_copied_folder(kilns):
    folder = RunFolder(kilns[0] / "i-1")
    first = uid_of(folder, runs=False)
    shutil.copytree(kilns[0], kilns[0].with_name("copy"))
    copied = RunFolder(kilns[0].with_name("copy") / "i-1")

    assert uid_of(copied, runs=True) == first  # It is what its process has.
    other = uid_of(copied, runs=False)

    assert other != first
    assert uid_of(copied, runs=False) == other
    assert uid_of(folder, runs=False) == first


def test_are_kept_when_the_host_was_started_anew(kilns, claims):
    folder = RunFolder(kilns[0] / "i-1")
    before = uid_of(folder, runs=False)
    shutil.rmtree(claims)

    assert uid_of(folder, runs=False) == before
    assert users.next_user(kilns[1]) // users.BLOCK != before // users.BLOCK or users.is_own(kilns[0], before)


@pytest.mark.parametrize("block", [2, 3, 1024])
def test_are_not_given_twice_by_a_host_that_is_started_anew(kilns, claims, monkeypatch, block):
    monkeypatch.setattr(users, "BLOCK", block)
    given = []

    for number in range(8):
        given.append(uid_of(RunFolder(kilns[0] / f"i-{number}"), runs=False))
        if number % 3 != 1:
            shutil.rmtree(claims)

    assert len(set(given)) == 8


def test_of_a_kiln_that_is_gone_are_claimed_again_but_not_under_a_process(kilns, monkeypatch, tmp_path):
    monkeypatch.setattr(users, "_range", lambda: (700_000, users.BLOCK))
    uid = users.next_user(kilns[0])
    with pytest.raises(MachineRefused, match="claimed by other Kilns"):
        users.next_user(kilns[1])
    shutil.rmtree(kilns[0])
    process = tmp_path / "proc" / "77"
    process.mkdir()
    os.chown(process, uid, uid)

    with pytest.raises(MachineRefused):
        users.next_user(kilns[1])
    process.rmdir()

    assert users.is_own(kilns[1], users.next_user(kilns[1]))


def test_are_found_whatever_a_claim_or_the_counter_says(kilns, claims):
    claims.mkdir()
    (claims / "0").write_text("{")
    (claims / "1").write_text(json.dumps([7]))
    (kilns[0] / "next-uid").write_text("7")

    assert users.is_own(kilns[0], users.next_user(kilns[0]))
