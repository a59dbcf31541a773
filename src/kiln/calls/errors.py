"""How a task can fail by no fault of its caller, whatever it was to do."""

from __future__ import annotations

from kiln.declare.errors import ApiError


class TaskUnreadable(ApiError):
    """The task was written by another version of Kiln, or is damaged. Seen in DescribeTaskAttribute and in images."""

    code = "TaskUnreadable"
    status = 500
    message = "The task can't be carried out, since what it is to do can't be read: {reason}."
    hint = "What it had begun was completed or taken back, as its state says: ask again where it was taken back."


class ServiceUnavailablePoolClosed(ApiError):
    """Nothing can be written to the pool until its operator changes that. Seen in the task and in the log."""

    code = "ServiceUnavailable"
    status = 503
    message = "The pool can't be written: {reason}"
    hint = "`kiln doctor` on the host of the service says more. Ask again when its operator has mended that."


class ServiceUnavailablePoolDamaged(ApiError):
    """A file of the pool is gone, was cut or makes no sense. Seen in the log, and in the task where there is one."""

    code = "ServiceUnavailable"
    status = 503
    message = "The pool is damaged: {reason}."
    hint = "`kiln fsck --no-repair` on the host of the service says what is lost; a backup may have it."


class ServiceUnavailableHostFailed(ApiError):
    """A file system, a disk or a limit of the host failed each time. Seen in the task and in the log."""

    code = "ServiceUnavailable"
    status = 503
    message = "The host of the service failed: {reason}"
    hint = "`kiln doctor` there, and the log of the service, say more. Ask again when its operator has mended that."


class ServiceUnavailableMachineAstray(ApiError):
    """A machine's files can't be changed under it until it was stopped and started. Seen in the task and in the log."""

    code = "ServiceUnavailable"
    status = 503
    message = "The running machine can't go over to other files: {reason}"
    hint = "Stop the instance and start it: its next machine begins with the right files. Then ask again."


class ServiceUnavailableMachineFailed(ApiError):
    """A machine did not answer, or refused what it was told, each time. Seen in the task and in the log."""

    code = "ServiceUnavailable"
    status = 503
    message = "The machine did not do what it was told: {reason}"
    hint = "Stop the instance, with force where it does not go, and start it; the log of the service says more."


class ServiceUnavailableHostSilent(ApiError):
    """The host that has the instance could not be asked: it is down, cut off, or too busy. Of several hosts alone."""

    code = "ServiceUnavailable"
    status = 503
    retry_after_s = 2
    message = "The host {host}, which the instance is on, could not be asked: {reason}."


class ServiceUnavailableNoRoom(ApiError):
    """The pool has no room for a disk. Seen in the task and in the log, not in an answer."""

    code = "ServiceUnavailable"
    status = 503
    message = "There is no room left in the pool: {reason}"
    hint = (
        "Delete what nobody needs, or give the pool's file system more room, and ask again: `kiln status` on the host "
        "of the service shows what takes space."
    )
