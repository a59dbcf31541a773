"""What can go wrong with bytes.

PoolError
VolumeMissing        the pool has no such volume
VolumeBusy           a child, a guest or a tool still needs it
VolumeBroken         the bytes are not those of a volume of ours
  VolumeLocked       ... or are encrypted with a key that is not here
EncryptionUnsupported  the pool keeps nothing encrypted
PoolFull             the file system or the pool has no room left
PoolClosed           nothing can be written to the pool, until somebody changes that
SourceRefused        bytes from outside that we will not read
  SourceTouched      ... yet: trying again may help
Cancelled            the caller asked to stop half-way
ToolFailed           a tool (qemu-img, ...) failed in another way
  PoolOutOfReach     ... or there is no way to the pool: nobody answers there, or lets us in
IdentityBroken       what says whose pool it is cannot be read
IdentityTooNew       ... or is of a newer Kiln
RecordsTooNew        what the pool keeps beside its volumes is of a newer Kiln
"""

from __future__ import annotations


class PoolError(Exception):
    """Base of everything that a pool raises on purpose."""


class VolumeMissing(PoolError):
    """The pool has no volume of that name."""


class VolumeBusy(PoolError):
    """Something still needs the volume as it is."""


class VolumeBroken(PoolError):
    """What lies under the name is not a whole volume of ours."""


class VolumeLocked(VolumeBroken):
    """The volume is encrypted, and what is needed to read it is not here; its bytes are whole, and are left alone."""


class EncryptionUnsupported(PoolError):
    """The pool is of a kind that keeps nothing encrypted."""


class PoolFull(PoolError):
    """There is no room; what was begun has been taken away again.

    *missing_bytes* says how much more there should be, where that is known.
    """

    def __init__(self, reason: str, missing_bytes: int | None = None) -> None:
        super().__init__(reason)
        self.missing_bytes = missing_bytes


class PoolClosed(PoolError):
    """The pool, or its file system, lets nothing be written; that lasts until the operator changes it."""


class SourceRefused(PoolError):
    """The bytes from outside are hostile, damaged or not what they were said to be.

    ``str(error)`` is one sentence for the person who sent them.
    """


class SourceTouched(SourceRefused):
    """The file was renamed, linked or given away while it was read; all may be well with its bytes, so begin again."""


class Cancelled(PoolError):
    """The caller's ``cancelled`` said yes; what was begun has been taken away again."""


class ToolFailed(PoolError):
    """A tool ended with an error that has no name here; its words are in the message.

    *status* is how it ended, None when it never ran; negative when a signal killed it.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class PoolOutOfReach(ToolFailed):
    """There is no way to the pool; the message says at which step it ended, and what that step goes by."""


class RecordsTooNew(PoolError):
    """What the pool keeps beside its volumes was written by a newer Kiln; this one would not understand it."""


class IdentityBroken(PoolError):
    """The file that says whose pool it is is empty, cut short or damaged."""


class IdentityTooNew(PoolError):
    """The file that says whose pool it is was written by a newer Kiln."""
