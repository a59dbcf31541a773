"""What is synced: files, folders' lists of names, and what a link leads to where it is to be followed."""

from __future__ import annotations

import errno

import pytest

from kiln.ground.durable import sync


def test_files_and_folders_are_synced_also_by_a_link(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"1")
    file.chmod(0o400)
    (tmp_path / "link").symlink_to(tmp_path)

    for path in (file, tmp_path, tmp_path / "link", str(file)):
        sync(path)


def test_a_link_that_is_not_to_be_followed_is_refused(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)

    with pytest.raises(OSError, match=r".") as refused:
        sync(tmp_path / "link", follows=False)

    assert refused.value.errno == errno.ELOOP


def test_what_is_not_there_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        sync(tmp_path / "gone")
