"""Buckets that are folders: no way out of them, and objects that are whole or not there."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from kiln.buckets.folder import FolderBuckets, _opened
from kiln.buckets.port import BucketClosed, BucketMissing, ObjectMissing, ObjectRefused, is_object_name
from tests.mounts import mounted
from tests.pools.kills import killed_at, points_of


@pytest.fixture
def root(tmp_path):
    return tmp_path / "buckets"


@pytest.fixture
def buckets(root):
    made = FolderBuckets(root)
    (root / "images").mkdir()
    return made


@pytest.fixture
def as_nobody():
    """A folder that everybody may enter, and a way to be nobody while something is done there."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to be somebody who may less")
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    FolderBuckets(folder / "buckets")
    (folder / "buckets").chmod(0o755)
    (folder / "buckets" / "images").mkdir()
    (folder / "buckets" / "images" / "disk.raw").write_bytes(b"bytes")
    os.seteuid(65534)
    yield folder / "buckets"
    os.seteuid(0)
    shutil.rmtree(folder)


def closed(path, mode):
    os.seteuid(0)
    path.chmod(mode)
    os.seteuid(65534)


@pytest.mark.parametrize("what", ["images/disk.raw", "images", "."])
def test_says_of_what_it_may_not_read_that_it_is_closed(as_nobody, what):
    buckets = FolderBuckets(as_nobody)
    assert buckets.size("images", "disk.raw") == 5
    closed(as_nobody / what, 0o700)

    with pytest.raises(BucketClosed):
        buckets.size("images", "disk.raw")
    with pytest.raises(BucketClosed), buckets.fetched("images", "disk.raw"):
        pass


def test_says_of_a_bucket_that_it_may_not_write_that_it_is_closed(as_nobody):
    buckets = FolderBuckets(as_nobody)

    with pytest.raises(BucketClosed):
        buckets.check_writable("images")
    with pytest.raises(BucketClosed), buckets.stored("images", "new.raw"):
        pass
    with pytest.raises(BucketClosed), buckets.stored("images", "deep/new.raw"):
        pass
    closed(as_nobody / "images", 0o777)
    buckets.check_writable("images")


def test_says_of_a_bucket_on_a_medium_that_nobody_can_write_that_it_is_closed(buckets, root):
    with mounted("-t", "tmpfs", "-o", "ro", "tmpfs", root / "images"):
        with pytest.raises(BucketClosed):
            buckets.check_writable("images")
        with pytest.raises(BucketClosed), buckets.stored("images", "new.raw"):
            pass


def test_object_o_of_bucket_b_is_the_file_b_o(buckets, root):
    (root / "images" / "deep").mkdir()
    (root / "images" / "deep" / "disk.raw").write_bytes(b"bytes")

    assert buckets.has("images")
    assert buckets.size("images", "deep/disk.raw") == 5
    with buckets.fetched("images", "deep/disk.raw") as file:
        assert file.read() == b"bytes"


@pytest.mark.parametrize("bucket", ["other", "..", ".", "", "a/b", "Images", "-a", "images\n"])
def test_knows_no_bucket_that_is_not_there_or_is_no_name(buckets, bucket):
    assert not buckets.has(bucket)
    with pytest.raises(BucketMissing):
        buckets.size(bucket, "x")


@pytest.mark.parametrize("name", ["none", "none/none", "file/none", "x" * 300, "x" * 300 + "/none", "名/" * 511 + "x"])
def test_knows_no_object_that_is_not_there(buckets, root, name):
    (root / "images" / "file").touch()

    with pytest.raises(ObjectMissing):
        buckets.size("images", name)
    with pytest.raises(ObjectMissing), buckets.fetched("images", name):
        pass


@pytest.mark.parametrize(
    "name", ["file/none", "file/none/none", "x" * 300, "new/" + "x" * 300, "x" * 300 + "/none", "folder"]
)
def test_refuses_to_store_what_no_file_can_be_named(buckets, root, name):
    (root / "images" / "file").touch()
    (root / "images" / "folder").mkdir()

    with pytest.raises(ObjectRefused), buckets.stored("images", name):
        pytest.fail("there is nothing to write to")


@pytest.mark.parametrize("name", ["../lock", "a/../../lock", "/etc/passwd", "", ".", "a\0b", ".tmp-1"])
def test_refuses_names_that_lead_elsewhere(buckets, name):
    with pytest.raises(ObjectRefused):
        buckets.size("images", name)


def test_follows_no_links(buckets, root, tmp_path):
    (tmp_path / "secret").write_text("x")
    (root / "images" / "link").symlink_to(tmp_path / "secret")
    (root / "images" / "folder").symlink_to(tmp_path)
    (root / "linked").symlink_to(tmp_path)

    for name in ("link", "folder/secret"):
        with pytest.raises(ObjectRefused):
            buckets.size("images", name)
    assert not buckets.has("linked")


def test_refuses_what_is_no_file(buckets, root):
    (root / "images" / "folder").mkdir()
    os.mkfifo(root / "images" / "pipe")

    for name in ("folder", "pipe"):
        with pytest.raises(ObjectRefused):
            buckets.size("images", name)


@pytest.mark.parametrize("name", ["\0", "a\nb", "\x7f", "\ufffe", "a/\uffff", "\ud800"])
def test_no_object_has_a_name_that_no_xml_can_hold(name):
    assert not is_object_name(name)


