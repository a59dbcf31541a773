"""What is served of OSS, declared: by what a request is known, what it may say, and what answers it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY
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


@dataclass(frozen=True)
class OssOperation:
    """One of them. It has one of *answer*, *take* and *give*."""

    name: str
    method: str
    on: Level
    _: KW_ONLY
    by: tuple[str, ...] = ()  #: Parameters by which it is known.
    params: tuple[str, ...] = ()  #: Others that it takes.
    headers: tuple[str, ...] = ()  #: ``x-oss-`` headers that it takes.
    needs_bucket: bool = True
    is_long: bool = False  #: Whether its answer may wait for as many bytes as an object has.
    answer: Callable[[OssCall], Answer] | None = None  #: What is known at once; its body is short.
    take: Callable[[OssCall, int | None], Incoming] | None = None  #: Bytes, as many as the request tells.
    give: Callable[[OssCall], Outgoing | Answer] | None = None

    @property
    def is_read(self) -> bool:
        """Whether it leaves everything as it is: who may read the bucket may ask it."""
        return self.method in ("GET", "HEAD")


OPERATIONS: tuple[OssOperation, ...] = (
    OssOperation(
        "ListBuckets",
        "GET",
        "service",
        params=("marker", "max-keys", "prefix"),
        needs_bucket=False,
        answer=of_buckets.list_buckets,
    ),
    OssOperation(
        "PutBucket",
        "PUT",
        "bucket",
        headers=("x-oss-acl", "x-oss-storage-class"),
        needs_bucket=False,
        answer=of_buckets.put_bucket,
    ),
    OssOperation("DeleteBucket", "DELETE", "bucket", answer=of_buckets.delete_bucket),
    OssOperation("GetBucketInfo", "GET", "bucket", by=("bucketInfo",), answer=of_buckets.get_bucket_info),
    OssOperation("GetBucketLocation", "GET", "bucket", by=("location",), answer=of_buckets.get_bucket_location),
    OssOperation("GetBucketAcl", "GET", "bucket", by=("acl",), answer=of_buckets.get_acl),
    OssOperation("ListObjects", "GET", "bucket", params=(*_LISTING, "marker"), answer=of_buckets.list_objects),
    OssOperation(
        "ListObjectsV2",
        "GET",
        "bucket",
        by=("list-type",),
        params=(*_LISTING, "continuation-token", "fetch-owner", "start-after"),
        answer=of_buckets.list_objects_v2,
    ),
    OssOperation(
        "DeleteMultipleObjects",
        "POST",
        "bucket",
        by=("delete",),
        params=("encoding-type",),
        answer=of_buckets.delete_multiple_objects,
    ),
    OssOperation(
        "ListMultipartUploads",
        "GET",
        "bucket",
        by=("uploads",),
        params=("delimiter", "encoding-type", "key-marker", "max-uploads", "prefix", "upload-id-marker"),
        answer=of_uploads.list_uploads,
    ),
    OssOperation("PutObject", "PUT", "object", headers=_AS_WRITTEN, take=of_objects.IncomingObject),
    OssOperation(
        "GetObject", "GET", "object", params=_IN_PLACE, headers=("x-oss-range-behavior",), give=of_objects.get_object
    ),
    OssOperation("HeadObject", "HEAD", "object", answer=of_objects.head_object),
    OssOperation("GetObjectMeta", "HEAD", "object", by=("objectMeta",), answer=of_objects.get_object_meta),
    OssOperation("GetObjectAcl", "GET", "object", by=("acl",), answer=of_buckets.get_object_acl),
    OssOperation("DeleteObject", "DELETE", "object", answer=of_objects.delete_object),
    OssOperation(
        "InitiateMultipartUpload",
        "POST",
        "object",
        by=("uploads",),
        params=("encoding-type",),
        headers=_AS_WRITTEN,
        answer=of_uploads.initiate,
    ),
    OssOperation("UploadPart", "PUT", "object", by=("partNumber", "uploadId"), take=of_uploads.IncomingPart),
    OssOperation(
        "CompleteMultipartUpload",
        "POST",
        "object",
        by=("uploadId",),
        params=("encoding-type",),
        headers=("x-oss-complete-all", "x-oss-forbid-overwrite"),
        is_long=True,
        answer=of_uploads.complete,
    ),
    OssOperation("AbortMultipartUpload", "DELETE", "object", by=("uploadId",), answer=of_uploads.abort),
    OssOperation(
        "ListParts",
        "GET",
        "object",
        by=("uploadId",),
        params=("encoding-type", "max-parts", "part-number-marker"),
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
        reason = f"{operation.name} has no such parameter"
        # Of another that would be asked for so it says something here, if not with what else was sent.
        kin = [one for one in OPERATIONS if (one.method, one.on) == (operation.method, operation.on)]
        meant = next((one for one in kin if name in {*one.by, *one.params}), None)
        if meant is not None:
            reason += f", and {meant.name} is known by {' and '.join(meant.by)}"
        elif name in SUBRESOURCES or name.startswith("x-oss-"):
            raise NotServed(name=f"{operation.method} ?{name[:100]}")
        raise InvalidArgument(name=name[:100], reason=reason)


def _check_headers(operation: OssOperation, fields: Mapping[str, str]) -> None:
    for name, value in fields.items():
        if value not in _ONLY.get(name, (value,)):
            raise NotServed(name=f"{name}: {value[:100]}")
        if name.startswith("x-oss-") and name not in _ALWAYS and name not in operation.headers:
            if name.startswith(_OF_USER) and f"{_OF_USER}*" in operation.headers:
                continue
            raise NotServed(name=name[:100])
