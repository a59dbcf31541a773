"""Carrying out what Cloud Assistant is asked to do within one guest.

The guest is whoever's it is, and may answer nothing, or anything: each look at
it is short, and whoever only waits for it gives the place back. What was begun
there goes on while Kiln is away, and is asked for by the invocation's ID in the
boot in which it was begun.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from kiln.calls.call import Job, NotYet
from kiln.declare.errors import ApiError
from kiln.declare.facts import facts
from kiln.declare.states import ENDED_INVOCATIONS, InvocationStatus
from kiln.ground.killpoints import reach
from kiln.ground.values import dataclass
from kiln.machines.errors import AgentRefused, AgentSilent, MachineError
from kiln.machines.port import Begun, Inside, Progress
from kiln.store import invocations
from kiln.store.database import Transaction
from kiln.store.instances import instances
from kiln.store.invocations import Invocation, InvocationResult, results

DELIVERY_S = 60.0  #: DescribeInvocationResults, Aborted: a command has to be sent within one minute.
OVERTIME_S = 60.0  #: After its time was up, until nobody waits any longer for what the guest says of it.
_ATTENDED_S = 10.0  #: Most commands are done by then.
_LOOK_AGAIN_S = 2.0
_FIRST_REST_S, _LONGEST_REST_S = 0.02, 0.5
_WAITS = "The command runs."

_INFOS = {
    "InstanceReleased": "the instance has released when create task",
    "InstanceNotRunning": "the instance is not running when create task",
    "AccountNotExists": "the specified account does not exists",
    "DirectoryNotExists": "the specified directory does not exists",
    "ClientNotRunning": "the aliyun service is not running on the instance",
    "ClientNotResponse": "the aliyun service in the instance does not response",
    "ExecutionTimeout": "the command execution has been timeout",
    "ExecutionException": "the command execution got an exception",
    "ExecutionInterrupted": "the command execution has been interrupted",
    "ExitCodeNonzero": "the command execution exit code is not zero",
    "FileCreateFail": "the file create fail",
    "FileAlreadyExists": "the file already exists",
    "FilePathInvalid": "the file path is invalid",
    "FileAuthorityInvalid": "the file authority is invalid",
    "UserGroupNotExists": "the specified user group does not exists",
}
#: What the guest has not that was named, or could not do.
_REFUSALS = {
    Begun.NO_ROOM: (InvocationStatus.ERROR, "ExecutionException"),
    Begun.NO_USER: (InvocationStatus.INVALID, "AccountNotExists"),
    Begun.NO_DIRECTORY: (InvocationStatus.INVALID, "DirectoryNotExists"),
    Begun.NO_GROUP: (InvocationStatus.INVALID, "UserGroupNotExists"),
    Begun.FILE_EXISTS: (InvocationStatus.INVALID, "FileAlreadyExists"),
    Begun.NO_FOLDER: (InvocationStatus.INVALID, "FilePathInvalid"),
    Begun.NO_MODE: (InvocationStatus.INVALID, "FileAuthorityInvalid"),
    Begun.NO_FILE: (InvocationStatus.ERROR, "FileCreateFail"),
}


@facts()
class ErrandFacts:
    """What is remembered of something that is done within a guest."""

    invocation: str
    instance: str
    boot: str = ""  #: Of the guest's boots the one in which it was begun; empty: it was not.


@dataclass(frozen=True)
class Errand:
    """What is to be done, and how far it is."""

    invocation: Invocation
    result: InvocationResult

    @property
    def has_begun(self) -> bool:
        """Whether it is known to have begun in the guest."""
        return self.result.started_at is not None

    @property
    def is_stopping(self) -> bool:
        """Whether somebody asked for its end."""
        return self.result.status == InvocationStatus.STOPPING


Begin = Callable[[Inside, Job[ErrandFacts], Errand], Begun]


def run(job: Job[ErrandFacts], begin: Begin) -> None:
    """Have a command run in the guest, and record how it ended. Raises NotYet while it runs."""
    found = _find(job)
    if found is None or (inside := _inside(job, found)) is None:
        return
    try:
        if found.has_begun or _begin(job, found, inside, begin, InvocationStatus.RUNNING):
            _attend(job, inside)
    except (AgentSilent, AgentRefused) as error:
        _wait_or_end(job, inside, error)


def send(job: Job[ErrandFacts], begin: Begin) -> None:
    """Have a file put into the guest. Raises NotYet while its agent does not answer."""
    found = _find(job)
    if found is None or (inside := _inside(job, found)) is None:
        return
    try:
        if _begin(job, found, inside, begin, InvocationStatus.SUCCESS):
            _forget(inside, job)
    except (AgentSilent, AgentRefused) as error:
        _wait_or_end(job, inside, error)


def give_up(job: Job[ErrandFacts], error: ApiError) -> None:
    """Record that it failed, for a reason of the host's."""

    def fail(tx: Transaction) -> None:
        invocations.end_of_task(tx, job.task.id, job.ports.clock(), "ExecutionException", str(error))
        job.fail(tx, error)

    job.write(fail)


