"""What Cloud Assistant was asked to do in guests: commands that are run, files that are sent, and what became of it.

An invocation and the sending of a file are one noun, since they are carried out
alike: a row says what is to be done, and a row for each instance how far it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import ColumnElement, Index, func, select

from kiln.declare.states import ENDED_INVOCATIONS, OPEN_INVOCATIONS, InvocationStatus, check_move
from kiln.ground.units import DAY_S
from kiln.ground.values import dataclass
from kiln.store import tags
from kiln.store.changes import Told
from kiln.store.conditions import Condition
from kiln.store.database import Transaction
from kiln.store.order import Key, Order, newest_first
from kiln.store.rows import Recorded, Rows

KEPT_S = 30 * DAY_S  #: DescribeInvocationResults: "execution information from the last 30 days".
COMMAND, FILE = "command", "file"
PARTIAL = "PartialFailed"  #: The status of an invocation that went well on some of its instances.


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """What is to be done. Empty text means: not given."""

    id: str
    account: str
    region: str
    kind: str  #: ``command`` or ``file``.
    status: str  #: Of all its instances together, as ``summed`` has it.
    name: str  #: Of the command, or of the file.
    description: str
    content: str  #: In Base64. It may hold a password.
    timeout_s: int
    resource_group: str
    created_at: float
    command: str  #: The ID of the command, whether that is kept or not; this and the next are of commands.
    type: str
    parameters: str  #: JSON.
    enable_parameter: bool
    working_dir: str
    username: str
    target_dir: str  #: This and the next are of files.
    content_type: str
    file_owner: str
    file_group: str
    file_mode: str
    overwrite: bool


@dataclass(frozen=True, kw_only=True)
class InvocationResult:
    """How it went on one instance."""

    invocation: str
    instance: str
    account: str
    region: str
    kind: str
    command: str
    task: str  #: That carries it out.
    status: str
    exit_code: int | None  #: Of a command that ended by itself.
    output: str  #: In Base64: the beginning and the end of it.
    dropped: int  #: Bytes of the output that are not kept.
    error_code: str
    error_info: str
    created_at: float
    updated_at: float
    started_at: float | None
    finished_at: float | None
    stopped_at: float | None  #: When it was asked to be.


@dataclass(frozen=True, kw_only=True)
class Activity:
    """How much was asked of one guest, as far as it is told of."""

    total: int
    open: int  #: Of that, what is still to be done.
    last_at: float | None  #: When it was asked for something last.


invocations: Rows[Invocation] = Rows(
    "invocations",
    Invocation,
    recorded=Recorded("invocation"),
    told=Told("invocation"),
    indexes=[
        Index("invocations_list", "account", "region", "kind", "created_at", "id"),
        Index("invocations_age", "created_at"),
    ],
)
results: Rows[InvocationResult] = Rows(
    "invocation_results",
    InvocationResult,
    key=("invocation", "instance"),
    recorded=Recorded("invocation", "invocation"),
    indexes=[
        Index("invocation_results_list", "account", "region", "kind", "created_at"),
        Index("invocation_results_instance", "instance", "status"),
        Index("invocation_results_task", "task"),
    ],
)

NEWEST: Order = newest_first(invocations.c)
#: Of one invocation by instance.
NEWEST_RESULTS: Order = (
    Key(results.c.created_at, lambda row: row.created_at, float, falls=True),
    Key(results.c.invocation, lambda row: row.invocation, falls=True),
    Key(results.c.instance, lambda row: row.instance),
)


def summed(statuses: Iterable[str]) -> str:
    """The status of an invocation, by those on its instances (DescribeInvocations, InvocationStatus)."""
    found = set(statuses)
    for status in (InvocationStatus.STOPPING, InvocationStatus.PENDING, InvocationStatus.RUNNING):
        if status in found:
            return status.value
    stopped = {InvocationStatus.CANCELLED, InvocationStatus.TERMINATED}
    if not found - stopped:
        return "Stopped"
    if found - stopped == {InvocationStatus.SUCCESS}:
        return InvocationStatus.SUCCESS.value
    return PARTIAL if InvocationStatus.SUCCESS in found else InvocationStatus.FAILED.value


#: In which of these an invocation has gone through, well or not: what it is asked for as Finished.
FINISHED = (InvocationStatus.SUCCESS.value, InvocationStatus.FAILED.value, PARTIAL)


def in_status(asked: str) -> Condition:
    """That an invocation is in the status that is asked for, of all its instances together."""
    return invocations.c.status.in_(FINISHED) if asked == "Finished" else invocations.c.status == asked


def add(tx: Transaction, invocation: Invocation, rows: Sequence[InvocationResult]) -> None:
    """Record what is to be done, and on which instances."""
    invocations.insert(tx, invocation)
    results.insert(tx, *rows)


def move(
    tx: Transaction,
    row: InvocationResult,
    before: InvocationStatus,
    after: InvocationStatus,
    changes: Mapping[str, object],
) -> bool:
    """Move a result, and its invocation with it; False when it is not in *before*."""
    check_move(before, after)
    # First the invocation, so that two who move results of one see each other's.
    tx.execute(select(invocations.c.id).where(invocations.c.id == row.invocation).with_for_update())
    where = {"invocation": row.invocation, "instance": row.instance, "status": before}
    found = results.update(tx, {"status": after, **changes}, **where)
    statuses = [one.status for one in results.all(tx, invocation=row.invocation)]
    invocations.update(tx, {"status": summed(statuses)}, id=row.invocation)
    return found > 0


def end(
    tx: Transaction,
    result: InvocationResult,
    after: InvocationStatus,
    now: float,
    changes: Mapping[str, object],
) -> None:
    """Record how it ended on an instance, unless that is recorded already."""
    row = results.find(tx, invocation=result.invocation, instance=result.instance)
    if row is not None and row.status not in ENDED_INVOCATIONS:
        ended = {"finished_at": now, "updated_at": now, **changes}
        move(tx, row, InvocationStatus(row.status), after, ended)


def end_of_task(tx: Transaction, task: str, now: float, code: str, info: str) -> None:
    """Record that what a task was to do in a guest has failed."""
    for row in results.all(tx, task=task):
        end(tx, row, InvocationStatus.ERROR, now, {"error_code": code, "error_info": info})


def on_instance(instance: str) -> Condition:
    """That an invocation is on that instance."""
    return invocations.c.id.in_(select(results.c.invocation).where(results.c.instance == instance))


def activity(tx: Transaction, instance: str) -> Activity:
    """How much is asked of the instance's guest."""
    last = tx.execute(select(func.max(results.c.created_at)).where(results.c.instance == instance)).scalar()
    return Activity(
        total=results.count(tx, instance=instance),
        open=results.count(tx, results.c.status.in_(OPEN_INVOCATIONS), instance=instance),
        last_at=last,
    )


def among_these(invocation: ColumnElement[str], conditions: Sequence[Condition]) -> Condition:
    """That the invocation that a column names meets the conditions."""
    return invocation.in_(select(invocations.c.id).where(*conditions))


def results_of(tx: Transaction, names: Sequence[str]) -> dict[str, list[InvocationResult]]:
    """The results of each of these invocations, by instance."""
    found: dict[str, list[InvocationResult]] = {name: [] for name in names}
    for row in results.among(tx, "invocation", names):
        found[row.invocation].append(row)
    return found


def forget(tx: Transaction, before: float) -> list[str]:
    """Remove what was asked for before a moment and has ended; returns the invocations."""
    old = invocations.all(tx, invocations.c.created_at < before, invocations.c.status.not_in(OPEN_INVOCATIONS))
    for row in old:
        tags.drop(tx, "invocation", row.id)
        results.delete(tx, invocation=row.id)
        invocations.delete(tx, id=row.id)
    return [row.id for row in old]
