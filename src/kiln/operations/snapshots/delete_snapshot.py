"""Delete a snapshot.

While an image names the snapshot, it can't be deleted: delete the image first.
While a disk that was made of it is there, only Force deletes it; the disk stays
as it is. A snapshot that is still progressing is cancelled. Its tags go with
it. The space that nothing else needs is given back shortly after.
"""

from __future__ import annotations

from typing import Annotated

from kiln.calls.call import Call
from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.rules import Accepted, Doc, Example, Missing
from kiln.declare.shapes import shape
from kiln.operations.params import NothingMore, SnapshotId
from kiln.operations.steps import deleting
from kiln.operations.steps.deleting import SnapshotCreatedDisk, SnapshotCreatedImage
from kiln.store.snapshots import Snapshot, snapshots


class MissingParameterSnapshotId(ApiError):
    """SnapshotId was not sent."""

    code = "MissingParameter"
    message = "The input parameter SnapshotId that is mandatory for processing this request is not supplied."


class InvalidSnapshotIdNotFoundOfDelete(ApiError):
    """No snapshot of that ID can be seen by this account."""

    code = "InvalidSnapshotId.NotFound"
    status = 404
    message = "The specified snapshot is not found."


@shape
class Input:
    region_id: Annotated[
        str | None,
        Accepted("The ID finds it in any region."),
        Example("cn-qingdao-env17-d01"),
        Doc("A region. SDKs send their client's own, also for a snapshot of another, as Packer does."),
    ] = None
    snapshot_id: Annotated[SnapshotId, Missing(MissingParameterSnapshotId)]
    force: Annotated[bool, Doc("Delete it although disks were made of it.")] = False


def check(call: Call, p: Input) -> Snapshot:
    snapshot = call.the(snapshots, p.snapshot_id, None, InvalidSnapshotIdNotFoundOfDelete)
    refusal = deleting.refusals(call.tx, [snapshot.id], force=p.force).get(snapshot.id)
    if refusal is not None:
        raise refusal
    return snapshot


def commit(call: Call, plan: Snapshot) -> NothingMore:
    deleting.delete(call.tx, call.ports, plan)
    return NothingMore()


delete_snapshot = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    gives_back=True,
    errors=(InvalidSnapshotIdNotFoundOfDelete, SnapshotCreatedImage, SnapshotCreatedDisk),
)
