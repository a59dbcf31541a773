"""A word that was said of several resources: each is tried for itself, and what failed is said beside its ID."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import typer

from kiln.cli.exits import Exit, Refusal
from kiln.cli.refusals import explain
from kiln.client.client import ApiFailure
from kiln.client.waiters import WaitFailed, WaitTooLong

Answer = TypeVar("Answer")

#: What concerns one resource alone. A service that cannot be reached concerns all, and ends the word.
_OF_ONE = (ApiFailure, Refusal, WaitFailed, WaitTooLong)


def try_each(resources: Iterable[str], action: Callable[[str], Answer]) -> tuple[dict[str, Answer], Exit | None]:
    """The answers by resource, and the exit code of the first failure, which is said at once, as all are."""
    answers: dict[str, Answer] = {}
    failed: Exit | None = None
    for resource in resources:
        try:
            answers[resource] = action(resource)
        except _OF_ONE as error:
            code = explain(error, about=resource)
            failed = failed or code
    return answers, failed


def end(*failures: Exit | None) -> None:
    """End the word with the first failure's exit code, if there was one."""
    for failed in failures:
        if failed is not None:
            raise typer.Exit(failed.number)
