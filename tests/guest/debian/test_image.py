from __future__ import annotations

from contextlib import ExitStack

import pytest

from kiln.guest.cache import held
from kiln.guest.debian import image
from kiln.guest.errors import GuestUnbuildable


def test_what_is_kept_is_not_made_again(tmp_path):
    image.kept(tmp_path).write_bytes(b"made before")

    assert image.build(tmp_path, pytest.fail).read_bytes() == b"made before"


def test_says_that_another_makes_it_and_waits_for_that(tmp_path):
    image.kept(tmp_path).write_bytes(b"made by another")
    said = []
    with ExitStack() as another:
        another.enter_context(held(tmp_path, "debian"))

        def say(stage: str) -> None:
            said.append(stage)
            another.close()

        made = image.build(tmp_path, say)

    assert (made, said) == (image.kept(tmp_path), ["another process makes it already, and is waited for"])


def test_and_the_small_guest_do_not_wait_for_each_other(tmp_path):
    image.kept(tmp_path).write_bytes(b"made before")

    with held(tmp_path, "small"):
        assert image.build(tmp_path, pytest.fail) == image.kept(tmp_path)


def test_says_why_the_cache_cannot_be_had(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(GuestUnbuildable, match=r"Not a directory|File exists"):
        image.build(tmp_path / "file" / "cache", print)
