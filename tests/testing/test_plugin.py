"""The fixtures, in runs of pytest as users have them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.docs.pages import examples
from tests.tools import needs

pytestmark = pytest.mark.slow

_WITHOUT_SDK = 'import sys\n\nsys.modules["alibabacloud_ecs20140526"] = None\n'
_ASKS_FOR_THE_SDK = "def test_asks(kiln_ecs):\n    assert kiln_ecs\n"
_FAILS = """
import urllib.error, urllib.request

def test_fails(kiln):
    urllib.request.urlopen(kiln.endpoint + "/healthz").close()
    raise SystemError("of the test")
"""
_HAS_REGIONS = """
def test_has_regions(kiln, kiln_client):
    assert [row["RegionId"] for row in kiln_client.rows("DescribeRegions")] == ["cn-hangzhou", "cn-beijing"]
    assert kiln.region == "cn-hangzhou"
    assert kiln_client.call("DescribeImages")["TotalCount"] == 0
"""


@pytest.fixture
def run(tmp_path):
    """Runs pytest on these files, each by its name; gives its exit code and what it said."""
    needs("qemu-img")

    def run(**files: str) -> tuple[int, str]:
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(text)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "KILN_"))}
        # In a checkout there is no distribution whose entry points pytest could read, so the plugin is named.
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "kiln.testing.plugin",
            "-p",
            "no:randomly",
            "-rs",
            "-W",
            "error",
        ]
        done = subprocess.run(
            [*command, f"--basetemp={tmp_path / 'temp'}", "."],
            cwd=tmp_path,
            env=kept | {"KILN_DATA": "/nonexistent", "KILN_MACHINES": "qemu"},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.mark.sdk
def test_do_what_their_page_shows(run):
    shown = [example.text for example in examples("python") if example.page == "docs/howto/test-against-kiln.md"]
    first, conftest, alone = shown

    code, said = run(test_shown=first, conftest=conftest, test_alone=f"def test_alone():\n{indented(alone)}")

    assert code == 0, said
    assert "2 passed" in said


def test_heed_settings_of_the_tests_and_none_of_the_shell(run):
    settings = [e.text for e in examples("python") if "def kiln_settings" in e.text]

    code, said = run(test_regions=_HAS_REGIONS, conftest=settings[0])

    assert code == 0, said


def test_skip_by_name_where_the_sdk_is_missing(run):
    code, said = run(test_asks=_ASKS_FOR_THE_SDK, conftest=_WITHOUT_SDK)

    assert code == 0, said
    assert "1 skipped" in said
    assert "pip install 'kiln[testing]'" in said


def test_show_what_the_kiln_logged_with_a_test_that_fails(run):
    code, said = run(test_fails=_FAILS)

    assert code == 1
    assert "log of the served Kiln" in said
    assert "listening on http://127.0.0.1:" in said


def indented(script: str) -> str:
    """The script as the body of a function."""
    return "".join(f"    {line}\n" for line in script.splitlines())
