"""Objects that come: whole and durable or not there, with what was said of them."""

from __future__ import annotations

import hashlib
import os

import pytest

from kiln.buckets.drafts import PIECE, Draft
from kiln.buckets.facts import known
from kiln.buckets.folder import FolderBuckets
from kiln.buckets.port import BucketFull, BucketNotEmpty, FactsRefused, ObjectExists, ObjectRefused
from kiln.ground.crc64 import crc64
from tests.mounts import mounted
from tests.pools.kills import killed_at, points_of


@pytest.fixture
def root(tmp_path):
    return tmp_path / "buckets"


@pytest.fixture
def buckets(root):
    made = FolderBuckets(root)
    made.make("images")
    return made


def put(buckets, name="disk.raw", content=b"bytes", headers=(), **how):
    draft = Draft(buckets, "images", name, length=len(content))
    try:
        for at in range(0, len(content), PIECE):
            draft.write(content[at : at + PIECE])
        return draft.keep(dict(headers), **how)
    finally:
        draft.drop()


def facts_of(path):
    return known(str(path), path.stat())


def test_is_an_object_with_its_sums_and_what_was_said_of_it(buckets, root):
    facts = put(buckets, "deep/disk.raw", b"bytes", {"content-type": "x/y", "x-oss-meta-who": "名"})

    assert (root / "images" / "deep" / "disk.raw").read_bytes() == b"bytes"
    assert facts.etag == hashlib.md5(b"bytes").hexdigest().upper()
    assert facts.crc64 == crc64(b"bytes")
    assert facts.kind == "Normal"
    assert facts_of(root / "images" / "deep" / "disk.raw") == facts


def test_leaves_nothing_where_it_is_dropped(buckets, root):
    draft = Draft(buckets, "images", "disk.raw", length=3)
    draft.write(b"x")
    assert buckets.page("images").objects == []

    draft.drop()

    assert list((root / "images").iterdir()) == []


def test_leaves_out_the_zeros_of_a_disk(buckets, root):
    content = bytes(40 * PIECE) + b"end" + bytes(20 * PIECE)

    facts = put(buckets, content=content)

    path = root / "images" / "disk.raw"
    assert path.read_bytes() == content
    assert facts.etag == hashlib.md5(content).hexdigest().upper()
    assert path.stat().st_blocks * 512 <= 2 * PIECE


def test_writes_over_no_object_where_it_must_not(buckets, root):
    put(buckets, content=b"first", is_new_only=True)

    with pytest.raises(ObjectExists):
        put(buckets, content=b"second", is_new_only=True)

    assert [path.read_bytes() for path in (root / "images").iterdir()] == [b"first"]
    put(buckets, content=b"third")
    assert (root / "images" / "disk.raw").read_bytes() == b"third"


def test_knows_nothing_more_of_what_somebody_else_has_written_to(buckets, root):
    before = put(buckets)
    path = root / "images" / "disk.raw"

    path.write_bytes(b"other")

    facts = facts_of(path)
    assert facts.etag.endswith("-0")
    assert (facts.crc64, facts.headers, facts.kind) == (None, {}, "Normal")
    assert facts.etag != before.etag
    os.utime(path, (1, 1))
    assert facts_of(path).etag != facts.etag


def test_refuses_what_cannot_be_kept_beside_an_object(buckets, root):
    with pytest.raises(FactsRefused):
        put(buckets, headers={"x-oss-meta-long": "x" * 4000})

    assert list((root / "images").iterdir()) == []


def test_refuses_what_the_disk_has_no_room_for(buckets):
    with pytest.raises(BucketFull):
        Draft(buckets, "images", "disk.raw", length=1 << 60)


def test_says_of_a_disk_that_is_full_meanwhile_that_it_is(buckets, root):
    with mounted("-t", "tmpfs", "-o", "size=80m", "tmpfs", root / "images"):
        draft = Draft(buckets, "images", "disk.raw", length=None)
        with pytest.raises(BucketFull):
            any(draft.write(b"x" * PIECE) for _ in range(81 * 4))
        draft.drop()
        assert list((root / "images").iterdir()) == []


@pytest.mark.parametrize("name", ["a/b", "folder"])
def test_refuses_names_that_the_folder_cannot_hold(buckets, root, name):
    put(buckets, "a")
    (root / "images" / "folder").mkdir()

    with pytest.raises(ObjectRefused):
        put(buckets, name)


def test_killed_at_any_point_there_is_the_object_or_there_is_not(buckets, root):
    content = os.urandom(PIECE + 1)
    path = root / "images" / "deep" / "disk.raw"
    for number in range(len(points_of(lambda: put(buckets, "deep/disk.raw", content)))):
        buckets.delete("images", "deep/disk.raw")

        assert killed_at(number, lambda: put(buckets, "deep/disk.raw", content))

        assert not path.exists() or path.read_bytes() == content
        buckets.sweep()
        assert [one for one in (root / "images").rglob("*") if one.name.startswith(".tmp-")] == []


def test_deletes_an_object_and_the_folders_that_hold_nothing_then(buckets, root):
    put(buckets, "a/b/c")
    put(buckets, "a/d")

    buckets.delete("images", "a/b/c")
    buckets.delete("images", "a/none")
    buckets.delete_any("images", "a//d")

    assert [path.relative_to(root / "images").as_posix() for path in (root / "images").rglob("*")] == ["a", "a/d"]


def test_deletes_nothing_that_is_no_object(buckets, root, tmp_path):
    (root / "images" / "link").symlink_to(tmp_path)
    (root / "images" / "folder").mkdir()

    for name in ("link", "folder", "../other"):
        with pytest.raises(ObjectRefused):
            buckets.delete("images", name)
        buckets.delete_any("images", name)

    assert sorted(path.name for path in (root / "images").iterdir()) == ["folder", "link"]


def test_removes_a_bucket_once_it_is_empty(buckets, root):
    put(buckets, "a/b")
    with pytest.raises(BucketNotEmpty):
        buckets.remove("images")
    buckets.delete("images", "a/b")
    (root / "images" / "empty" / "deep").mkdir(parents=True)
    (root / "images" / ".tmp-1").touch()
    with pytest.raises(BucketNotEmpty):
        buckets.remove("images")
    (root / "images" / ".tmp-1").unlink()

    buckets.remove("images")

    assert buckets.names() == []


def test_killed_while_a_bucket_comes_or_goes_it_is_there_or_not(buckets, root):
    def come_and_go():
        buckets.make("other")
        buckets.make("other")
        buckets.remove("other")

    for number in range(len(points_of(come_and_go))):
        assert killed_at(number, come_and_go)
        come_and_go()
        assert buckets.names() == ["images"]


def test_killed_while_an_object_is_deleted_it_is_deleted_by_the_next_try(buckets, root):
    def delete():
        buckets.delete("images", "a/b")

    put(buckets, "a/b")
    for number in range(len(points_of(delete))):
        put(buckets, "a/b")
        assert killed_at(number, delete)
        delete()
        assert buckets.page("images").objects == []
