"""Small files: read whole or refused, whatever lies there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kiln.ground.short_files import NotShort, read_short, read_short_text


def test_gives_what_is_in_a_file(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 10)

    assert read_short(tmp_path / "a", 10) == b"x" * 10


def test_gives_a_file_of_the_kernel():
    assert len(read_short_text(Path("/proc/sys/kernel/random/boot_id")).strip()) == 36


def test_refuses_one_byte_more(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 11)

    with pytest.raises(NotShort):
        read_short(tmp_path / "a", 10)


def test_refuses_what_never_ends():
    with pytest.raises(NotShort):
        read_short(Path("/dev/zero"))


def test_refuses_a_folder(tmp_path):
    with pytest.raises(NotShort):
        read_short(tmp_path)


def test_waits_for_no_pipe(tmp_path):
    os.mkfifo(tmp_path / "a")

    with pytest.raises(NotShort):
        read_short(tmp_path / "a")


def test_refuses_text_that_is_none(tmp_path):
    (tmp_path / "a").write_bytes(b"\xff")

    with pytest.raises(ValueError, match="utf-8"):
        read_short_text(tmp_path / "a")


def test_says_when_nothing_is_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_short(tmp_path / "a")
