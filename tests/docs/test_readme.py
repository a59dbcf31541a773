"""What the README shows is done: its shell session and its script, against a served Kiln without machines."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from kiln.testing import start_kiln
from tests.docs.pages import ROOT, examples
from tests.tools import needs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def test_shows_a_session_that_works(tmp_path):
    needs("qemu-img", "bash")
    (session,) = [e.text for e in examples("sh") if e.page == "README.md"]
    (script,) = [e.text for e in examples("python") if e.page == "README.md"]
    (tmp_path / "debian-12.qcow2").touch()
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "debian-12.qcow2", "1G"], cwd=tmp_path, check=True)
    (tmp_path / "kiln").write_text(f'#!/bin/sh\nexec {sys.executable} -P -m kiln.cli.main "$@"\n')
    (tmp_path / "kiln").chmod(0o755)
    (tmp_path / "script.py").write_text(script)
    whole = f"set -eu\n{session}\n{sys.executable} script.py\n"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KILN_")}

    with start_kiln(tmp_path / "data") as kiln:
        known = {"KILN_DATA": str(kiln.data), "PYTHONPATH": str(ROOT / "src")}
        done = subprocess.run(
            ["bash", "-c", whole], cwd=tmp_path, env=kept | known, capture_output=True, text=True, check=False
        )

    assert done.returncode == 0, done.stderr
    listed, _, made_by_script = done.stdout.strip().rpartition("\n")
    assert "web-1" in listed
    assert made_by_script.startswith("m-")
