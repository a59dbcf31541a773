from __future__ import annotations

import errno
import os

import pytest

from kiln.pools.errors import PoolFull
from kiln.pools.folder import Folder, minding_room
from tests.pools.kills import killed_at, points_of


def test_names_what_was_drafted(tmp_path):
    folder = Folder(tmp_path)

    with folder.drafts(2) as (one, two):
        one.write_text("one")
        two.write_text("two")
        folder.publish([(one, "a"), (two, "b")])

    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "one", "b": "two"}


def test_forgets_drafts_that_were_not_named(tmp_path):
    with Folder(tmp_path).draft() as draft:
        draft.write_text("half")

    assert list(tmp_path.iterdir()) == []


def test_replaces_a_file_whole(tmp_path):
    folder = Folder(tmp_path)
    (tmp_path / "a").write_text("old")
    reader = os.open(tmp_path / "a", os.O_RDONLY)

    with folder.draft() as draft:
        draft.write_text("new")
        folder.replace(draft, "a")

    assert (tmp_path / "a").read_text() == "new"
    assert os.read(reader, 10) == b"old"
    os.close(reader)


def test_takes_names_back_when_one_of_them_fails(tmp_path):
    folder = Folder(tmp_path)
    (tmp_path / "taken").mkdir()

    with pytest.raises(FileExistsError), folder.drafts(2) as (one, two):
        folder.publish([(one, "a"), (two, "taken")])

    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_lets_nobody_else_open_a_draft(tmp_path):
    with Folder(tmp_path).draft() as draft:
        assert draft.stat().st_mode & 0o777 == 0o600


def test_sweeps_strangers_drafts_but_not_its_own(tmp_path):
    folder = Folder(tmp_path)
    (tmp_path / ".tmp-old").touch()
    (tmp_path / "kept").touch()

    with folder.draft() as draft:
        assert folder.sweep() == [".tmp-old"]
        assert draft.exists()

    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_removes_what_is_there_or_not(tmp_path):
    folder = Folder(tmp_path)
    (tmp_path / "a").touch()

    folder.remove("a")
    folder.remove("a")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_calls_every_lack_of_room_by_one_name(number):
    with pytest.raises(PoolFull), minding_room():
        raise OSError(number, "made up")


def test_leaves_other_errors_as_they_are():
    with pytest.raises(PermissionError), minding_room():
        raise PermissionError


def test_sweeps_on_after_a_kill_at_any_point(tmp_path):
    def leave():
        (tmp_path / "kept").write_text("kept")
        for name in ("one", "two"):
            (tmp_path / f".tmp-{name}").write_text("half")

    leave()
    for number in range(len(points_of(Folder(tmp_path).sweep))):
        leave()
        assert killed_at(number, Folder(tmp_path).sweep)

        Folder(tmp_path).sweep()

        assert [path.name for path in tmp_path.iterdir()] == ["kept"]
