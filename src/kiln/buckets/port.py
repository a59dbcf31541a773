"""The port behind which objects of buckets lie."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol

#: OSS's rule for the names of buckets, but for its least length of 3, as a regular expression for the whole name.
BUCKET_NAME = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"


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
