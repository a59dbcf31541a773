"""From a request for OSS to an operation that may be done, and from what it raises to what the caller is told."""

from __future__ import annotations

import uuid
from base64 import b64encode
from collections.abc import Callable
from typing import Any

from kiln.buckets import port
from kiln.ground.journal import Journal
from kiln.store import buckets
from kiln.store.database import Transaction
from kiln.store.errors import DatabaseBusy, DatabaseDown, DatabaseFull, DatabaseMalformed
from kiln.wire.doors.door import Answer, RawRequest
from kiln.wire.oss import errors
from kiln.wire.oss.call import OssCall, OssSite
from kiln.wire.oss.errors import AccessDenied, NoSuchBucket, OssError
from kiln.wire.oss.operations import OssOperation, choose
from kiln.wire.oss.proof import prove
from kiln.wire.oss.request import OssRequest, to_oss

log = Journal("kiln.wire")


def new_request_id() -> str:
    """As OSS makes them."""
    return uuid.uuid4().hex[:24].upper()


class OssGate:
    """See the module. Safe to use from any thread."""

    def __init__(self, site: OssSite) -> None:
        self.site = site

    def read(self, raw: RawRequest) -> OssRequest:
        """Take a request apart. Raises OssError."""
        return to_oss(raw, self.site.own_names)

    def admit(self, request: OssRequest) -> tuple[OssOperation, OssCall]:
        """Prove who asks, and that it may. Raises OssError, and what the database raises."""
        now = self.site.clock()
        key = prove(request, self.site.credentials, now)
        operation = choose(request)
        owner = self._owner(request, operation, key.account_id, now) if operation.needs_bucket else ""
        return operation, OssCall(site=self.site, request=request, key=key, now=now, owner=owner)

    def _owner(self, request: OssRequest, operation: OssOperation, account: str, now: float) -> str:
        """Whose the bucket is; the first who uses one that is nobody's has it. Raises NoSuchBucket, AccessDenied."""
        bucket = request.bucket
        if not self.site.buckets.has(bucket):
            raise NoSuchBucket
        with self.site.database.read() as tx:
            row = buckets.buckets.find(tx, name=bucket)
        if row is None:

            def claim(tx: Transaction) -> None:
                buckets.claim(tx, bucket, account, now)

            self.site.database.write(claim)
            with self.site.database.read() as tx:
                row = buckets.buckets.find(tx, name=bucket)
        if row is None or (row.account != account and not (operation.is_read and row.is_shared)):
            raise AccessDenied(reason="You have no right to access this object because the bucket is another account's")
        return row.account


def met(error: Exception, request_id: str) -> OssError:
    """What the caller is told of the *error* that is being met; a line in the log where it is no fault of its own."""
    if isinstance(error, OssError):
        return error
    spell = _OF_BUCKETS.get(type(error))
    told = spell(error) if spell is not None else None
    if isinstance(told, errors.InsufficientStorage):
        log.warning("bucket_full", request_id=request_id, reason=str(error))
    elif told is None and isinstance(error, DatabaseFull | DatabaseDown | DatabaseMalformed | DatabaseBusy):
        log.warning("database_closed", request_id=request_id, reason=str(error))
        told = errors.ServiceUnavailable()
    elif told is None:
        log.exception("request_crashed", request_id=request_id, door="oss")  # noqa: LOG004 - it is being met.
        told = errors.InternalError()
    return told


#: What the buckets raise, in OSS's words.
_OF_BUCKETS: dict[type[Exception], Callable[[Any], OssError]] = {
    port.BucketMissing: lambda _: NoSuchBucket(),
    port.BucketClosed: lambda error: AccessDenied(reason=f"This service may not: {error}"),
    port.BucketFull: lambda error: errors.InsufficientStorage(reason=str(error)),
    port.BucketNotEmpty: lambda _: errors.BucketNotEmpty(),
    port.FactsRefused: lambda error: errors.MetadataTooLarge(reason=str(error)),
    port.ObjectExists: lambda _: errors.FileAlreadyExists(),
    port.ObjectIsFolder: lambda _: errors.NoSuchKey(),
    port.ObjectMissing: lambda _: errors.NoSuchKey(),
    port.ObjectRefused: lambda error: errors.InvalidObjectName(reason=str(error)),
    port.PartRefused: lambda error: errors.PartsRefused(error.code, str(error)),
    port.UploadMissing: lambda _: errors.NoSuchUpload(),
}


def refusal(error: OssError, request_id: str, host: str, method: str) -> Answer:
    """The answer that tells of *error*. One to HEAD has no body, so the same goes into a header there."""
    body = errors.spell(error, request_id, host)
    headers = [("content-type", "application/xml")]
    if method == "HEAD":
        headers.append(("x-oss-err", b64encode(body).decode()))
    return Answer(error.status, tuple(headers), body)
