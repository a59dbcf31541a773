"""What the Kiln of a test stands on: the one dimension in which whole suites are done again.

    sqlite       SQLite, and a folder of qcow2 files: what Kiln brings itself
    postgresql   PostgreSQL, and such a folder, as hosts have it that share one
    ceph         PostgreSQL, and a pool on a Ceph

Whoever takes ``database`` or ``cloud`` is done on the first two; which of them for every change is said in
``tests.repeats``. What is in rows alone is the same on the second and the third, where each volume takes ten times as
long. So there are done those to which bytes matter: of operations the tests that have their Kiln carry something out,
by themselves or by what they call; of acceptance those that want an image. What is about the files of a folder is
marked ``qcow2``, and done on no other pool.

The contract of pools chooses for itself what it is done on (``kind``), and says so by the same marks.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import CodeType, FunctionType

import pytest

SQLITE = pytest.param("sqlite", id="sqlite")
POSTGRESQL = pytest.param("postgresql", id="postgresql", marks=pytest.mark.postgresql)
CEPH = pytest.param("ceph", id="ceph", marks=pytest.mark.ceph)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Have each test that stands on an engine be done on all of its own."""
    if "engine" in metafunc.fixturenames:
        metafunc.parametrize("engine", _engines_of(metafunc), indirect=True)


def engine_of(item: pytest.Item) -> str | None:
    """The engine that a test stands on; None where it stands on none, or chooses for itself."""
    callspec = getattr(item, "callspec", None)
    return None if callspec is None else callspec.params.get("engine")


def _engines_of(metafunc: pytest.Metafunc) -> list[object]:
    where = metafunc.definition.nodeid
    if where.startswith("tests/kill/"):
        return [POSTGRESQL, CEPH]  # On SQLite they have a way of their own, which asks for no engine.
    if where.startswith("tests/acceptance/"):
        return [SQLITE, POSTGRESQL, CEPH] if "kiln_image" in metafunc.fixturenames else [SQLITE]
    is_on_ceph = (
        where.startswith("tests/operations/")
        and "cloud" in metafunc.fixturenames
        and metafunc.definition.get_closest_marker("qcow2") is None
        and has_carried_out(metafunc.function)
    )
    return [SQLITE, POSTGRESQL, CEPH] if is_on_ceph else [SQLITE, POSTGRESQL]


def has_carried_out(test: FunctionType) -> bool:
    """Whether a test says ``settle``, or calls a function of our tests that does."""
    return _says("settle", test, set())


def _says(word: str, function: FunctionType, seen: set[FunctionType]) -> bool:
    seen.add(function)
    names = set(_names(function.__code__))
    if word in names:
        return True
    called = (function.__globals__.get(name) for name in names)
    return any(_says(word, one, seen) for one in called if _is_ours(one) and one not in seen)


def _is_ours(found: object) -> bool:
    return inspect.isfunction(found) and found.__module__.startswith("tests.")


def _names(code: CodeType) -> Iterator[str]:
    """All that a function names, those within it too."""
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)
