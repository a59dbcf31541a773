"""Secrets at rest: sealed, different each time, and broken when changed."""

from __future__ import annotations

import pytest

from kiln.service.errors import SecretBroken
from kiln.service.secrets import Sealer


def a_sealer(folder):
    sealer = Sealer.in_folder(folder)
    sealer.make_key()
    return sealer


def test_open_what_was_sealed(tmp_path):
    sealed = a_sealer(tmp_path).seal("SECRET")

    assert Sealer.in_folder(tmp_path).open(sealed) == "SECRET"
    assert "SECRET" not in sealed


def test_look_different_each_time(tmp_path):
    sealer = a_sealer(tmp_path)

    assert sealer.seal("SECRET") != sealer.seal("SECRET")


def test_do_not_open_with_another_key(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()

    sealed = a_sealer(tmp_path / "one").seal("SECRET")

    with pytest.raises(SecretBroken):
        a_sealer(tmp_path / "other").open(sealed)


def test_keep_the_key_to_their_owner(tmp_path):
    a_sealer(tmp_path)

    assert (tmp_path / "master.key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["master.key"]


def test_leaves_a_copy_of_the_key_that_somebody_made(tmp_path):
    a_sealer(tmp_path)
    (copy := tmp_path / "master.key.bak").write_bytes((tmp_path / "master.key").read_bytes())

    a_sealer(tmp_path)

    assert copy.read_bytes() == (tmp_path / "master.key").read_bytes()


@pytest.mark.parametrize("key", [b"", b"half a key", b"x" * 33, b"x" * 99_999, None])
def test_says_that_a_key_is_none_and_leaves_it(tmp_path, key):
    path = tmp_path / "master.key"
    path.mkdir() if key is None else path.write_bytes(key)

    with pytest.raises(SecretBroken, match=r"master\.key"):
        a_sealer(tmp_path).seal("SECRET")

    assert path.is_dir() if key is None else path.read_bytes() == key


def test_do_not_make_a_key_that_is_missing_by_being_asked(tmp_path):
    sealer = Sealer.in_folder(tmp_path)

    for ask in (lambda: sealer.seal("SECRET"), lambda: sealer.open("v1:AAAA")):
        with pytest.raises(SecretBroken, match="is not there"):
            ask()

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("sealed", ["", "v1:", "v1:AAAA", "v1:!!!", "v2:" + "A" * 80, "é"])
def test_what_was_never_sealed_does_not_open(tmp_path, sealed):
    with pytest.raises(SecretBroken):
        a_sealer(tmp_path).open(sealed)


def test_take_what_a_killed_making_left_away(tmp_path):
    sealer = Sealer.in_folder(tmp_path)
    draft = sealer.draft()

    sealer.make_key()

    assert not draft.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["master.key"]
