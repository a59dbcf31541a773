"""Tools that tests need: missing ones are skipped by name at the desk and fail in CI."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


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
