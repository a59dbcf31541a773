"""What is published: the wheel and the source distribution, what is in them, and that a stranger can use them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.metadata import Metadata

from tests.docs.pages import examples
from tests.guests import build_guest, reachable  # noqa: F401 - a fixture
from tests.tools import lacks, needs
from tests.wheels import make_sdist, make_wheel

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
_UNREACHED = ("No matching distribution found", "Could not find a version", "Connection")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    return make_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory) -> Path:
    return make_sdist(tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def packed(wheel) -> set[str]:
    """The names in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def in_checkout() -> set[str]:
    """Every file of the package that is no product of running it, by its name in a wheel."""
    files = {path for path in (ROOT / "src/kiln").rglob("*") if path.is_file()}
    return {str(path.relative_to(ROOT / "src")) for path in files if path.parent.name != "__pycache__"}


def test_the_wheel_has_every_file_of_the_package_and_no_other(packed):
    assert {name for name in packed if ".dist-info/" not in name} == in_checkout()


def test_the_wheel_has_its_license_and_what_pytest_looks_for(wheel, packed):
    info = f"kiln-{PROJECT['version']}.dist-info"
    assert f"{info}/licenses/LICENSE" in packed
    with zipfile.ZipFile(wheel) as archive:
        entries = archive.read(f"{info}/entry_points.txt").decode()

    assert "[console_scripts]\nkiln = kiln.cli.start:main" in entries
    assert "[pytest11]\nkiln = kiln.testing.plugin" in entries


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_the_metadata_is_what_an_index_takes(request, kind):
    raw = metadata(request.getfixturevalue(kind))

    read = Metadata.from_email(raw)  # With every rule of the specification.

    assert (read.name, str(read.version), str(read.license_expression)) == ("kiln", PROJECT["version"], "Apache-2.0")
    assert read.license_files == ["LICENSE"]
    assert read.description_content_type == "text/markdown"
    assert read.description.strip() == (ROOT / "README.md").read_text().strip()
    # Beside an expression these are refused.
    assert not [name for name in read.classifiers if name.startswith("License ::")]
    assert {"postgresql", "testing"} <= set(read.provides_extra)


def test_the_source_has_what_the_wheel_is_made_of_and_no_tests(sdist):
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames() if not archive.getmember(name).isdir()}

    assert {f"src/{name}" for name in in_checkout()} <= names
    assert {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", "deploy/kiln.service", "docs/index.md"} <= names
    assert not [name for name in names if name.startswith("tests/")]


@pytest.mark.vm
@pytest.mark.slow_vm
def test_an_empty_environment_makes_an_image_with_the_wheel(wheel, tmp_path, reachable):  # noqa: F811 - the fixture
    """What the README shows and the demo does: a running machine becomes an image, and another boots from it."""
    needs("bash")
    build_guest(tmp_path / "guest.qcow2")  # So that what it is made of has been fetched, or the test is skipped.
    python = install(wheel, tmp_path / "environment")
    (session,) = [e.text for e in examples("sh") if e.page == "README.md"]
    end = "trap 'kiln instance list -q | xargs kiln instance delete --force' EXIT\n"
    (tmp_path / "session").write_text(end + session.replace("./kiln", "kiln"))
    known = {"KILN_DATA": str(reachable / "data"), "KILN_LISTEN": "127.0.0.1:0", "KILN_ACCEL": "tcg"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KILN_", "PYTHON"))}
    environment = kept | known | {"PATH": f"{python.parent}:{os.environ['PATH']}"}

    with subprocess.Popen(
        ["kiln", "serve"], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    ) as served:
        try:
            assert any(line.startswith("listening on ") for line in served.stdout)
            command = ["bash", "-eu", "session"]
            done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        finally:
            served.terminate()

    assert done.returncode == 0, done.stderr
    assert "from the first machine\n" in done.stdout


@pytest.mark.parametrize(("kind", "make"), [("wheel", make_wheel), ("sdist", make_sdist)])
def test_what_is_made_elsewhere_at_another_time_is_the_same_bytes(request, kind, make, tmp_path):
    """So that anybody can see that what is published was made of the source that is published."""
    first = request.getfixturevalue(kind)
    was = os.umask(0o077)
    try:
        again = make(tmp_path)
    finally:
        os.umask(was)

    assert (again.name, again.read_bytes()) == (first.name, first.read_bytes())


def metadata(distribution: Path) -> bytes:
    """The metadata file of a wheel or a source distribution."""
    if distribution.suffix == ".whl":
        with zipfile.ZipFile(distribution) as archive:
            return archive.read(next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA")))
    with tarfile.open(distribution) as archive:
        found = archive.extractfile(f"{distribution.name.removesuffix('.tar.gz')}/PKG-INFO")
        assert found is not None
        return found.read()


def install(wheel: Path, folder: Path) -> Path:
    """The interpreter of an environment that has the wheel and what it says that it needs, in the locked versions."""
    # A pip of its own, and byte code of what nobody imports, would take ten seconds and show nothing.
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    locked = re.findall(
        r"^[\w.\[\]-]+==[^\s;\\]+(?: *;[^\\\n]*)?", (ROOT / "requirements.lock").read_text(), re.MULTILINE
    )
    (folder / "locked").write_text("\n".join(locked))
    pip = [sys.executable, "-I", "-m", "pip", "--python", folder / "bin/python"]
    command = [*pip, "install", "--quiet", "--no-compile", "-c", folder / "locked", wheel]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and any(words in done.stderr for words in _UNREACHED):
        lacks(f"a package index that pip reaches: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    return folder / "bin/python"
