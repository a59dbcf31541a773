"""Pages that are written from declarations are as they would be written now."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.docs.pages import ROOT
from tests.tools import needs


@pytest.mark.parametrize("tool", ["docs", "catalogue", "samples"])
def test_is_not_stale(tool):
    needs("qemu-img")
    check = [sys.executable, "-P", f"tools/{tool}.py", "--check"]

    done = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
