"""What a service says of itself when it begins and when it ends."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

import kiln
from kiln.ground.journal import Journal
from kiln.machines.probe import find_verdict
from kiln.service.assemble import Assembly
from kiln.service.settings import Settings
from kiln.service.supervisor import STOPPING, tell_supervisor
from kiln.service.terminal import begin_line
from kiln.tasks.worker import Worker

log = Journal("kiln.service")

_NAMED_MOST = 5


def started(assembly: Assembly, address: str) -> None:
    """Log what serves, and where; and which machines ran already."""
    settings = assembly.settings
    log.info(
        "started",
        version=kiln.__version__,
        data=str(settings.data),
        database="postgresql" if settings.database else "sqlite",
        role=settings.role,
        address=address,
        machines=settings.machines,
        acceleration=_acceleration(settings),
        adopted=list(assembly.ports.machines.running()),
        regions=len(settings.region_ids),
        uid=os.geteuid(),
    )


def stopping(assembly: Assembly, worker: Worker | None, say: Callable[[str], None]) -> None:
    """Say what is waited for, what is left off, and what goes on without the service."""
    doing = [] if worker is None else worker.doing()
    waits = [f"{task.action} of {task.resource}" for task in doing if not task.listed]
    leaves = [f"{task.action} of {task.resource}" for task in doing if task.listed]
    machines = list(assembly.ports.machines.running())
    log.info("stopping", waits_for=waits, left_off=leaves, machines=machines)
    tell_supervisor(STOPPING, f"waiting for {_names(waits)}" if waits else "ending")
    begin_line()
    say(f"stopping: waits for {_names(waits)}" if waits else "stopping")
    if leaves:
        say(f"  left off, to begin anew at the next start: {_names(leaves)}")
    if machines:
        say(f"  machines go on, and are found at the next start: {_names(machines)}")


def _acceleration(settings: Settings) -> str:
    """KVM or TCG, as far as it is known before the first machine starts."""
    if settings.machines == "none":
        return "none"
    if settings.accel != "auto":
        return settings.accel
    kept = find_verdict(settings.folder.run / "kvm-probe.json")
    return "untried" if kept is None else "kvm" if kept.works else "tcg"


def _names(things: Iterable[str]) -> str:
    """Some names, and how many more there are."""
    known = list(things)
    more = f" and {len(known) - _NAMED_MOST} more" if len(known) > _NAMED_MOST else ""
    return ", ".join(known[:_NAMED_MOST]) + more
