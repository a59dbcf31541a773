"""What can befall a task from outside, and what becomes of it then.

A machine may be slow, hung, broken or in the hands of whoever broke in, the
pool may be full or closed, a file of the host unreadable, and the database may
be kept busy by another process. None of that is a bug of ours, and none is the caller's fault: it is
logged without a traceback, and the task that has to end by it ends with an
error that says what it was.
"""

from __future__ import annotations

import errno
import os

from kiln.calls.errors import (
    ServiceUnavailableHostFailed,
    ServiceUnavailableMachineAstray,
    ServiceUnavailableMachineFailed,
    ServiceUnavailableNoRoom,
    ServiceUnavailablePoolClosed,
    ServiceUnavailablePoolDamaged,
)
from kiln.declare.errors import ApiError, InternalError, ServiceUnavailable
from kiln.ground.values import dataclass
from kiln.pools.errors import PoolClosed, PoolFull, VolumeBroken, VolumeMissing
from kiln.pools.guests import GuestAstray, GuestError
from kiln.store.errors import DatabaseBusy, DatabaseDown, DatabaseFull


@dataclass(frozen=True)
class Fault:
    """What befell a task."""

    error: ApiError  #: What it ends with, once it is not tried again.
    message: str = ""  #: Why it waits for the next try, to whoever asks.
    lasts: bool = False  #: Until somebody changes something, so that trying again helps nobody.
    is_waited_for: bool = False  #: It passes by itself, and no try is used up by it.
    is_foreseen: bool = True  #: Else it is ours, and the log has its traceback.


UNFORESEEN = Fault(
    InternalError(),
    "The last try failed in a way that nobody foresaw. It is tried again; the log of the service says more.",
    is_foreseen=False,
)

#: What stays as it is until somebody changes something, and how it is told.
_LASTING: dict[type[Exception], type[ApiError]] = {
    PoolClosed: ServiceUnavailablePoolClosed,
    PoolFull: ServiceUnavailableNoRoom,
    VolumeBroken: ServiceUnavailablePoolDamaged,
    GuestAstray: ServiceUnavailableMachineAstray,
}


#: What a file system, a disk or the limits of the system say.
_OF_THE_HOST = frozenset(
    {
        *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EUCLEAN, errno.ESTALE),
        *(errno.ENOTCONN, errno.EHOSTDOWN, errno.ENODEV, errno.ENXIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM),
        *(errno.EAGAIN, errno.EBUSY, errno.ETXTBSY, errno.EFBIG, errno.ESHUTDOWN, errno.EREMOTEIO),
    }
)


def fault_of(error: BaseException) -> Fault:
    """What *error*, which is no ApiError, means for the task that it was raised in."""
    reason = str(error)
    lasting = next((told for kind, told in _LASTING.items() if isinstance(error, kind)), None)
    if lasting is not None:
        return Fault(lasting(reason=reason), lasts=True)
    if isinstance(error, VolumeMissing):
        lost = ServiceUnavailablePoolDamaged(reason=f"there is no volume {reason} any more")
        return Fault(lost, f"{lost} It is tried again.", is_foreseen=False)
    if isinstance(error, GuestError):
        return Fault(
            ServiceUnavailableMachineFailed(reason=reason),
            f"The machine did not do what it was told, and is told again: {reason}",
        )
    if isinstance(error, OSError) and error.errno in _OF_THE_HOST:
        what = os.strerror(error.errno)  # Not the words of the error, in which paths of the host are.
        return Fault(ServiceUnavailableHostFailed(reason=what), f"The host failed, and it is tried again: {what}.")
    return _fault_of_database(error)


def _fault_of_database(error: BaseException) -> Fault:
    if isinstance(error, DatabaseBusy):
        return Fault(ServiceUnavailable(), "Another process keeps the database busy.", is_waited_for=True)
    if isinstance(error, DatabaseDown):
        return Fault(ServiceUnavailable(), "Nothing can be written to the database.", is_waited_for=True)
    if isinstance(error, DatabaseFull):
        return Fault(ServiceUnavailable(), "The database has no room; it is tried again.")
    return UNFORESEEN
