"""Tools that tests need: missing ones are skipped by name at the desk and fail in CI."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

PACKAGES = Path(__file__).resolve().parent.parent / "tools/packages.txt"


def lacks(what: str) -> NoReturn:
    """Skip the test for what is missing here, by name; fail it when CI is set."""
    message = f"needs {what}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def needs(*commands: str) -> None:
    """Skip the test (fail it when CI is set) unless every one of *commands* is on the PATH or in sbin."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    missing = [c for c in commands if shutil.which(c, path=path) is None]
    if missing:
        lacks(", ".join(missing))


def wants(command: str) -> None:
    """As ``needs``, for what only some have: its lack fails in CI only where tools/packages.txt has it installed."""
    if shutil.which(command) is not None:
        return
    lines = PACKAGES.read_text().splitlines()
    probes = {line.split()[1] for line in lines if line and not line.startswith("#")}
    if command in probes:
        lacks(command)
    pytest.skip(f"needs {command}, which nothing installs")
