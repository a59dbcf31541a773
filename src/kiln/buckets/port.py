"""The port behind which objects of buckets lie."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol

#: OSS's rule for the names of buckets, but for its least length of 3, as a regular expression for the whole name.
BUCKET_NAME = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"

#: What the name of a file begins with that is no object, and no object's name may: one that is being written.
PARTIAL = ".tmp-"

#: OSS's rule for the names of objects: so many bytes of UTF-8, and neither slash nor backslash first.
NAME_MOST_BYTES = 1023
_bucket_name = re.compile(BUCKET_NAME).fullmatch
_unspoken = re.compile(r"[\x00-\x1f\x7f\ufffe\uffff]").search


def is_bucket_name(name: str) -> bool:
    """Whether a bucket may have the name."""
    return _bucket_name(name) is not None


def is_object_name(name: str) -> bool:
    """Whether an object may have the name here: by OSS's rule, and by what a path of folders can be.

    So it has no empty part, which would be another name of the same file, and
    none that leads up; nor control characters and the like, which no answer in XML can hold.
    """
    parts = name.split("/")
    if _unspoken(name) or name.startswith(("/", "\\")) or any(part in ("", ".", "..") for part in parts):
        return False
    try:
        encoded = name.encode()
    except UnicodeEncodeError:
        return False
    return len(encoded) <= NAME_MOST_BYTES and not any(part.startswith(PARTIAL) for part in parts)


class BucketError(Exception):
    """Base of what buckets raise on purpose."""


class BucketMissing(BucketError):
    """There is no such bucket."""


class BucketClosed(BucketError):
    """The service may not read or write the bucket, or the object; that lasts until the operator changes it."""


class ObjectMissing(BucketError):
    """The bucket has no such object."""


class ObjectRefused(BucketError):
    """The name, or what lies under it, is not an object (a way out of the bucket, a link, a folder)."""


class ObjectIsFolder(ObjectRefused):
    """Objects may lie below the name, but none under it."""


class FactsRefused(BucketError):
    """What the writer says of an object is more than can be kept beside it."""


class BucketFull(BucketError):
    """There is no room on the disk that the bucket lies on."""


class ObjectExists(BucketError):
    """There is such an object, and it was not to be written over."""


class UploadMissing(BucketError):
    """There is no such upload of that object, or it is over."""


class PartRefused(BucketError):
    """The parts do not make an object; ``code`` is OSS's word for why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class BucketNotEmpty(BucketError):
    """There is something in the bucket."""


class Buckets(Protocol):
    """Objects by bucket and name."""

    def has(self, bucket: str) -> bool:
        """Whether there is such a bucket. Raises BucketClosed."""

    def check_writable(self, bucket: str) -> None:
        """Raise BucketMissing or BucketClosed, if no object can be written to the bucket."""

    def size(self, bucket: str, name: str) -> int:
        """An object's bytes. Raises BucketMissing, BucketClosed, ObjectMissing, ObjectRefused."""

    def fetched(self, bucket: str, name: str) -> AbstractContextManager[BinaryIO]:
        """An open regular file that holds the object's bytes, to read from for as long as the context lasts.

        Open, and not a path, so that all who read it read one file, whatever its name leads to meanwhile.
        Raises BucketMissing, BucketClosed, ObjectMissing, ObjectRefused.
        """

    def stored(self, bucket: str, name: str) -> AbstractContextManager[Path]:
        """A local path to write a new object to; on leaving without an error it becomes the object, durable and whole.

        Raises BucketMissing, BucketClosed, ObjectRefused.
        """
