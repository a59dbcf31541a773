"""Secrets at rest: sealed, different each time, and broken when changed."""

from __future__ import annotations

import pytest

from kiln.service.errors import SecretBroken
from kiln.service.secrets import Sealer


def test_open_what_was_sealed(tmp_path):
    sealed = Sealer.in_folder(tmp_path).seal("SECRET")

    assert Sealer.in_folder(tmp_path).open(sealed) == "SECRET"
    assert "SECRET" not in sealed


def test_look_different_each_time(tmp_path):
    sealer = Sealer.in_folder(tmp_path)

    assert sealer.seal("SECRET") != sealer.seal("SECRET")


def test_do_not_open_with_another_key(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()

    sealed = Sealer.in_folder(tmp_path / "one").seal("SECRET")

    with pytest.raises(SecretBroken):
        Sealer.in_folder(tmp_path / "other").open(sealed)


def test_keep_the_key_to_their_owner(tmp_path):
    Sealer.in_folder(tmp_path)

    assert (tmp_path / "master.key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["master.key"]


def test_leaves_a_copy_of_the_key_that_somebody_made(tmp_path):
    Sealer.in_folder(tmp_path)
    (copy := tmp_path / "master.key.bak").write_bytes((tmp_path / "master.key").read_bytes())

    Sealer.in_folder(tmp_path)

    assert copy.read_bytes() == (tmp_path / "master.key").read_bytes()


@pytest.mark.parametrize("key", [b"", b"half a key", b"x" * 33, None])
def test_says_that_a_key_is_none_and_leaves_it(tmp_path, key):
    path = tmp_path / "master.key"
    path.mkdir() if key is None else path.write_bytes(key)

    with pytest.raises(SecretBroken, match=r"master\.key"):
        Sealer.in_folder(tmp_path)

    assert path.is_dir() if key is None else path.read_bytes() == key
