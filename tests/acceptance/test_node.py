"""The page about Node, as a reader follows it: what it installs, and the script that it shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.docs.pages import examples
from tests.tools import wants

pytestmark = [pytest.mark.nightly, pytest.mark.sdk]

PAGE = "docs/howto/node.md"


def test_its_script_asks_kiln(kiln, kiln_image, tmp_path):
    wants("npm")
    wants("node")
    installs, runs = [one.text for one in examples("sh") if one.page == PAGE]
    (script,) = [one.text for one in examples("javascript") if one.page == PAGE]
    (name,) = re.findall(r"\S+\.js", runs)
    (tmp_path / name).write_text(script)
    # What npm keeps between runs is its own affair; here it finds no other project's.
    subprocess.run(installs, shell=True, cwd=tmp_path, check=True, capture_output=True)
    kept = {key: value for key, value in os.environ.items() if not key.startswith("KILN_")}
    kept |= {f"KILN_{name.upper()}": value for name, value in kiln.settings.items()}
    (tmp_path / "kiln").write_text(f'#!/bin/sh\nexec {sys.executable} -P -m kiln.cli.main "$@"\n')
    (tmp_path / "kiln").chmod(0o755)

    done = subprocess.run(
        runs.replace("kiln run", f"{tmp_path}/kiln run --data {kiln.data}"),
        shell=True, cwd=tmp_path, env=kept, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 1
