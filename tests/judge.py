"""At the end of a run of the whole suite: every error that an operation declares was met by some test.

A run of a part of the suite, or one in which tests failed, is not judged. The
errors of parameters' own rules are not looked for here: ``test_catalogue``
breaks every rule there is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from tests.catalogue import BY_NAME
from tests.promises import MET, name_of


def declared(operation: Operation) -> Iterator[type[ApiError]]:
    """The errors that tests of *operation* itself have to meet."""
    yield from operation.errors
    if operation.dry_run is not None:
        yield operation.dry_run
    if operation.idempotent is not None:
        yield operation.idempotent.mismatch


def never_met() -> list[str]:
    """What is declared and was not met, in words."""
    missing = {
        (title, e.__name__, e.code)
        for title, operation in BY_NAME.items()
        for e in declared(operation)
        if (title, name_of(e)) not in MET
    }
    return [f"{action}: {name} ({code})" for action, name, code in sorted(missing)]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker of a run in parallel has ended: what it met counts."""
    MET.update(tuple(pair) for pair in getattr(node, "workeroutput", {}).get("met", ()))


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["met"] = sorted(MET)
        return
    if is_whole(session.config) and exitstatus == pytest.ExitCode.OK and never_met():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    failed = terminalreporter.stats.get("failed") or terminalreporter.stats.get("error")
    if not is_whole(config) or failed:
        return
    for line in (missing := never_met()):
        terminalreporter.write_line(f"no test meets what is declared: {line}", red=True)
    if missing:
        terminalreporter.write_line(f"{len(missing)} declared errors were met by no test", red=True, bold=True)


def is_whole(config: pytest.Config) -> bool:
    """Whether every test there is was asked for."""
    option = config.option
    asked = option.markexpr, option.keyword, option.deselect, option.ignore, option.ignore_glob, option.collectonly
    last = getattr(option, "lf", False), getattr(option, "stepwise", False)
    return config.args_source is pytest.Config.ArgsSource.TESTPATHS and not any((*asked, *last))
