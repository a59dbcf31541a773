"""Waits with a progress bar: on a terminal one that moves, elsewhere a line for each new state or tenth."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from kiln.cli import exits, output
from kiln.cli.exits import Refusal
from kiln.cli.session import said_in
from kiln.client import waiters
from kiln.client.client import Client
from kiln.client.transport import Unreachable
from kiln.client.waiters import WaitTooLong
from kiln.ground.values import dataclass

_WHOLE = 100


@dataclass(frozen=True)
class Begun:
    """What was begun and is waited for."""

    noun: str
    id: str
    until: str | None  #: The state that is waited for; None for its end.
    undo: str = ""  #: What takes it back or stops it, as it is said: ``kiln image delete m-...``.


def wait(client: Client, begun: Begun, timeout_s: float) -> dict[str, Any] | None:
    """Wait, showing how far it is. Returns and raises what ``waiters.wait`` does; who gives up is told what goes on."""
    try:
        with shown(begun.id) as progress:
            return waiters.wait(client, begun.noun, begun.id, begun.until, progress=progress, timeout_s=timeout_s)
    except WaitTooLong as error:
        hint = _goes_on(client, begun) + " --timeout sets how long to wait."
        raise Refusal(str(error), exits.TOO_LONG, hint) from error
    except Unreachable as error:
        # Who stops a service leaves imports and exports to be begun anew, and everything else to be gone on with.
        hint = (
            f"What it was doing with {begun.noun} {begun.id} is not lost: when it serves again it takes it up, "
            f"an import or an export from its beginning, and {_waits(client, begun)} waits again."
        )
        raise Refusal(f"the service went while it was waited for: {error}", exits.UNREACHABLE, hint) from error
    except (KeyboardInterrupt, SystemExit):
        output.note(f"\nkiln: no longer waiting for {begun.noun} {begun.id}\n({_goes_on(client, begun)})")
        raise


def wait_for_outcome(client: Client, action: str, begun: Begun, timeout_s: float) -> dict[str, Any] | None:
    """Wait for the one state that *action* is declared to lead to; what leads to none ends what it is done to."""
    _, outcome = client.catalogue.action(action).leads_to or ("", None)
    return wait(client, replace(begun, until=outcome), timeout_s)


def _goes_on(client: Client, begun: Begun) -> str:
    stops = f"; `{said_in(client, begun.undo)}` stops it" if begun.undo else ""
    return f"The service goes on with it: {_waits(client, begun)} waits again{stops}."


def _waits(client: Client, begun: Begun) -> str:
    until = "--gone" if begun.until is None else f"--until {begun.until}"
    return f"`{said_in(client, f'kiln wait {begun.id} {until}')}`"


@contextmanager
def shown(resource: str) -> Iterator[waiters.Progress]:
    """What shows how far something called *resource* is."""
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
