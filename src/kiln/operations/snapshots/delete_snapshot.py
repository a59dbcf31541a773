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
from kiln.operations.steps import tombs
from kiln.store import tags
from kiln.store.snapshots import Snapshot, made, snapshots, stood_on


class MissingParameterSnapshotId(ApiError):
    """SnapshotId was not sent."""

    code = "MissingParameter"
    message = "The input parameter SnapshotId that is mandatory for processing this request is not supplied."


class InvalidSnapshotIdNotFoundOfDelete(ApiError):
    """No snapshot of that ID can be seen by this account."""

    code = "InvalidSnapshotId.NotFound"
    status = 404
    message = "The specified snapshot is not found."


class SnapshotCreatedImage(ApiError):
    """An image stands on the snapshot."""

    code = "SnapshotCreatedImage"
    status = 403
    message = "The snapshot has been used to create user defined image(s)."
    hint = "Delete the image first. DescribeImages with SnapshotId lists the images."


class SnapshotCreatedDisk(ApiError):
    """A disk was made of the snapshot, and Force is not set."""

    code = "SnapshotCreatedDisk"
    status = 403
    message = "The snapshot has been used to create disk(s)."
    hint = "Force=true deletes it all the same; the disk keeps its bytes."


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
    _, made_disks = made(call.tx, [snapshot.id])[snapshot.id]
    if stood_on(call.tx, [snapshot.id]):
        raise SnapshotCreatedImage(snapshot_id=snapshot.id)
    if made_disks and not p.force:
        raise SnapshotCreatedDisk(snapshot_id=snapshot.id)
    return snapshot


def commit(call: Call, plan: Snapshot) -> NothingMore:
    # A capture that is under way completes without its snapshot: cutting it short would have to be
    # made safe at every line, and it lasts milliseconds. What it captured has no name then.
    tombs.keep_snapshot(call.tx, call.ports, plan)
    snapshots.delete(call.tx, id=plan.id)
    tags.drop(call.tx, "snapshot", plan.id)
    return NothingMore()


delete_snapshot = Operation(
    input=Input,
    output=NothingMore,
    check=check,
    commit=commit,
    gives_back=True,
    errors=(InvalidSnapshotIdNotFoundOfDelete, SnapshotCreatedImage, SnapshotCreatedDisk),
)
