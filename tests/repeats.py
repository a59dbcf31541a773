"""Which tests are done again on PostgreSQL for every change, and how it is known that these are enough.

A test that takes ``database`` or ``cloud`` is done on SQLite, and can be done
again on PostgreSQL. Only the store speaks SQL, so what an operation does beyond
that is the same on both: a whole run (``./kiln test``) repeats the tests that
own SQL, which OWNERS names. Tests that are about PostgreSQL itself are marked
so and always done. Before a change lands (``.ci/run``) whole SUITES are
repeated. ``./kiln test all``, and any run of chosen tests, repeats all.

At the end of ``./kiln test all``, every function of the store that any test has
had speak to SQLite was had speak to PostgreSQL by an owner, or the run fails
and names it: then the test file that knows that function best belongs in
OWNERS. To listen takes a twentieth of the time, so no other run does.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from pathlib import Path
from types import CodeType
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, event

import kiln.store
from tests.engines import engine_of
from tests.judge import is_whole

ROOT = Path(__file__).resolve().parent.parent

#: Folders and files whose tests own SQL, and why.
OWNERS = {
    "tests/store/": "the statements themselves",
    "tests/tasks/": "tasks are leased under locks that SQLite does not have",
    "tests/upkeep/": "joins over whole tables: what nothing names, what waits, what is given up",
    "tests/operations/test_lists.py": "every listing that there is",
    "tests/operations/test_filters.py": "texts are compared by the database, each in its own way",
    "tests/operations/test_paging.py": "order and pages are the database's",
    "tests/operations/images/test_create_image.py": "several at once, quotas and names that are taken meanwhile",
    "tests/operations/images/test_export_image.py": "turns and places in the queue",
    "tests/operations/images/parts/test_lookup.py": "images by their name and by their family, the newest first",
    "tests/operations/instances/test_allocate_public_ip_address.py": "addresses of the whole deployment",
    "tests/operations/instances/test_modify_instance_attribute.py": "who is in which security group",
    "tests/operations/instances/test_placement.py": "addresses and default networks that several take at once",
    "tests/operations/vpcs/": "what is in a VPC",
    "tests/operations/vswitches/": "how many addresses are left",
    "tests/operations/eips/": "where an address leads",
    "tests/calls/test_places.py": "a VPC as a whole, and its number",
    "tests/operations/reasons/": "who waits for whom in a lane",
    "tests/wire/test_idempotence.py": "tokens that several calls bring at once",
    "tests/service/": "accounts, keys and health, where they ask the database",
}

#: What a deployment of several hosts does otherwise than one Kiln, if anything does.
SUITES = ("tests/acceptance/", "tests/kill/", "tests/operations/")

_STORE = str(Path(kiln.store.__file__).parent) + "/"
#: ``database`` and ``line`` pass on what others say; the others say each database something else, and have tests of
#: their own for each: ``tests/service`` and ``tests/upgrade``.
_PASSED_OVER = tuple(
    _STORE + name for name in ("database.py", "line.py", "glance.py", "hold.py", "schema.py", "migrations/")
)

#: (database, function of the store) of every statement of this run that counts.
SPOKEN: set[tuple[str, str]] = set()
_HEARD: dict[str, set[CodeType]] = {"sqlite": set(), "postgresql": set()}
#: The test that runs; PostgreSQL counts only where it is done for every change.
_NOW: list[pytest.Item] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--repeats",
        choices=("owners", "suites", "all"),
        help="which tests of SQLite to do on PostgreSQL, too (a whole run: owners, in CI suites; chosen tests: all)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Workers are given the words of the run, and so come to the same."""
    option = config.option
    option.listens = option.repeats == "all" and is_whole(config)
    of_whole = "suites" if os.environ.get("CI") else "owners"
    option.repeats = option.repeats or (of_whole if is_whole(config) else "all")
    if option.listens:
        event.listen(Engine, "connect", hear)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.option.repeats == "all":
        return
    suites = SUITES if config.option.repeats == "suites" else ()
    needless = {item for item in items if not (item.nodeid.startswith(suites) or is_done_for_every_change(item))}
    if needless:
        config.hook.pytest_deselected(items=list(needless))
        items[:] = [item for item in items if item not in needless]


def is_done_for_every_change(item: pytest.Item) -> bool:
    """Whether it repeats nothing, or owns SQL."""
    return engine_of(item) != "postgresql" or is_owner(item.nodeid)


def is_owner(path: str) -> bool:
    """Whether the test file at *path*, from the checkout on, owns SQL."""
    return path.startswith(tuple(OWNERS))


def unspoken() -> list[str]:
    """The functions of the store that have spoken to SQLite alone; none where PostgreSQL is not installed."""
    by = {name: {function for one, function in SPOKEN if one == name} for name in _HEARD}
    return sorted(by["sqlite"] - by["postgresql"]) if by["postgresql"] else []


def pytest_runtest_setup(item: pytest.Item) -> None:
    _NOW[:] = [item]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker of a run in parallel has ended: what it heard counts."""
    SPOKEN.update(tuple(pair) for pair in getattr(node, "workeroutput", {}).get("spoken", ()))


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    SPOKEN.update(heard())
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["spoken"] = sorted(SPOKEN)
    elif session.config.option.listens and exitstatus == pytest.ExitCode.OK and unspoken():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not config.option.listens or any(map(terminalreporter.stats.get, ("failed", "error"))):
        return
    for function in unspoken():
        terminalreporter.write_line(f"no test in OWNERS of tests/repeats.py says to PostgreSQL: {function}", red=True)


def heard() -> set[tuple[str, str]]:
    """(database, function of the store) of every statement that this process has sent."""
    return {
        (name, f"{code.co_filename.removeprefix(_STORE)}: {code.co_qualname}")
        for name, codes in _HEARD.items()
        for code in codes
    }


class _Heard(psycopg.Cursor):
    """A cursor of PostgreSQL that notes who speaks."""

    def execute(self, *given: Any, **more: Any) -> Any:
        _note("postgresql")
        return super().execute(*given, **more)

    def executemany(self, *given: Any, **more: Any) -> Any:
        _note("postgresql")
        return super().executemany(*given, **more)


def hear(connection: Any, _: Any) -> None:
    """At the driver, since the store says much of what it says past SQLAlchemy."""
    if isinstance(connection, sqlite3.Connection):
        connection.set_trace_callback(lambda _: _note("sqlite"))
    else:
        connection.cursor_factory = _Heard


def _note(name: str) -> None:
    """Note the functions of the store that are at work when a statement is sent: those innermost, one below another."""
    if name == "postgresql" and not all(map(is_done_for_every_change, _NOW)):
        return
    codes = _HEARD[name]
    frame = sys._getframe(2)
    is_inside = False
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith(_STORE):
            is_inside = True
            if not code.co_filename.startswith(_PASSED_OVER):
                codes.add(code)
        elif is_inside:
            return
        frame = frame.f_back
