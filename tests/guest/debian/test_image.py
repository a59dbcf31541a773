from __future__ import annotations

import pytest

from kiln.guest.debian import image
from kiln.guest.errors import GuestUnbuildable


def test_what_is_kept_is_not_made_again(tmp_path):
    image.kept(tmp_path).write_bytes(b"made before")

    assert image.build(tmp_path, pytest.fail).read_bytes() == b"made before"


def test_says_why_the_cache_cannot_be_had(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(GuestUnbuildable, match=r"Not a directory|File exists"):
        image.build(tmp_path / "file" / "cache", print)
