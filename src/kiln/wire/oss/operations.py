"""What is served of OSS, declared: by what a request is known, what it may say, and what answers it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from kiln.ground.values import dataclass
from kiln.wire.doors.door import Answer
from kiln.wire.oss import of_buckets, of_objects, of_uploads
from kiln.wire.oss.call import Incoming, OssCall, Outgoing
from kiln.wire.oss.errors import InvalidArgument, MethodNotAllowed, NotServed
from kiln.wire.oss.proof import OF_PROOF
from kiln.wire.oss.request import OssRequest
from kiln.wire.signatures.oss import SUBRESOURCES

Level = Literal["service", "bucket", "object"]

#: Headers that any request may have.
_ALWAYS = frozenset({"x-oss-content-sha256", "x-oss-date", "x-oss-security-token", "x-oss-user-agent"})
_OF_USER = "x-oss-meta-"

#: What a bucket or an object may be asked to be, and is anyway.
_ONLY = {"x-oss-acl": ("private",), "x-oss-object-acl": ("default", "private"), "x-oss-storage-class": ("Standard",)}

_AS_WRITTEN = ("x-oss-forbid-overwrite", "x-oss-meta-*", "x-oss-object-acl", "x-oss-storage-class")
_LISTING = ("delimiter", "encoding-type", "max-keys", "prefix")
_IN_PLACE = tuple(
    f"response-{name}"
    for name in (
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-type",
        "expires",
    )
)


@dataclass(frozen=True, kw_only=True)
class OssOperation:
    """One of them. It has one of *answer*, *take* and *give*."""

    name: str
    method: str
    on: Level
    by: tuple[str, ...] = ()  #: Parameters by which it is known.
    params: tuple[str, ...] = ()  #: Others that it takes.
    headers: tuple[str, ...] = ()  #: ``x-oss-`` headers that it takes.
    is_read: bool = False  #: Whether it leaves everything as it is: who may read the bucket may ask it.
    needs_bucket: bool = True
    is_long: bool = False  #: Whether its answer may wait for as many bytes as an object has.
    answer: Callable[[OssCall], Answer] | None = None  #: What is known at once; its body is short.
    take: Callable[[OssCall, int | None], Incoming] | None = None  #: Bytes, as many as the request tells.
    give: Callable[[OssCall], Outgoing | Answer] | None = None


OPERATIONS: tuple[OssOperation, ...] = (
    OssOperation(
        name="ListBuckets",
        method="GET",
        on="service",
        params=("marker", "max-keys", "prefix"),
        is_read=True,
        needs_bucket=False,
        answer=of_buckets.list_buckets,
    ),
    OssOperation(
        name="PutBucket",
        method="PUT",
        on="bucket",
        headers=("x-oss-acl", "x-oss-storage-class"),
        needs_bucket=False,
        answer=of_buckets.put_bucket,
    ),
    OssOperation(name="DeleteBucket", method="DELETE", on="bucket", answer=of_buckets.delete_bucket),
    OssOperation(
        name="GetBucketInfo",
        method="GET",
        on="bucket",
        by=("bucketInfo",),
        is_read=True,
        answer=of_buckets.get_bucket_info,
    ),
    OssOperation(
        name="GetBucketLocation",
        method="GET",
        on="bucket",
        by=("location",),
        is_read=True,
        answer=of_buckets.get_bucket_location,
    ),
    OssOperation(name="GetBucketAcl", method="GET", on="bucket", by=("acl",), is_read=True, answer=of_buckets.get_acl),
    OssOperation(
        name="ListObjects",
        method="GET",
        on="bucket",
        params=(*_LISTING, "marker"),
        is_read=True,
        answer=of_buckets.list_objects,
    ),
    OssOperation(
        name="ListObjectsV2",
        method="GET",
        on="bucket",
        by=("list-type",),
        params=(*_LISTING, "continuation-token", "fetch-owner", "start-after"),
        is_read=True,
        answer=of_buckets.list_objects_v2,
    ),
    OssOperation(
        name="DeleteMultipleObjects",
        method="POST",
        on="bucket",
        by=("delete",),
        params=("encoding-type",),
        answer=of_buckets.delete_multiple_objects,
    ),
    OssOperation(
        name="ListMultipartUploads",
        method="GET",
        on="bucket",
        by=("uploads",),
        params=("delimiter", "encoding-type", "key-marker", "max-uploads", "prefix", "upload-id-marker"),
        is_read=True,
        answer=of_uploads.list_uploads,
    ),
    OssOperation(name="PutObject", method="PUT", on="object", headers=_AS_WRITTEN, take=of_objects.IncomingObject),
    OssOperation(
        name="GetObject",
        method="GET",
        on="object",
        params=_IN_PLACE,
        headers=("x-oss-range-behavior",),
        is_read=True,
        give=of_objects.get_object,
    ),
    OssOperation(name="HeadObject", method="HEAD", on="object", is_read=True, answer=of_objects.head_object),
    OssOperation(
        name="GetObjectMeta",
        method="HEAD",
        on="object",
        by=("objectMeta",),
        is_read=True,
        answer=of_objects.get_object_meta,
    ),
    OssOperation(
        name="GetObjectAcl", method="GET", on="object", by=("acl",), is_read=True, answer=of_buckets.get_object_acl
    ),
    OssOperation(name="DeleteObject", method="DELETE", on="object", answer=of_objects.delete_object),
    OssOperation(
        name="InitiateMultipartUpload",
        method="POST",
        on="object",
        by=("uploads",),
        params=("encoding-type",),
        headers=_AS_WRITTEN,
        answer=of_uploads.initiate,
    ),
    OssOperation(
        name="UploadPart",
        method="PUT",
        on="object",
        by=("partNumber", "uploadId"),
        take=of_uploads.IncomingPart,
    ),
    OssOperation(
        name="CompleteMultipartUpload",
        method="POST",
        on="object",
        by=("uploadId",),
        params=("encoding-type",),
        headers=("x-oss-complete-all", "x-oss-forbid-overwrite"),
        is_long=True,
        answer=of_uploads.complete,
    ),
    OssOperation(name="AbortMultipartUpload", method="DELETE", on="object", by=("uploadId",), answer=of_uploads.abort),
    OssOperation(
        name="ListParts",
        method="GET",
        on="object",
        by=("uploadId",),
        params=("encoding-type", "max-parts", "part-number-marker"),
        is_read=True,
        answer=of_uploads.list_parts,
    ),
)


def choose(request: OssRequest) -> OssOperation:
    """The operation that is asked for. Raises MethodNotAllowed, NotServed, InvalidArgument."""
    level: Level = "service" if not request.bucket else "object" if request.name else "bucket"
    asked = request.query.keys() - OF_PROOF
    found = [one for one in OPERATIONS if one.method == request.method and one.on == level and asked >= set(one.by)]
    if not found:
        other = sorted(asked & SUBRESOURCES)
        raise NotServed(name=f"{request.method} ?{other[0]}") if other else MethodNotAllowed
    operation = max(found, key=lambda one: len(one.by))
    _check_params(operation, asked)
    _check_headers(operation, request.fields)
    return operation


def _check_params(operation: OssOperation, asked: frozenset[str] | set[str]) -> None:
    for name in sorted(asked - {*operation.by, *operation.params}):
        if name in SUBRESOURCES or name.startswith("x-oss-"):
            raise NotServed(name=f"{operation.method} ?{name[:100]}")
        raise InvalidArgument(name=name[:100], reason=f"{operation.name} has no such parameter")


def _check_headers(operation: OssOperation, fields: Mapping[str, str]) -> None:
    for name, value in fields.items():
        if value not in _ONLY.get(name, (value,)):
            raise NotServed(name=f"{name}: {value[:100]}")
        if name.startswith("x-oss-") and name not in _ALWAYS and name not in operation.headers:
            if name.startswith(_OF_USER) and f"{_OF_USER}*" in operation.headers:
                continue
            raise NotServed(name=name[:100])
