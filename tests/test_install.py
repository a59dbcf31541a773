"""Each way to install Kiln that the page shows, as it shows it. Every night, on what a stranger's system has."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.docs.pages import ROOT, examples
from tests.ports import reserved_port
from tests.tools import lacks, needs, wants

PAGE = "docs/howto/install.md"
WHEEL, UV, DEBIAN, CONTAINER = (example.text for example in examples("sh") if example.page == PAGE)
BASE = "docker.io/library/debian:bookworm-slim"
nightly = [pytest.mark.slow, pytest.mark.nightly, pytest.mark.timeout(3600)]


def test_the_readme_has_lines_of_the_page():
    whole = (ROOT / PAGE).read_text()
    found = re.search(r"\(docs/howto/install\.md\):\n\n((?: {4}.*\n)+)", (ROOT / "README.md").read_text())
    assert found is not None

    for line in found[1].splitlines():
        shown, _, other = line.strip().partition("  #")
        assert shown.strip() in whole
        if other.startswith(" or "):
            assert other.removeprefix(" or ") in whole


def test_a_container_is_made_of_what_it_is_let_have():
    given = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    taken = re.findall(r"^COPY (?!--from)(.*) \S+$", (ROOT / "deploy/Containerfile").read_text(), re.MULTILINE)

    assert {name for names in taken for name in names.split()} <= given | {
        "requirements.lock",
        "requirements-build.lock",
    }
    assert [name for name in given if not list(ROOT.glob(name))] == []


class TestEveryNight:
    pytestmark = nightly

    def test_a_wheel_by_pip(self, tmp_path):
        assert said(WHEEL, checkout(tmp_path), {}).endswith(f"kiln {version()}\n")

    def test_a_wheel_by_uv(self, tmp_path):
        subprocess.run([sys.executable, "-m", "venv", tmp_path / "uv"], check=True)
        pip = [tmp_path / "uv/bin/python", "-m", "pip", "install", "--quiet", "uv"]
        if subprocess.run(pip, check=False).returncode:
            lacks("a package index that has uv")
        tools = {"UV_TOOL_DIR": str(tmp_path / "tools"), "UV_TOOL_BIN_DIR": str(tmp_path / "bin")}
        path = f"{tmp_path}/bin:{tmp_path}/uv/bin:{os.environ['PATH']}"

        assert said(UV, checkout(tmp_path), tools | {"PATH": path}).endswith(f"kiln {version()}\n")
        assert (tmp_path / "bin/kiln").exists()

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root makes systems")
    def test_a_debian_package(self, tmp_path):
        """It is built on a bare system, and tried on another."""
        needs("debootstrap", "unshare", "git")
        bare(tmp_path, "--keep", words=["apt-get -qq update", *lines(DEBIAN)])
        (package,) = (tmp_path / "used/home/checkout/dist").glob("kiln_*.deb")
        package.rename(tmp_path / package.name)

        told = bare(tmp_path, "--bring", tmp_path / package.name, words=["tools/try-deb.sh ../visitor/*.deb"])

        assert "-- all is well\n" in told

    def test_a_container_of_the_api(self, tmp_path):
        wants("podman")
        if subprocess.run(["podman", "pull", "-q", "--policy=missing", BASE], check=False).returncode:
            lacks(f"a registry that has {BASE}")
        tried = subprocess.run(["podman", "run", "--rm", BASE, "true"], capture_output=True, text=True, check=False)
        if tried.returncode:
            pytest.skip(f"needs a podman that runs: {tried.stderr.strip()}")  # In a container it often may not.
        end = "podman rm --force --volumes kiln; podman volume rm --force kiln"
        with reserved_port() as port:
            own = f"--env KILN_LISTEN=0.0.0.0:{port} --env "
            block = CONTAINER.replace("8787", str(port)).replace("--env ", own, 1)
            try:
                told = said(block, checkout(tmp_path), {})
                asked = urlopen(f"http://127.0.0.1:{port}/healthz").read()
            finally:
                subprocess.run(["sh", "-c", end], check=False)

        assert "export KILN_ACCESS_KEY_ID=" in told
        assert re.search(r"^m-\w+$", told, re.MULTILINE), "the sample is an image"
        assert b'"ok"' in asked


def checkout(folder: Path) -> Path:
    """A clone, in which what is made stays."""
    subprocess.run(["git", "clone", "-q", "--no-local", ROOT, folder / "checkout"], check=True)
    return folder / "checkout"


def said(block: str, folder: Path, environment: dict[str, str]) -> str:
    """What the commands of a block say, done one after the other."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KILN_", "PYTHON"))}
    command = ["bash", "-euc", block]
    done = subprocess.run(command, cwd=folder, env=kept | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def bare(folder: Path, *options: object, words: list[str]) -> str:
    """What is said by command lines on a bare system."""
    tool = ROOT / "tools/debootstrap-check.sh"
    command = [tool, "--commands", *options, folder, *words]
    done = subprocess.run(
        [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def lines(block: str) -> list[str]:
    """The commands of a block, such as ask nobody."""
    return [line.replace("apt-get install ", "apt-get -qq install -y ") for line in block.splitlines()]


def version() -> str:
    found = re.search(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert found is not None
    return found[1]
