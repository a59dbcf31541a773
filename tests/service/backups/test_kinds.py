"""Of which pools backups are made."""

from __future__ import annotations

from pathlib import Path

import pytest

from kiln.service.backups.errors import BackupRefused
from kiln.service.backups.restoring import restore
from kiln.service.backups.taking import Wish, take
from kiln.service.settings import read_settings


def test_refuses_a_pool_that_has_no_files_and_makes_nothing(tmp_path):
    settings = read_settings({}, data=tmp_path / "data", pool="rbd:kiln/one")

    with pytest.raises(BackupRefused, match="rbd:kiln/one"):
        take(settings, tmp_path / "backups", Wish(), lambda _: None, lambda *_: None)
    with pytest.raises(BackupRefused, match="rbd:kiln/one"):
        restore(settings, Path(tmp_path / "backups"), lambda *_: None)

    assert list(tmp_path.iterdir()) == []
