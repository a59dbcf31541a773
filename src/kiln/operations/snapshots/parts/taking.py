"""What a snapshot of a disk and a group of an instance's disks share: how they are taken, and what has no effect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from kiln.calls.call import Job
from kiln.declare.errors import ApiError
from kiln.declare.operation import Idempotence
from kiln.declare.rules import Accepted, Doc
from kiln.operations.snapshots.parts.errors import (
    IdempotentParameterMismatchOfSnapshot,
    InvalidClientTokenMalformedOfSnapshot,
)
from kiln.operations.steps import capture
from kiln.operations.steps.capture import CaptureFacts
from kiln.store.database import Transaction

_OBSOLETE = Accepted("Obsolete: every snapshot here can be used the instant it is accomplished.")

InstantAccess = Annotated[bool | None, _OBSOLETE, Doc("Whether it can be used before it is accomplished.")]
InstantAccessRetentionDays = Annotated[int | None, _OBSOLETE, Doc("Days of that.")]
SnapshotCategory = Annotated[str | None, _OBSOLETE, Doc("The category of the snapshot.")]
StorageLocationArn = Annotated[
    str | None, Accepted("Snapshots lie in the same pool as the disks."), Doc("Where the snapshots are kept.")
]

IDEMPOTENCE = Idempotence(
    mismatch=IdempotentParameterMismatchOfSnapshot, malformed=InvalidClientTokenMalformedOfSnapshot
)


def take(job: Job[CaptureFacts]) -> None:
    """Capture the disks at one instant, and record it with the end of the task."""
    consistency = capture.freeze(job)

    def settle(tx: Transaction) -> None:
        capture.settle(tx, job, consistency)
        job.finish(tx)

    job.write(settle)


def give_up(job: Job[CaptureFacts], error: ApiError, carry_out: Callable[[Job[CaptureFacts]], None]) -> None:
    """Record that nothing was captured; where it was, *carry_out* completes it. Raises NotYet while nobody can tell."""
    if capture.must_complete(job, lambda _: None):
        carry_out(job)
        return
    job.write(lambda tx: capture.abandon(tx, job, error))
