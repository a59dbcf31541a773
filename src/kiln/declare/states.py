"""The states of everything that has states, and the moves that are allowed.

A move is made by SQL that says ``WHERE status = :from``; what is not in a table
here cannot happen. ``docs/internals/states.md`` is generated from this file.
Sources: ecs-api.md 13, docs/internals/states.md.
"""

from __future__ import annotations

from enum import StrEnum


class ImageStatus(StrEnum):
    """An image."""

    CREATING = "Creating"  #: Its snapshots or its import are not finished.
    AVAILABLE = "Available"  #: Whole; boots.
    CREATE_FAILED = "CreateFailed"  #: Will never be available; may be deleted.
    DEPRECATED = "Deprecated"  #: Usable by its ID, skipped by its family.
    WAITING = "Waiting"  #: Queued; never set here, since work starts at once. Accepted in filters.
    UNAVAILABLE = "UnAvailable"  #: Never set here. Accepted in filters.


class SnapshotStatus(StrEnum):
    """A snapshot."""

    PROGRESSING = "progressing"  #: Its instant has not been captured yet.
    ACCOMPLISHED = "accomplished"  #: Whole and immutable.
    FAILED = "failed"  #: Will never hold anything; may be deleted.


class DiskStatus(StrEnum):
    """A disk."""

    CREATING = "Creating"  #: Its volume is being made.
    AVAILABLE = "Available"  #: Whole and attached to nothing.
    ATTACHING = "Attaching"  #: Being plugged in.
    IN_USE = "In_use"  #: Attached.
    DETACHING = "Detaching"  #: Being unplugged.
    REINITING = "ReIniting"  #: Being put back to a snapshot, or to what it was made of.


class InstanceStatus(StrEnum):
    """An instance."""

    PENDING = "Pending"  #: Its disks are being made.
    STARTING = "Starting"  #: Its machine is being started.
    RUNNING = "Running"  #: Its machine runs.
    STOPPING = "Stopping"  #: Its machine is being stopped.
    STOPPED = "Stopped"  #: No machine.


class VpcStatus(StrEnum):
    """A VPC."""

    PENDING = "Pending"  #: Never set here, since it is ready in the call that makes it. Accepted in filters.
    AVAILABLE = "Available"  #: Ready.


class VSwitchStatus(StrEnum):
    """A VSwitch."""

    PENDING = "Pending"  #: Never set here, as of a VPC.
    AVAILABLE = "Available"  #: Ready.


class EipStatus(StrEnum):
    """An elastic IP address. What it is on its way to it has reached with the answer, so only two are ever set."""

    ASSOCIATING = "Associating"  #: Never set here. Accepted in filters.
    UNASSOCIATING = "Unassociating"  #: Never set here. Accepted in filters.
    IN_USE = "InUse"  #: Leads to an instance.
    AVAILABLE = "Available"  #: Leads nowhere.
    RELEASING = "Releasing"  #: Never set here. Accepted in filters.


class TaskStatus(StrEnum):
    """A task, as DescribeTasks shows it."""

    PROCESSING = "Processing"  #: Queued or being carried out.
    FINISHED = "Finished"  #: Done.
    FAILED = "Failed"  #: Given up, or cancelled.


class InvocationStatus(StrEnum):
    """What Cloud Assistant does on one instance, as DescribeInvocationResults shows it."""

    PENDING = "Pending"  #: It has not begun in the guest.
    RUNNING = "Running"  #: It runs there.
    STOPPING = "Stopping"  #: It is to be ended there.
    SUCCESS = "Success"  #: It ended by itself, with 0.
    FAILED = "Failed"  #: It ended by itself, with another code.
    ABORTED = "Aborted"  #: It could not be brought to the guest.
    INVALID = "Invalid"  #: What it names is not in the guest.
    ERROR = "Error"  #: It began, and nobody knows how it ended.
    TIMEOUT = "Timeout"  #: It was ended since its time was up.
    CANCELLED = "Cancelled"  #: It was stopped before it began.
    TERMINATED = "Terminated"  #: It was stopped while it ran.


#: How a status reads to who looks at it: as it should be, at rest though nothing is served by it, or never to be well.
WELL = frozenset(
    {ImageStatus.AVAILABLE, SnapshotStatus.ACCOMPLISHED, DiskStatus.AVAILABLE, DiskStatus.IN_USE}
    | {InstanceStatus.RUNNING, TaskStatus.FINISHED, EipStatus.IN_USE, InvocationStatus.SUCCESS}
)
IDLE = frozenset(
    {InstanceStatus.STOPPED, ImageStatus.DEPRECATED, InvocationStatus.CANCELLED, InvocationStatus.TERMINATED}
)
BROKEN = frozenset(
    {ImageStatus.CREATE_FAILED, ImageStatus.UNAVAILABLE, SnapshotStatus.FAILED, TaskStatus.FAILED}
    | {InvocationStatus.FAILED, InvocationStatus.ABORTED, InvocationStatus.INVALID}
    | {InvocationStatus.ERROR, InvocationStatus.TIMEOUT}
)
#: In every other it is on its way.
RESTING = WELL | IDLE | BROKEN