def _find(job: Job[ErrandFacts]) -> Errand | None:
    """What the rows say of it; None when nothing is left to do but to tidy up."""
    with job.ports.database.read() as tx:
        result = results.find(tx, invocation=job.facts.invocation, instance=job.facts.instance)
        invocation = invocations.invocations.find(tx, id=job.facts.invocation)
    if result is None or invocation is None:
        return None
    if result.status in ENDED_INVOCATIONS:
        inside = job.ports.machines.inside(job.facts.instance) if job.facts.boot else None
        if inside is not None:
            _forget(inside, job)
        return None
    return Errand(invocation, result)


def _inside(job: Job[ErrandFacts], found: Errand) -> Inside | None:
    """The inside of the instance's guest; None when there is none, and then that is recorded."""
    inside = job.ports.machines.inside(job.facts.instance)
    if inside is not None:
        return inside
    with job.ports.database.read() as tx:
        is_there = instances.find(tx, id=job.facts.instance) is not None
    if found.has_begun or job.facts.boot:
        _end(job, InvocationStatus.ERROR, "ExecutionInterrupted" if is_there else "InstanceReleased")
    elif found.is_stopping:
        _end(job, InvocationStatus.CANCELLED, "")
    elif job.ports.machines.is_running(job.facts.instance):
        _end(job, InvocationStatus.ABORTED, "ClientNotRunning")
    else:
        _end(job, InvocationStatus.ABORTED, "InstanceNotRunning" if is_there else "InstanceReleased")
    return None


def _begin(job: Job[ErrandFacts], found: Errand, inside: Inside, begin: Begin, after: InvocationStatus) -> bool:
    """Have it begin in the guest; False when it did not, and then that is recorded."""
    if found.is_stopping and not job.facts.boot:
        _end(job, InvocationStatus.CANCELLED, "")
        return False
    boot = inside.boot()
    if job.facts.boot and job.facts.boot != boot:
        _end(job, InvocationStatus.ERROR, "ExecutionInterrupted")
        return False
    if not job.facts.boot:
        # Before, so that nobody begins it in another boot when it may have begun in this one.
        job.note(replace(job.facts, boot=boot))
        reach("errand.noted")
    begun = begin(inside, job, found)
    reach("errand.begun")
    if begun != Begun.WELL:
        _end(job, *_REFUSALS[begun])
        _forget(inside, job)
        return False
    job.write(lambda tx: _record_begin(tx, job, after))
    reach("errand.recorded")
    return True


def _record_begin(tx: Transaction, job: Job[ErrandFacts], after: InvocationStatus) -> None:
    row = results.find(tx, invocation=job.facts.invocation, instance=job.facts.instance)
    now = job.ports.clock()
    changes = {"started_at": now, "updated_at": now}
    if row is None:
        return
    if after in ENDED_INVOCATIONS:
        invocations.end(tx, row, after, now, changes)
    elif not invocations.move(tx, row, InvocationStatus.PENDING, after, changes):
        # It is to be stopped, which is done by whoever attends to it.
        results.update(tx, changes, invocation=row.invocation, instance=row.instance)


