"""What ImportImage and ExportImage share: their tasks, formats, progress and cancellation.

Their tasks are the ones that DescribeTasks lists and CancelTask cancels. A
task's facts hold under ``disks``, in each of their versions, one entry for each
disk with at least ``object``, its name in the bucket. Copies that are encrypted
anew have their lanes and their progress too. Knows nothing of what is moved, or where to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kiln.calls.call import Call, Job
from kiln.declare.errors import ApiError
from kiln.declare.facts import UnreadableFacts, parse
from kiln.declare.states import TaskStatus
from kiln.pools.port import Progress, SourceFormat, TargetFormat
from kiln.store.database import Transaction
from kiln.store.images import images
from kiln.store.tasks import Task, tasks
from kiln.store.transfers import place_in_queue, transfer_lanes, transfers_at_once

#: How the wire calls the formats that the pool reads, and those that it writes.
SOURCE_FORMATS: dict[str, SourceFormat] = {"RAW": "raw", "VHD": "vpc", "QCOW2": "qcow2", "VMDK": "vmdk"}
TARGET_FORMATS: dict[str, TargetFormat] = {
    "raw": "raw",
    "vhd": "vpc",
    "qcow2": "qcow2",
    "vmdk": "vmdk",
    "vdi": "vdi",
}

_REPORT_S = 0.5


class TaskCancelled(ApiError):
    """CancelTask ended the task. Seen in DescribeTaskAttribute alone."""

    code = "TaskCancelled"
    message = "The task was cancelled."
    hint = "Nothing of it is left: ask for it again where it is wanted after all."


def pick_lane(call: Call) -> str:
    """The account's lane with the least to do."""
    lanes = transfer_lanes(call.account)
    return min(lanes, key=lambda lane: tasks.count(call.tx, lane=lane, status=TaskStatus.PROCESSING))


def wire_format(found: SourceFormat) -> str:
    """How the wire calls a format that the pool found."""
    return next(spelled for spelled, format_ in SOURCE_FORMATS.items() if format_ == found)


def find_task(call: Call, region: str, task_id: str) -> Task | None:
    """The caller's import or export of that ID."""
    return tasks.find(call.tx, id=task_id, account=call.account, region=region, listed=True)


def objects_of(task: Task) -> list[str]:
    """The objects that the task reads or writes; none where its facts cannot be read, which ends it soon."""
    try:
        disks = parse(task.payload).get("disks")
    except UnreadableFacts:
        return []
    if not isinstance(disks, list):
        return []
    return [disk["object"] for disk in disks if isinstance(disk, dict) and isinstance(disk.get("object"), str)]


def say_status(call: Call, task: Task) -> tuple[str, int]:
    """The task's status as answers spell it, and its place among those of its account that wait; 0 when it does not."""
    place = place_in_queue(call.tx, task, call.now, transfers_at_once(call.ports.database))
    return ("Waiting" if place else task.status), place


def say_support_cancel(task: Task) -> str:
    """Whether the task can be cancelled, as answers spell it."""
    return "true" if task.status == TaskStatus.PROCESSING else "false"


def is_to_be_ended(tx: Transaction, job: Job[Any]) -> bool:
    """Whether the task may be ended in *tx*, and has not been already. Raises TaskCancelled when it was cancelled."""
    row = tasks.find(tx, id=job.task.id)
    if row is None or row.status != TaskStatus.PROCESSING:
        return False
    if row.cancel_requested:
        raise TaskCancelled
    return True


class Watch:
    """Tells how far the moving of several disks, or of a guest's memory, is, and whether it should go on.

    The row of the task (and with *image* that of its image) is written, and
    read, at most twice a second. 100% is said by whoever records the end.
    """

    def __init__(self, job: Job[Any], weights: Sequence[int], *, image: bool) -> None:
        self._job = job
        self._weights = weights
        self._is_image_told = image
        self._told = job.task.progress
        self._told_at = self._asked_at = float("-inf")
        self._is_cancelled = False
        job.moved_bytes = sum(weights)

    def of(self, n: int) -> Progress:
        """What the *n*-th disk reports its own 0.0 to 100.0 to."""
        done, whole = sum(self._weights[:n]), sum(self._weights) or 1

        def progress(percent: float) -> None:
            self._tell(int((100 * done + percent * self._weights[n]) / whole))

        return progress

    def is_cancelled(self) -> bool:
        """Whether to end: somebody asked for the task to be cancelled, as of half a second ago, or the worker ends."""
        if self._job.is_ending():
            self._job.was_left_off = True
            return True
        now = self._job.ports.clock()
        if not 0 <= now - self._asked_at < _REPORT_S:  # Less than nothing after the clock was set back.
            self._asked_at = now
            self._is_cancelled = self._job.is_cancelled()
        return self._is_cancelled

    def _tell(self, percent: int) -> None:
        percent = min(percent, 99)
        now = self._job.ports.clock()
        if percent <= self._told or 0 <= now - self._told_at < _REPORT_S:
            return
        self._told, self._told_at = percent, now
        self._job.write(lambda tx: self._record(tx, percent))

    def _record(self, tx: Transaction, percent: int) -> None:
        changes: dict[str, Any] = {"progress": percent}
        tasks.update(tx, changes, id=self._job.task.id, status=TaskStatus.PROCESSING)
        if self._is_image_told:
            images.update(tx, changes, id=self._job.task.resource)
