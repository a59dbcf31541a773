"""The trash of a pool in a folder: what is not its own it does not use, and what is there it does not overwrite."""

from __future__ import annotations

import os

import pytest

from kiln.pools.errors import ToolFailed
from kiln.pools.qcow2 import Qcow2Pool
from tests.pools.patterns import SIZE


@pytest.fixture
def pool(tmp_path):
    made = Qcow2Pool(tmp_path / "pool")
    made.create("v-one", SIZE)
    return made


@pytest.mark.parametrize("make", ["link", "file", "dangling"])
def test_is_not_used_where_it_is_no_folder_of_the_pools(pool, tmp_path, make):
    place = tmp_path / "pool" / "trash"
    if make == "file":
        place.touch()
    else:
        (tmp_path / "elsewhere").mkdir() if make == "link" else None
        place.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(ToolFailed, match="trash"):
        pool.discard(["v-one"])

    assert pool.exists("v-one")
    assert list(pool.discarded()) == []
    assert pool.strangers() == []


def test_overwrites_nothing_of_the_same_name(pool, tmp_path):
    pool.discard(["v-one"])
    kept = (tmp_path / "pool/trash/v-one.qcow2").stat().st_ino
    pool.create("v-one", SIZE)

    with pytest.raises(ToolFailed, match="both"):
        pool.discard(["v-one"])
    with pytest.raises(ToolFailed, match="both"):
        pool.retrieve("v-one")

    assert (tmp_path / "pool/trash/v-one.qcow2").stat().st_ino == kept
    assert pool.exists("v-one")


def test_can_be_entered_by_nobody_else(pool, tmp_path):
    pool.discard(["v-one"])

    assert (tmp_path / "pool" / "trash").stat().st_mode & 0o777 == 0o700


def test_lists_what_is_no_volume_and_removes_none_of_it(pool, tmp_path):
    pool.discard(["v-one"])
    (tmp_path / "pool/trash/notes").write_text("mine")
    os.mkfifo(tmp_path / "pool/trash/v-pipe.qcow2")

    assert [(one.name, one.volume) for one in pool.discarded()] == [
        ("notes", None),
        ("v-one.qcow2", "v-one"),
        ("v-pipe.qcow2", None),
    ]
    assert pool.purge(["v-one"]) == ["v-one"]
    assert (tmp_path / "pool/trash/notes").exists()