def _attend(job: Job[ErrandFacts], inside: Inside) -> None:
    """Wait some time for the command to end, and record how it did. Raises NotYet."""
    until, rest, is_told = time.monotonic() + _ATTENDED_S, _FIRST_REST_S, False
    while True:
        found = _find(job)
        if found is None:
            return
        progress = inside.look(found.invocation.id)
        if progress.why:
            _record_end(job, progress)
            _forget(inside, job)
            return
        if _is_overdue(job, found):
            _end(job, InvocationStatus.TIMEOUT, "ExecutionTimeout")
            return
        if found.is_stopping and not is_told:
            inside.stop(found.invocation.id)
            is_told = True
        if job.is_ending() or time.monotonic() > until:
            _record_output(job, found, progress)
            raise NotYet(_LOOK_AGAIN_S, _WAITS)
        time.sleep(rest)
        rest = min(2 * rest, _LONGEST_REST_S)


def _is_overdue(job: Job[ErrandFacts], found: Errand) -> bool:
    began = found.result.started_at or found.result.created_at
    return job.ports.clock() > began + found.invocation.timeout_s + OVERTIME_S


def _record_output(job: Job[ErrandFacts], found: Errand, progress: Progress) -> None:
    said = _said(progress)
    if said["output"] != found.result.output:
        where = {"invocation": job.facts.invocation, "instance": job.facts.instance}
        job.write(lambda tx: results.update(tx, said, **where))


def _said(progress: Progress) -> dict[str, object]:
    output = base64.b64encode(progress.output).decode()
    return {"output": output, "dropped": progress.printed - len(progress.output)}


def _record_end(job: Job[ErrandFacts], progress: Progress) -> None:
    code = progress.exit_code
    if progress.why == "lost":
        after, error = InvocationStatus.ERROR, "ExecutionInterrupted"
    elif progress.why == "timeout":
        after, error = InvocationStatus.TIMEOUT, "ExecutionTimeout"
    elif progress.why == "stopped":
        after, error = InvocationStatus.TERMINATED, ""
    else:
        after, error = (InvocationStatus.FAILED, "ExitCodeNonzero") if code else (InvocationStatus.SUCCESS, "")
    _end(job, after, error, **_said(progress), exit_code=code)


def _end(job: Job[ErrandFacts], after: InvocationStatus, error: str, **changes: object) -> None:
    """Record how it ended; of one that ended well or was stopped *error* is empty."""
    said = {"error_code": error, "error_info": _INFOS.get(error, ""), **changes}

    def record(tx: Transaction) -> None:
        row = results.find(tx, invocation=job.facts.invocation, instance=job.facts.instance)
        if row is not None:
            invocations.end(tx, row, _allowed(row, after), job.ports.clock(), said)

    job.write(record)
    reach("errand.ended")


def _allowed(row: InvocationResult, after: InvocationStatus) -> InvocationStatus:
    """What becomes of one that was to be stopped, and was not brought to the guest or was ended there by Kiln."""
    if row.status == InvocationStatus.STOPPING and after in (InvocationStatus.ABORTED, InvocationStatus.INVALID):
        return InvocationStatus.CANCELLED
    if row.status == InvocationStatus.RUNNING and after == InvocationStatus.TERMINATED:
        return InvocationStatus.ERROR  # Somebody in the guest did it, and nobody asked Kiln for it.
    return after


def _forget(inside: Inside, job: Job[ErrandFacts]) -> None:
    """Remove what the guest keeps of it. One that does not answer keeps it until its next boot."""
    with suppress(MachineError):
        inside.forget(job.facts.invocation)


def _wait_or_end(job: Job[ErrandFacts], inside: Inside, error: MachineError) -> None:
    """Try again, for as long as somebody may wait for the guest's agent. Raises NotYet."""
    found = _find(job)
    if found is None:
        return
    now = job.ports.clock()
    if not found.has_begun:
        is_late = now > found.result.created_at + min(DELIVERY_S, found.invocation.timeout_s)
    elif found.is_stopping and found.result.stopped_at is not None:
        is_late = now > found.result.stopped_at + OVERTIME_S
    else:
        is_late = _is_overdue(job, found)
    if not is_late:
        raise NotYet(_LOOK_AGAIN_S, str(error))
    silent = "ClientNotResponse" if inside.is_there() else "ClientNotRunning"
    if isinstance(error, AgentRefused):
        after = InvocationStatus.ERROR if found.has_begun else InvocationStatus.ABORTED
        _end(job, after, "ExecutionException", error_info=str(error))
    elif found.has_begun or job.facts.boot:
        _end(job, InvocationStatus.ERROR, silent)
    else:
        _end(job, InvocationStatus.ABORTED, silent)
