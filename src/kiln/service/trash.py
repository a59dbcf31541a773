"""What ``kiln trash`` does, beside a service that may be running.

Only rows are written here. A running service carries out what they say; where
none is running, the one task is carried out here, under the data folder's lock.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from kiln.calls.call import Ports
from kiln.declare.states import TaskStatus
from kiln.service.assemble import Assembly
from kiln.service.claim import hold_data_folder
from kiln.service.errors import DataFolderBusy
from kiln.service.pools import hold_pool
from kiln.store.tasks import Task, tasks
from kiln.tasks.worker import Worker
from kiln.upkeep import unfinished
from kiln.upkeep.duties import DUTIES
from kiln.upkeep.restore import NotNow, prepare, prepare_to_empty
from kiln.upkeep.waiting import Waiting, list_waiting

_POLL_S = 0.1


class TaskFailed(Exception):
    """What was asked for was begun and failed; says in words why."""


class NotDoneYet(Exception):
    """The service has not done it within the time."""


def waiting(assembly: Assembly) -> Waiting:
    """What waits in the trash."""
    with assembly.database.read() as tx:
        return list_waiting(tx, assembly.ports)


def restore(assembly: Assembly, wanted: str, timeout_s: float) -> None:
    """Put back what was deleted, once nothing works on it. Raises NotRestorable, TaskFailed, NotDoneYet."""
    ports = assembly.ports
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            task = ports.database.write(lambda tx: prepare(tx, ports, wanted), gives_back=True)
            break
        except NotNow:  # Of what was deleted this moment the file is still moved aside.
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLL_S)
    _see_done(assembly, task, timeout_s)


def empty(assembly: Assembly, wanted: Sequence[str], older_than: float | None, timeout_s: float) -> tuple[int, int]:
    """Give space back now; returns how many bytes that gave, and how many are left.

    Raises NotRestorable for an ID that is not there, TaskFailed, NotDoneYet.
    """
    ports = assembly.ports
    before = _total(ports)
    task = ports.database.write(lambda tx: prepare_to_empty(tx, ports, wanted, older_than), gives_back=True)
    _see_done(assembly, task, timeout_s)
    after = _total(ports)
    return max(0, before - after), after


def _see_done(assembly: Assembly, task: str, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while (row := _task(assembly.ports, task)).status == TaskStatus.PROCESSING:
        try:
            # Only this one task: what else there may be to do needs the machines, which are the service's.
            settings = assembly.settings
            with hold_data_folder(settings.data), hold_pool(settings, is_beside=bool(settings.database)):
                Worker(assembly.ports, DUTIES, unfinished).attempt(row)
        except DataFolderBusy:
            pass
        if time.monotonic() > deadline:
            raise NotDoneYet(task)
        time.sleep(_POLL_S)
    if row.status != TaskStatus.FINISHED:
        raise TaskFailed(row.error_message)


def _task(ports: Ports, task: str) -> Task:
    with ports.database.read() as tx:
        row = tasks.find(tx, id=task)
    assert row is not None  # It was written here, and tasks are kept.
    return row


def _total(ports: Ports) -> int:
    return sum(one.allocated_bytes for one in ports.pool.discarded())
