"""Copies of folders that were made once, for tests that each change theirs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def copied(source: Path, target: Path) -> Path:
    """Make *target* a copy of a folder, instead of what it was; names of one file are names of one file there, too."""
    shutil.rmtree(target, ignore_errors=True)
    firsts: dict[int, str] = {}

    def copy(name: str, wanted: str) -> None:
        file = Path(name).lstat().st_ino
        if file in firsts:
            os.link(firsts[file], wanted)
        else:
            firsts[file] = wanted
            shutil.copy2(name, wanted)

    shutil.copytree(source, target, symlinks=True, copy_function=copy)
    return target
