"""Waits with a progress bar: on a terminal one that moves, elsewhere a line for each new state or tenth."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kiln.cli import output
from kiln.client import waiters
from kiln.client.client import Client

_WHOLE = 100


def wait(client: Client, noun: str, resource: str, until: str | None, timeout_s: float) -> dict[str, Any] | None:
    """Wait, showing how far it is. Returns and raises what ``waiters.wait`` does."""
    with _shown(resource) as progress:
        return waiters.wait(client, noun, resource, until, progress=progress, timeout_s=timeout_s)


def wait_for_outcome(client: Client, action: str, noun: str, resource: str, timeout_s: float) -> dict[str, Any] | None:
    """Wait for the state that *action* is declared to lead to, of an action that leads to one alone."""
    _, outcome = client.catalogue.action(action).leads_to
    return wait(client, noun, resource, outcome, timeout_s)


@contextmanager
def _shown(resource: str) -> Iterator[waiters.Progress]:
    if not sys.stderr.isatty():
        yield _lines(resource)
        return
    # As in kiln.cli.output: only a terminal has to wait for this to load.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (
        TextColumn("{task.fields[resource]}"),
        TextColumn("[yellow]{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None, resource=resource)

        def show(percent: int, state: str) -> None:
            bar.update(task, description=state, completed=percent, total=_WHOLE if percent else None)

        yield show


def _lines(resource: str) -> waiters.Progress:
    last = ("", -1)

    def show(percent: int, state: str) -> None:
        nonlocal last
        now = (state, percent // 10)
        if now != last:
            last = now
            output.note(f"{resource}  {state}  {percent}%" if percent else f"{resource}  {state}")

    return show
