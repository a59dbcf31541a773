"""Rows: statements that only compare for equality, on both dialects, and the moves between states."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy.exc import IntegrityError

from kiln.declare.ids import new_id
from kiln.declare.states import IllegalMove, ImageStatus
from kiln.store.disks import disks
from kiln.store.images import images
from kiln.store.tags import Tag, put, tags
from kiln.store.volumes import Volume, volumes


@pytest.fixture
def volume():
    return Volume(
        id=new_id("volume"), state="ready", kind="head", parent=None, size_bytes=512, task=None, created_at=1.5
    )


def test_gives_back_what_was_put_in(database, volume):
    database.write(lambda tx: volumes.insert(tx, volume))

    with database.read() as tx:
        assert volumes.find(tx, id=volume.id) == volume


def test_finds_by_absence(database, volume):
    child = replace(volume, id="v-child", parent=volume.id)
    database.write(lambda tx: volumes.insert(tx, volume, child))

    with database.read() as tx:
        assert [v.id for v in volumes.all(tx, parent=None)] == [volume.id]
        assert [v.id for v in volumes.all(tx, parent=volume.id)] == ["v-child"]
        assert volumes.count(tx, parent=None) == 1


def test_changes_to_and_from_null(database, volume):
    database.write(lambda tx: volumes.insert(tx, volume))

    assert database.write(lambda tx: volumes.update(tx, {"task": "t-1"}, id=volume.id, task=None)) == 1
    assert database.write(lambda tx: volumes.update(tx, {"task": None}, id=volume.id, task="t-1")) == 1
    assert database.write(lambda tx: volumes.update(tx, {"task": None}, id=volume.id, task="t-1")) == 0


def test_changes_a_column_that_is_also_compared(database, volume):
    database.write(lambda tx: volumes.insert(tx, volume))

    assert database.write(lambda tx: volumes.update(tx, {"state": "doomed"}, state="ready")) == 1
    with database.read() as tx:
        assert volumes.find(tx, id=volume.id).state == "doomed"


def test_reads_flags_as_booleans(database):
    tag = Tag(account="1", resource_type="image", resource="m-1", key="k", value="")
    database.write(lambda tx: tags.insert(tx, tag))

    with database.read() as tx:
        assert disks.all(tx) == []
        assert tags.find(tx, key="k") == tag


def test_puts_a_new_value_on_a_key_that_is_there(database):
    database.write(lambda tx: put(tx, "1", "image", "m-1", {"a": "1", "b": "2"}))
    database.write(lambda tx: put(tx, "1", "image", "m-1", {"a": "3"}))

    with database.read() as tx:
        assert {t.key: t.value for t in tags.all(tx)} == {"a": "3", "b": "2"}


def test_refuses_a_key_that_is_taken(database, volume):
    database.write(lambda tx: volumes.insert(tx, volume))

    with pytest.raises(IntegrityError):
        database.write(lambda tx: volumes.insert(tx, volume))


def test_refuses_a_move_that_no_table_allows(database):
    with pytest.raises(IllegalMove):
        database.write(lambda tx: images.move(tx, ImageStatus.CREATE_FAILED, ImageStatus.AVAILABLE, {}, id="m-1"))


def test_changes_nothing_when_rolled_back(database, volume):
    def work(tx):
        volumes.insert(tx, volume)
        raise LookupError

    with pytest.raises(LookupError):
        database.write(work)
    with database.read() as tx:
        assert volumes.find(tx, id=volume.id) is None


def test_runs_what_follows_a_commit_only_after_one(database, volume):
    said = []

    def work(tx):
        tx.after_commit(lambda: said.append("committed"))
        volumes.insert(tx, volume)
        assert said == []

    database.write(work)
    with pytest.raises(IntegrityError):
        database.write(work)
    assert said == ["committed"]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 100])
def test_finds_those_among_some_by_one_statement_for_each_power_of_two(database, count):
    rows = [
        Tag(account="1", resource_type=kind, resource=f"m-{n:03}", key=key, value="")
        for n in range(101)
        for kind in ("image", "disk")
        for key in "ba"
    ]
    database.write(lambda tx: tags.insert(tx, *rows))

    with database.read() as tx:
        found = tags.among(tx, "resource", [f"m-{n:03}" for n in range(count)], resource_type="image")

    assert [(tag.resource, tag.resource_type, tag.key) for tag in found] == [
        (f"m-{n:03}", "image", key) for n in range(count) for key in "ab"
    ]
    # Other tests of the process ask for other numbers of them.
    sizes = {key[3] for key in tags._kept if key[1] == "among"}
    assert all(size.bit_count() == 1 for size in sizes)
    assert count == 0 or 1 << (count - 1).bit_length() in sizes