#: The statuses in which an image boots. The real service may say Usable later than Available, but never earlier.
USABLE = (ImageStatus.AVAILABLE, ImageStatus.DEPRECATED)

#: In these something is still to be done.
OPEN_INVOCATIONS = frozenset({InvocationStatus.PENDING, InvocationStatus.RUNNING, InvocationStatus.STOPPING})
ENDED_INVOCATIONS = frozenset(InvocationStatus) - OPEN_INVOCATIONS

MOVES: dict[type[StrEnum], dict[StrEnum, tuple[StrEnum, ...]]] = {
    ImageStatus: {
        ImageStatus.CREATING: (ImageStatus.AVAILABLE, ImageStatus.CREATE_FAILED),
        ImageStatus.AVAILABLE: (ImageStatus.DEPRECATED,),
        ImageStatus.DEPRECATED: (ImageStatus.AVAILABLE,),
    },
    SnapshotStatus: {
        SnapshotStatus.PROGRESSING: (SnapshotStatus.ACCOMPLISHED, SnapshotStatus.FAILED),
    },
    DiskStatus: {
        DiskStatus.CREATING: (DiskStatus.AVAILABLE, DiskStatus.IN_USE),
        DiskStatus.AVAILABLE: (DiskStatus.ATTACHING, DiskStatus.REINITING),
        DiskStatus.ATTACHING: (DiskStatus.IN_USE, DiskStatus.AVAILABLE),
        DiskStatus.IN_USE: (DiskStatus.DETACHING, DiskStatus.REINITING, DiskStatus.AVAILABLE),
        DiskStatus.DETACHING: (DiskStatus.AVAILABLE, DiskStatus.IN_USE),
        DiskStatus.REINITING: (DiskStatus.AVAILABLE, DiskStatus.IN_USE),
    },
    InstanceStatus: {
        InstanceStatus.PENDING: (InstanceStatus.STARTING, InstanceStatus.STOPPED),
        InstanceStatus.STARTING: (InstanceStatus.RUNNING, InstanceStatus.STOPPED),
        InstanceStatus.RUNNING: (InstanceStatus.STOPPING, InstanceStatus.STARTING, InstanceStatus.STOPPED),
        InstanceStatus.STOPPING: (InstanceStatus.STOPPED, InstanceStatus.RUNNING),
        # A Stopped instance is Stopping while it is being released, so that nothing else is begun with it, and Running
        # when its machine is found to live.
        InstanceStatus.STOPPED: (InstanceStatus.STARTING, InstanceStatus.STOPPING, InstanceStatus.RUNNING),
    },
    EipStatus: {
        EipStatus.AVAILABLE: (EipStatus.IN_USE,),
        EipStatus.IN_USE: (EipStatus.AVAILABLE,),
    },
    TaskStatus: {
        TaskStatus.PROCESSING: (TaskStatus.FINISHED, TaskStatus.FAILED),
    },
    InvocationStatus: {
        # A file that was sent never shows as Running: it is there, or it is not.
        InvocationStatus.PENDING: (
            InvocationStatus.RUNNING,
            InvocationStatus.STOPPING,
            InvocationStatus.SUCCESS,
            InvocationStatus.ABORTED,
            InvocationStatus.INVALID,
            InvocationStatus.ERROR,
        ),
        InvocationStatus.RUNNING: (
            InvocationStatus.STOPPING,
            InvocationStatus.SUCCESS,
            InvocationStatus.FAILED,
            InvocationStatus.TIMEOUT,
            InvocationStatus.ERROR,
        ),
        # It may have ended by itself, or never have begun, before anybody came to end it.
        InvocationStatus.STOPPING: (
            InvocationStatus.TERMINATED,
            InvocationStatus.CANCELLED,
            InvocationStatus.SUCCESS,
            InvocationStatus.FAILED,
            InvocationStatus.TIMEOUT,
            InvocationStatus.ERROR,
        ),
    },
}


class IllegalMove(Exception):
    """A move that no table allows was asked for: a bug of ours."""


def check_move(before: StrEnum, after: StrEnum) -> None:
    """Raise IllegalMove unless the table allows *before* → *after*."""
    if after not in MOVES[type(before)].get(before, ()):
        raise IllegalMove(f"{type(before).__name__}: {before} -> {after}")
