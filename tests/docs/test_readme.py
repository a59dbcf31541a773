"""What the README shows is done, all of it: its shell session and its script, against a Kiln with real machines."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.docs.pages import ROOT, examples
from tests.guests import build_guest, reachable  # noqa: F401 - a fixture
from tests.tools import needs
from tests.warm import start_kiln

#: How the README installs the SDK, and what it runs the script with.
INSTALL = re.compile(r"`python3 -m venv (\w+) && (\S+) install (\S+)`")
RUN = re.compile(r"`(\S+) FILE`")


def test_installs_the_sdk_where_a_system_lets_nobody_install_beside_its_own():
    """Debian's pip refuses that outside of an environment (PEP 668)."""
    text = (ROOT / "README.md").read_text()
    (folder, pip, package), runs = INSTALL.search(text).groups(), RUN.search(text)[1]

    assert (pip, runs) == (f"{folder}/bin/pip", f"{folder}/bin/python")
    assert f"{package}==" in (ROOT / "requirements-dev.lock").read_text(), "the one that the tests use"
    assert not re.findall(r"(?<!bin/)pip install", text)


@pytest.mark.slow
@pytest.mark.vm
def test_shows_a_session_that_works(tmp_path, reachable):  # noqa: F811 - the fixture
    needs("bash")
    build_guest(tmp_path / "guest.qcow2")  # So that what it is made of has been fetched, or the test is skipped.
    (session,) = [e.text for e in examples("sh") if e.page == "README.md"]
    (script,) = [e.text for e in examples("python") if e.page == "README.md"]
    (tmp_path / "kiln").write_text(f'#!/bin/sh\nexec {sys.executable} -P -m kiln.cli.main "$@"\n')
    (tmp_path / "kiln").chmod(0o755)
    (tmp_path / "script.py").write_text(script)
    python = tmp_path / RUN.search((ROOT / "README.md").read_text())[1]
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    end = "./kiln instance list -q | xargs ./kiln instance delete --force"
    whole = f"set -eu\ntrap '{end}' EXIT\n{session}\n{python} script.py\n"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KILN_")}

    with start_kiln(reachable / "data", machines="qemu", accel="tcg") as kiln:
        known = {"KILN_DATA": str(kiln.data), "PYTHONPATH": str(ROOT / "src")}
        done = subprocess.run(
            ["bash", "-c", whole], cwd=tmp_path, env=kept | known, capture_output=True, text=True, check=False
        )

    assert done.returncode == 0, done.stderr
    said, _, listed = done.stdout.partition("from the first machine\n")
    assert said.endswith("\n"), "what the first machine wrote is what the copy read"
    assert "web-1" in listed
    assert any(line.startswith("m-") for line in listed.splitlines()), "the image that the script made"