@pytest.mark.parametrize("name", ["link", "folder/secret", "pipe", "file/secret"])
def test_opens_no_link_and_no_pipe_that_took_an_objects_place(root, buckets, tmp_path, name):
    """Past the look at the name, as if it became one of these just then."""
    (tmp_path / "secret").write_text("x")
    (root / "images" / "link").symlink_to(tmp_path / "secret")
    (root / "images" / "folder").symlink_to(tmp_path)
    (root / "images" / "file").touch()
    os.mkfifo(root / "images" / "pipe")

    with pytest.raises(ObjectRefused), _opened(root, ("images", *name.split("/"))):
        pass


def test_reads_one_file_though_the_object_is_replaced(root, buckets):
    path = root / "images" / "disk.raw"
    path.write_bytes(b"old")

    with buckets.fetched("images", "disk.raw") as file:
        path.with_name("new").write_bytes(b"new")
        path.with_name("new").replace(path)
        assert file.read() == b"old"


def test_stores_an_object_whole(buckets, root):
    with buckets.stored("images", "new/disk.raw") as path:
        path.write_bytes(b"bytes")
        assert not (root / "images" / "new" / "disk.raw").exists()

    assert (root / "images" / "new" / "disk.raw").read_bytes() == b"bytes"


def test_the_folder_of_what_is_being_stored_stays(buckets, root):
    (root / "images" / "new").mkdir()
    (root / "images" / "new" / "other").touch()

    with buckets.stored("images", "new/disk.raw") as path:
        buckets.delete("images", "new/other")  # It was the last object there.
        path.write_bytes(b"bytes")

    assert (root / "images" / "new" / "disk.raw").read_bytes() == b"bytes"


def test_objects_come_and_go_at_once_and_nobody_fails(buckets):
    def work():
        for _ in range(100):
            with buckets.stored("images", "a/b/c") as path:
                path.write_bytes(b"bytes")
            buckets.delete("images", "a/b/c")
        done.append(True)

    done = []
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert done == [True] * 4


@pytest.mark.parametrize("name", ["folder", "pipe", "socket", "a/pipe"])
def test_writes_over_nothing_that_is_no_object(buckets, root, name):
    path = root / "images" / name
    path.parent.mkdir(exist_ok=True)
    with ExitStack() as opened:
        if name == "folder":
            path.mkdir()
        elif name == "socket":
            opened.enter_context(socket.socket(socket.AF_UNIX)).bind(str(path))
        else:
            os.mkfifo(path)
        before = path.lstat()

        with pytest.raises(ObjectRefused), buckets.stored("images", name):
            pytest.fail("there is nothing to write to")

        assert path.lstat() == before


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_nor_over_what_has_become_so_meanwhile(buckets, root, make):
    def store():
        with buckets.stored("images", "disk.raw") as path:
            path.write_bytes(b"bytes")
            make(root / "images" / "disk.raw")

    with pytest.raises(ObjectRefused):
        store()

    assert [path.name for path in (root / "images").iterdir()] == ["disk.raw"]


def test_leaves_no_folders_of_what_it_refuses(buckets, root):
    with pytest.raises(ObjectRefused), buckets.stored("images", "new/deep/" + "x" * 300):
        pytest.fail("no file can have that name")

    assert list((root / "images").iterdir()) == []


def test_stores_nothing_when_writing_fails(buckets, root):
    def write():
        with buckets.stored("images", "disk.raw") as path:
            path.write_bytes(b"half")
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        write()

    assert list((root / "images").iterdir()) == []


def test_sweeps_what_a_crash_left(buckets, root):
    (root / "images" / "deep").mkdir()
    for left in (root / "images" / ".tmp-1", root / "images" / "deep" / ".tmp-2"):
        left.write_text("half")

    assert sorted(buckets.sweep()) == ["images/.tmp-1", "images/deep/.tmp-2"]
    assert buckets.sweep() == []


def test_sweeps_on_where_somebody_else_removes_what_it_found(buckets, root, monkeypatch):
    (root / "images" / "deep").mkdir()
    for left in (".tmp-1", ".tmp-2", "deep/.tmp-3"):
        (root / "images" / left).write_text("half")
    unlink, times = os.unlink, []

    def late(name, **where):
        if not times:
            times.append(unlink(name, **where))
        unlink(name, **where)

    monkeypatch.setattr(os, "unlink", late)
    buckets.sweep()

    assert [path.name for path in (root / "images").rglob("*")] == ["deep"]


def test_sweeps_on_after_a_kill_at_any_point(buckets, root):
    def leave():
        for name in ("disk.raw", ".tmp-1", ".tmp-2"):
            (root / "images" / name).write_text("bytes")

    leave()
    for number in range(len(points_of(buckets.sweep))):
        leave()
        assert killed_at(number, buckets.sweep)

        buckets.sweep()

        assert [path.name for path in (root / "images").iterdir()] == ["disk.raw"]


def test_sweeps_nothing_behind_a_link(buckets, root, tmp_path):
    outside = tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    precious = [outside / ".tmp-precious", outside / "deep" / ".tmp-precious"]
    for path in precious:
        path.write_text("x")
    (root / "linked").symlink_to(outside)
    (root / "images" / "linked").symlink_to(outside)
    (root / "images" / ".tmp-linked").symlink_to(precious[0])

    assert buckets.sweep() == []
    assert all(path.exists() for path in precious)


def test_sweeps_only_files_within_buckets(buckets, root):
    (root / "images" / ".tmp-folder").mkdir()
    os.mkfifo(root / "images" / ".tmp-pipe")
    (root / ".tmp-beside").touch()
    (root / "images" / "disk.tmp-1").touch()

    assert buckets.sweep() == []
    assert {path.name for path in (root / "images").iterdir()} == {".tmp-folder", ".tmp-pipe", "disk.tmp-1"}
