"""What is repeated on PostgreSQL for every change."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from sqlalchemy import Engine, event

from kiln.store import images
from tests import repeats
from tests.repeats import OWNERS, ROOT, is_owner

pytest_plugins = ("pytester",)


def collected(*words: str) -> set[str]:
    """The tests that pytest would do before a change lands."""
    command = [sys.executable, "-m", "pytest", "-p", "no:xdist", "--collect-only", "-q", "-o", "addopts=", *words]
    surroundings = {**os.environ, "CI": "true"}
    done = subprocess.run(command, cwd=ROOT, env=surroundings, capture_output=True, text=True, check=True)
    return {line for line in done.stdout.splitlines() if "::" in line}


@contextmanager
def listening(engine: Engine) -> Iterator[None]:
    """New connections of *engine* note who speaks; none of them outlasts this."""
    engine.dispose()
    event.listen(engine, "connect", repeats.hear)
    yield
    event.remove(engine, "connect", repeats.hear)
    engine.dispose()


@pytest.mark.parametrize("path", OWNERS)
def test_each_owner_is_there_and_takes_a_database(path):
    files = [ROOT / path] if path.endswith(".py") else sorted((ROOT / path).glob("test_*.py"))

    assert any("database" in file.read_text() or "cloud" in file.read_text() for file in files)


def test_every_test_of_the_store_is_an_owners():
    assert all(is_owner(str(file.relative_to(ROOT))) for file in (ROOT / "tests/store").rglob("test_*.py"))


@pytest.mark.slow
def test_leaves_out_repeats_alone_and_none_of_an_owner():
    files = ["tests/store/test_tasks.py", "tests/operations/disks/test_create_disk.py", "tests/upgrade"]
    asked_for_all, asked_for_owners = collected(*files), collected("--repeats", "owners", *files)

    left_out = asked_for_all - asked_for_owners

    assert {name.partition("::")[0] for name in left_out} == {files[1]}
    assert all("postgresql" in name or "ceph" in name for name in left_out)
    # Each of them is done on SQLite, and what is about PostgreSQL itself is never left out.
    assert {re.sub("postgresql|ceph", "sqlite", name) for name in left_out} <= asked_for_owners
    assert any("test_postgresql_has_the_same_tables" in name for name in asked_for_owners)


@pytest.mark.parametrize(("ci", "suites"), [("", []), ("true", ["tests/operations/disks/test_any.py"])])
def test_repeats_whole_suites_before_a_change_lands(pytester, monkeypatch, ci, suites):
    monkeypatch.setenv("CI", ci)
    pytester.makeini("[pytest]\ntestpaths = tests\nmarkers =\n timeout: x\n")
    for name in ("operations/disks", "store", "wire"):
        file = pytester.path / "tests" / name / "test_any.py"
        file.parent.mkdir(parents=True)
        engines = "import pytest\n@pytest.mark.parametrize('engine', ['sqlite', 'postgresql'])\n"
        file.write_text(engines + "def test_one(engine): pass\n")
    plugins = ("-p", "tests.repeats", "-p", "no:randomly", "--import-mode=importlib")

    said = pytester.runpytest(*plugins, "-v").outlines

    repeated = [line.partition("::")[0] for line in said if "[postgresql] PASSED" in line]
    assert repeated == [*suites, "tests/store/test_any.py"]
    assert sum("[sqlite] PASSED" in line for line in said) == 3


def test_names_a_function_of_the_store_that_only_sqlite_has_heard(monkeypatch):
    monkeypatch.setattr(
        repeats,
        "SPOKEN",
        {("sqlite", "a.py: f"), ("sqlite", "a.py: g"), ("postgresql", "a.py: g"), ("postgresql", "h")},
    )

    assert repeats.unspoken() == ["a.py: f"]


def test_judges_nothing_where_there_is_no_postgresql(monkeypatch):
    monkeypatch.setattr(repeats, "SPOKEN", {("sqlite", "a.py: f")})

    assert repeats.unspoken() == []


@pytest.mark.parametrize("path", ["tests/store/test_any.py", "tests/any/test_any.py"])
def test_hears_what_the_store_says_and_on_postgresql_to_owners_alone(request, database, monkeypatch, path):
    speaker = database.engine.dialect.name
    monkeypatch.setattr(repeats, "_HEARD", {"sqlite": set(), "postgresql": set()})
    monkeypatch.setattr(repeats, "_NOW", [SimpleNamespace(nodeid=path, callspec=request.node.callspec)])
    with listening(database.engine):
        database.write(images.images.all)

    is_heard = speaker == "sqlite" or is_owner(path)
    assert ((speaker, "rows.py: Rows.all") in repeats.heard()) == is_heard


@pytest.mark.slow
def test_is_known_to_workers():
    command = [sys.executable, "-m", "pytest", "-n", "1", "-q", "tests/test_spread.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
