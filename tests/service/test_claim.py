"""Whose folder the data folder is."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from kiln.service.claim import hold_as_it_is, hold_data_folder, is_held
from kiln.service.errors import DataFolderBusy, DataFolderRefused
from tests import warm


def content(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Of everything in the folder, and of itself: its mode, size and time of change."""
    found = {}
    for path in (folder, *folder.rglob("*")):
        about = path.lstat()
        found[str(path)] = (about.st_mode, about.st_size if path.is_file() else 0, about.st_mtime_ns)
    return found


def kiln(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KILN_")}
    return warm.kiln(*words, env=kept | environment)


@pytest.mark.parametrize("before", ["nothing", "an empty folder", "buckets", "a new file system"])
def test_takes_what_may_become_a_kilns(tmp_path, before):
    folder = tmp_path / "data"
    match before:
        case "an empty folder":
            folder.mkdir()
        case "buckets":
            (folder / "buckets" / "images").mkdir(parents=True)
        case "a new file system":
            (folder / "lost+found").mkdir(parents=True)

    with hold_data_folder(folder):
        assert is_held(folder)
    assert not is_held(folder)


@pytest.mark.parametrize("before", ["files", "hidden", "a file", "dangling", "below a file", "for everybody"])
def test_refuses_what_is_somebody_elses_and_touches_nothing(tmp_path, before):
    folder = tmp_path / "data"
    match before:
        case "files":
            folder.mkdir(mode=0o755)
            (folder / "thesis.tex").write_text("x")
        case "hidden":
            folder.mkdir()
            (folder / ".bashrc").write_text("x")
        case "a file":
            folder.write_text("x")
        case "dangling":
            folder.symlink_to(tmp_path / "nowhere")
        case "below a file":
            (tmp_path / "file").write_text("x")
            folder = tmp_path / "file" / "data"
        case "for everybody":
            folder.mkdir()
            folder.chmod(0o1777)
    was = content(tmp_path)

    with pytest.raises(DataFolderRefused), hold_data_folder(folder):
        pass

    assert content(tmp_path) == was


def test_names_what_lies_there(tmp_path):
    for name in ("a", "b", "c", "d"):
        (tmp_path / name).write_text("x")

    with pytest.raises(DataFolderRefused, match=re.escape("holds other things (a, b, c and 1 more)")):
        hold_data_folder(tmp_path).__enter__()


@pytest.mark.parametrize("hold", [hold_data_folder, hold_as_it_is])
def test_one_kiln_at_a_time(tmp_path, hold):
    folder = tmp_path / "data"

    with hold_data_folder(folder), pytest.raises(DataFolderBusy), hold(folder):
        pass


@pytest.mark.parametrize("hold", [hold_data_folder, hold_as_it_is])
@pytest.mark.parametrize("becomes", ["gone", "another"])
def test_one_kiln_at_a_time_whatever_becomes_of_the_file_that_says_so(tmp_path, hold, becomes):
    """With its file removed, a second served the same folder, and both wrote one database and one pool."""
    folder = tmp_path / "data"

    with hold_data_folder(folder):
        (folder / "lock").unlink()
        if becomes == "another":
            (folder / "lock").touch()

        with pytest.raises(DataFolderBusy), hold(folder):
            pass
        assert is_held(folder)
    assert not is_held(folder)


def test_one_kiln_at_a_time_by_whichever_name_of_the_folder(tmp_path):
    folder, other = tmp_path / "data", tmp_path / "other"
    other.symlink_to(folder)

    with hold_data_folder(folder), pytest.raises(DataFolderBusy), hold_data_folder(other):
        pass


@pytest.mark.parametrize("word", ["serve", "demo"])
def test_serves_no_folder_of_somebody_elses(tmp_path, word):
    (tmp_path / "thesis.tex").write_text("x")
    was = content(tmp_path)

    done = kiln(word, "--keep" if word == "demo" else "--data", str(tmp_path))

    assert (done.returncode, "thesis.tex" in done.stderr) == (3, True)
    assert content(tmp_path) == was


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [("account", "list"), ("bucket", "list"), ("trash", "list"), ("fsck", "--no-repair"), ("fsck",)]
)
def test_readers_make_nothing_where_no_kiln_has_run(tmp_path, words):
    for folder in (tmp_path / "empty", tmp_path / "missing"):
        if folder.name == "empty":
            folder.mkdir()
        was = content(tmp_path)

        done = kiln(*words, "--data", str(folder))

        assert done.returncode != 0
        assert "Traceback" not in done.stderr
        assert content(tmp_path) == was


@pytest.mark.slow
def test_env_waits_for_a_kiln_that_is_starting(tmp_path):
    """Both are called at once, as a script does it; neither fails, and both know the same keys."""
    for n in range(4):
        folder = tmp_path / f"data-{n}"
        out, err = tmp_path / f"out-{n}", tmp_path / f"err-{n}"
        with out.open("wb") as told, err.open("wb") as said:
            asked = warm.begin("env", "--data", folder, stdout=told.fileno(), stderr=said.fileno())
        with warm.start_kiln(folder) as served:
            asked.wait(300)
        told = out.read_text()

        assert (asked.returncode, err.read_text()) == (0, "")
        assert f"export KILN_ENDPOINT={served.endpoint}\n" in told
        assert f"export KILN_ACCESS_KEY_ID={served.access_key_id}\n" in told
