"""Change a snapshot's name, its description, or how long it is kept.

What is not sent stays as it is; an empty description takes it away. The days
that a snapshot is kept count from its creation and can only become more: one
that is kept for good stays so.
"""

from __future__ import annotations

from typing import Annotated, Any

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.rules import Accepted, Between, Clearable, Doc, Example, Name, Text
from kiln.declare.shapes import shape
from kiln.declare.states import SnapshotStatus
from kiln.ground.values import dataclass
from kiln.operations.errors.requests import NoAttributeToModify
from kiln.operations.errors.snapshots import InvalidSnapshotIdNotFound
from kiln.operations.params import NothingMore, OwnRegionId, SnapshotId
from kiln.operations.snapshots.parts.errors import (
    InvalidDescriptionMalformedOfSnapshot,
    InvalidRetentionDaysMalformed,
    InvalidSnapshotNameMalformed,
)
from kiln.store.snapshots import Snapshot, snapshots


class InvalidOperationDecreaseRetentionDaysUnsupported(ApiError):
    """The snapshot would be kept for fewer days than it is."""

    code = "InvalidOperation.DecreaseRetentionDaysUnsupported"
    message = "The requested operation to decrease retention days for the snapshot is not supported."


class InvalidSnapshotIdNotReadyOnChange(ApiError):
    """The snapshot is not accomplished."""

    code = "InvalidSnapshotId.NotReady"
    message = "The specified snapshot has not completed yet."


@shape
class Input:
    region_id: OwnRegionId = None
    snapshot_id: SnapshotId
    snapshot_name: Annotated[
        str | None,
        Name(2, 128, InvalidSnapshotNameMalformed, ("http://", "https://", "auto"), any_script=True),
        Example("testSnapshotName"),
        Doc("The name."),
    ] = None
    description: Annotated[
        str | None,
        Clearable(),
        Text(2, 256, InvalidDescriptionMalformedOfSnapshot, not_starting=("http://", "https://")),
        Example("testDescription"),
        Doc("The description. Empty: the snapshot has none any more."),
    ] = None
    retention_days: Annotated[
        int | None,
        Between(1, 65536, InvalidRetentionDaysMalformed),
        Example("30"),
        Doc("Days after its creation on which the snapshot is deleted by itself."),
    ] = None
    disable_instant_access: Annotated[
        bool | None,
        Accepted("Obsolete: every snapshot here can be used the instant it is accomplished."),
        Doc("Whether to end its instant access."),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    snapshot: str
    changes: dict[str, Any]


def check(call: Call, p: Input) -> Plan:
    wanted = {"name": p.snapshot_name, "description": p.description, "retention_days": p.retention_days}
    changes: dict[str, Any] = {column: value for column, value in wanted.items() if value is not None}
    if not changes and p.disable_instant_access is None:
        raise NoAttributeToModify
    snapshot = call.the(snapshots, p.snapshot_id, p.region_id, InvalidSnapshotIdNotFound)
    if snapshot.status != SnapshotStatus.ACCOMPLISHED:
        raise InvalidSnapshotIdNotReadyOnChange(snapshot_id=snapshot.id, status=snapshot.status)
    _check_retention(p, snapshot)
    if any(getattr(snapshot, column) != value for column, value in changes.items()):
        changes["modified_at"] = call.now
    return Plan(snapshot=snapshot.id, changes=changes)


def commit(call: Call, plan: Plan) -> NothingMore:
    if plan.changes:
        snapshots.update(call.tx, plan.changes, id=plan.snapshot)
    return NothingMore()


def _check_retention(p: Input, snapshot: Snapshot) -> None:
    if p.retention_days is None:
        return
    is_kept_for_good = snapshot.retention_days == 0
    if is_kept_for_good or p.retention_days < snapshot.retention_days:
        raise InvalidOperationDecreaseRetentionDaysUnsupported(
            snapshot_id=snapshot.id, retention_days=snapshot.retention_days
        )


modify_snapshot_attribute = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    errors=(
        NoAttributeToModify,
        InvalidSnapshotIdNotFound,
        InvalidSnapshotIdNotReadyOnChange,
        InvalidOperationDecreaseRetentionDaysUnsupported,
    ),
)
