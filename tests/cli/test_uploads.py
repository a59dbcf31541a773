from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from kiln.buckets.folder import FolderBuckets
from kiln.cli import uploads
from kiln.cli.exits import Refusal
from tests.tools import lacks

BUCKET = uploads.uploads_of("0123456789abcdef")


@pytest.fixture
def data(tmp_path):
    """The data folder of a Kiln that has run."""
    (tmp_path / "data" / "buckets").mkdir(parents=True)
    return tmp_path / "data"


@pytest.fixture
def file(tmp_path):
    made = tmp_path / "a disk (1).raw"
    made.write_bytes(b"bytes of a disk")
    return made


def test_puts_a_file_where_the_service_finds_it(data, file):
    upload = uploads.put(file, data, BUCKET)

    with FolderBuckets(data / "buckets").fetched(upload.bucket, upload.object) as opened:
        assert opened.read() == b"bytes of a disk"


def test_copies_no_bytes_of_a_file_of_ours_where_it_need_not(data, file):
    upload = uploads.put(file, data, BUCKET)

    is_linked = upload.path.stat().st_ino == file.stat().st_ino
    is_reflinked = not is_linked and uploads._reflink(file, upload.path.with_name("again"))
    assert is_linked or is_reflinked


def test_follows_a_link_to_the_file(data, file, tmp_path):
    link = tmp_path / "link.raw"
    link.symlink_to(file)

    upload = uploads.put(link, data, BUCKET)

    assert not upload.path.is_symlink()
    assert upload.path.read_bytes() == b"bytes of a disk"


def test_leaves_the_file_when_the_upload_is_removed(data, file):
    uploads.put(file, data, BUCKET).remove()

    assert file.read_bytes() == b"bytes of a disk"
    assert list((data / "buckets" / BUCKET).iterdir()) == []


def test_gives_every_upload_a_name_of_its_own(data, file):
    names = {uploads.put(file, data, BUCKET).object for _ in range(3)}

    assert len(names) == 3


@pytest.mark.parametrize("name", [".hidden.raw", "名.raw", "x" * 200, "..."])
def test_gives_every_file_a_name_that_an_object_may_have(data, tmp_path, name):
    file = tmp_path / name
    file.write_bytes(b"x")

    upload = uploads.put(file, data, BUCKET)

    assert FolderBuckets(data / "buckets").size(upload.bucket, upload.object) == 1


@pytest.mark.parametrize("kind", ["missing", "folder", "fifo"])
def test_refuses_what_is_no_file(data, tmp_path, kind):
    path = tmp_path / kind
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)

    with pytest.raises(Refusal):
        uploads.put(path, data, BUCKET)


def test_refuses_a_folder_that_no_kiln_has_used(tmp_path, file):
    with pytest.raises(Refusal, match="is not the data folder of a Kiln") as refused:
        uploads.put(file, tmp_path, BUCKET)

    assert "by its API" in refused.value.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_gives_what_root_uploads_to_the_services_user(data, file):
    os.chown(data / "buckets", 65534, 65534)

    upload = uploads.put(file, data, BUCKET)

    assert (upload.path.stat().st_uid, upload.path.parent.stat().st_uid) == (65534, 65534)
    assert file.stat().st_uid == 0


def test_takes_an_object_out(data, tmp_path):
    folder = uploads.bucket_folder(data, "exports")
    (folder / "web.raw").write_bytes(b"x")

    uploads.take(data, "exports", "web.raw", tmp_path / "mine.raw")

    assert (tmp_path / "mine.raw").read_bytes() == b"x"
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("place", ["nowhere/web.raw", "a disk (1).raw/web.raw"])
def test_refuses_a_place_where_no_file_can_be_made(data, file, tmp_path, place):
    with pytest.raises(Refusal):
        uploads.require_place(tmp_path / place)

    uploads.require_place(tmp_path / "web.raw")
    uploads.require_place(file)
    uploads.require_place(data)


@pytest.mark.parametrize("ending", [KeyboardInterrupt, SystemExit])
def test_leaves_nothing_of_an_upload_that_is_given_up(data, file, ending, monkeypatch):
    """As when a signal comes while bytes are copied; the file that is copied then is another's, or far away."""

    def stopped(source, target):
        Path(target).write_bytes(b"half")
        raise ending

    monkeypatch.setattr(uploads.shutil, "copyfile", stopped)
    monkeypatch.setattr(uploads.os, "link", lambda *_: (_ for _ in ()).throw(OSError(errno.EXDEV, "elsewhere")))
    monkeypatch.setattr(uploads.fcntl, "ioctl", lambda *_: (_ for _ in ()).throw(OSError(errno.EXDEV, "elsewhere")))

    with pytest.raises(ending):
        uploads.put(file, data, BUCKET)

    assert list((data / "buckets" / BUCKET).iterdir()) == []


def test_takes_away_what_was_left_an_hour_ago(data, file):
    left = uploads.put(file, data, BUCKET)
    folder = left.path.parent
    (folder / "folder").mkdir()

    uploads.remove_left(folder)
    assert left.path.exists()

    uploads.remove_left(folder, lambda: left.path.lstat().st_ctime + 3601)
    assert [path.name for path in folder.iterdir()] == ["folder"]


#: Moves an object to a file that may have 64 KiB, and prints with which words that is refused.
_TAKES = """
import json, resource, sys
from pathlib import Path
from kiln.cli import uploads
from kiln.cli.exits import Refusal
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
try:
    uploads.take(Path(sys.argv[1]), "exports-1", "base.raw", Path(sys.argv[2]))
except Refusal as refused:
    print(json.dumps([str(refused), refused.hint]))
"""


def test_leaves_an_export_where_it_is_and_no_part_of_it_where_no_room_is(tmp_path):
    (data := tmp_path / "data").joinpath("buckets").mkdir(parents=True)
    source = uploads.bucket_folder(data, "exports-1") / "base.raw"
    source.write_bytes(bytes(1 << 20))
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        if Path(other).stat().st_dev == source.stat().st_dev:
            lacks("a second file system to move to")
        target = Path(other) / "out.raw"

        # The limit is a whole process's, so it is another's than the one that writes what the tests come to.
        done = subprocess.run(
            [sys.executable, "-P", "-c", _TAKES, data, target], capture_output=True, text=True, check=True
        )

        assert list(Path(other).iterdir()) == []
    told, hint = json.loads(done.stdout)
    assert told.startswith(f"{target}: ")
    assert f"whole: {source}" in hint
    assert source.stat().st_size == 1 << 20
