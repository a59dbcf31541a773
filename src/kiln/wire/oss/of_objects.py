"""Operations on objects whole: written, read and deleted."""

from __future__ import annotations

import os
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC
from email.utils import formatdate, parsedate_to_datetime

from kiln.buckets.drafts import Checksums, Draft
from kiln.buckets.facts import ObjectFacts, known
from kiln.buckets.port import ObjectMissing, ObjectRefused, is_object_name
from kiln.ground.units import GiB
from kiln.wire.doors.door import Answer
from kiln.wire.oss.call import OssCall, Outgoing, to_headers
from kiln.wire.oss.errors import (
    FileAlreadyExists,
    InvalidArgument,
    InvalidDigest,
    InvalidObjectName,
    InvalidRange,
    NoSuchKey,
    PreconditionFailed,
)

#: OSS's own, of PutObject and of one part.
MOST_BYTES = 5 * GiB

#: Headers that are kept with an object and given back with it, beside those of the user.
_KEPT = ("content-type", "cache-control", "content-disposition", "content-encoding", "content-language", "expires")
_OF_USER = "x-oss-meta-"

_range = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})").fullmatch
_OCTETS = "application/octet-stream"

#: An object may say that it is a page, and its address is that of the console: in a browser it is a page without
#: scripts that is nobody's. OSS has such objects saved instead of shown, at its own names.
_GUARDS = {"content-security-policy": "sandbox", "x-content-type-options": "nosniff"}


class IncomingObject:
    """PutObject: see ``call.Incoming``."""

    def __init__(self, call: OssCall, length: int | None) -> None:
        self._call = call
        self._headers = kept_headers(call)
        self._md5 = told_md5(call.request.fields)
        self._is_new_only = call.is_new_only()
        if self._is_new_only:
            require_new(call)
        self._draft = Draft(call.site.buckets, call.bucket, named(call), length=length)

    def write(self, piece: bytes) -> None:
        """See the port."""
        self._draft.write(piece)

    def keep(self) -> Answer:
        """See the port."""
        sums = self._draft.sums
        compare_md5(self._md5, sums)
        self._draft.keep(self._headers, is_new_only=self._is_new_only)
        return Answer(200, told_sums(sums), b"")

    def drop(self) -> None:
        """See the port."""
        self._draft.drop()


def get_object(call: OssCall) -> Outgoing | Answer:
    """The bytes of an object, or of a range of it."""
    with ExitStack() as opened:
        file = opened.enter_context(call.site.buckets.fetched(call.bucket, read_name(call)))
        found = os.fstat(file.fileno())
        facts = known(file.fileno(), found)
        headers = _headers_of(found, facts)
        if _is_known_already(call.request.fields, facts, found):
            return Answer(304, to_headers(headers), b"")
        part = _part_of(call.request.fields, found.st_size)
        start, length = part or (0, found.st_size)
        if part is not None:
            headers["content-range"] = f"bytes {start}-{start + length - 1}/{found.st_size}"
        headers |= _overridden(call)
        headers["content-length"] = str(length)
        status = 206 if "content-range" in headers else 200
        return Outgoing(
            status=status,
            headers=to_headers(headers),
            file=file,
            start=start,
            length=length,
            held=opened.pop_all(),
        )


def head_object(call: OssCall) -> Answer:
    """All that is known of an object, without its bytes."""
    return _head(call, is_short=False)


def get_object_meta(call: OssCall) -> Answer:
    """An object's length, ETag and time."""
    return _head(call, is_short=True)


def delete_object(call: OssCall) -> Answer:
    """Delete an object; it is no error when there is none."""
    call.site.buckets.delete_any(call.bucket, call.name)
    return Answer(204, (), b"")


def named(call: OssCall) -> str:
    """The name of an object that is to be. Raises InvalidObjectName."""
    if not is_object_name(call.name):
        raise InvalidObjectName(reason="a file of a folder has to be able to have that name")
    return call.name


def read_name(call: OssCall) -> str:
    """The name of an object that is to be there. Raises NoSuchKey where none can have it."""
    if not is_object_name(call.name):
        raise NoSuchKey
    return call.name


def require_new(call: OssCall) -> None:
    """Raise FileAlreadyExists where there is such an object: before much is sent for nothing."""
    try:
        call.site.buckets.size(call.bucket, named(call))
    except (ObjectMissing, ObjectRefused):
        return
    raise FileAlreadyExists


def kept_headers(call: OssCall) -> dict[str, str]:
    """What the writer says of an object."""
    fields = call.request.fields
    kept = {name: fields[name] for name in _KEPT if fields.get(name)}
    return kept | {name: value for name, value in fields.items() if name.startswith(_OF_USER)}


def told_md5(fields: Mapping[str, str]) -> bytes | None:
    """What Content-MD5 says. Raises InvalidDigest."""
    told = fields.get("content-md5")
    if told is None:
        return None
    try:
        digest = b64decode(told, validate=True)
    except ValueError:
        raise InvalidDigest from None
    if len(digest) != 16:  # noqa: PLR2004 - bytes of an MD5.
        raise InvalidDigest
    return digest


def compare_md5(told: bytes | None, sums: Checksums) -> None:
    """Raise InvalidDigest unless the bytes that came are those that were meant."""
    if told not in (None, sums.md5):
        raise InvalidDigest


def told_sums(sums: Checksums) -> tuple[tuple[str, str], ...]:
    """What the writer is told of the bytes that came."""
    return (("etag", f'"{sums.etag}"'), ("content-md5", b64encode(sums.md5).decode()), *told_crc(sums.crc64))


def told_crc(crc64: int | None) -> tuple[tuple[str, str], ...]:
    """The header that clients compare with a sum of their own, where it is known."""
    return () if crc64 is None else (("x-oss-hash-crc64ecma", str(crc64)),)


def _head(call: OssCall, *, is_short: bool) -> Answer:
    with call.site.buckets.fetched(call.bucket, read_name(call)) as file:
        found = os.fstat(file.fileno())
        facts = known(file.fileno(), found)
    headers = _headers_of(found, facts)
    if _is_known_already(call.request.fields, facts, found):
        return Answer(304, to_headers(headers), b"")
    if is_short:
        headers = {name: headers[name] for name in ("etag", "last-modified")}
    headers["content-length"] = str(found.st_size)
    return Answer(200, to_headers(headers), b"")


def _headers_of(found: os.stat_result, facts: ObjectFacts) -> dict[str, str]:
    return {
        "content-type": _OCTETS,
        **facts.headers,
        **_GUARDS,
        "accept-ranges": "bytes",
        "etag": f'"{facts.etag}"',
        "last-modified": formatdate(int(found.st_mtime), usegmt=True),
        "x-oss-object-type": facts.kind,
        "x-oss-storage-class": "Standard",
        **dict(told_crc(facts.crc64)),
    }


def _overridden(call: OssCall) -> dict[str, str]:
    """Headers that a reader asks for in place of those of the object. Raises InvalidArgument."""
    given = {name: call.text(f"response-{name}") for name in _KEPT}
    return {name: value for name, value in given.items() if value}


def _is_known_already(fields: Mapping[str, str], facts: ObjectFacts, found: os.stat_result) -> bool:
    """Whether the caller has the object as it is. Raises PreconditionFailed where it wanted another."""
    modified = int(found.st_mtime)
    if "if-match" in fields:
        if not _names(fields["if-match"], facts.etag):
            raise PreconditionFailed
    elif (since := _to_time(fields.get("if-unmodified-since"))) is not None and modified > since:
        raise PreconditionFailed
    if "if-none-match" in fields:
        return _names(fields["if-none-match"], facts.etag)
    since = _to_time(fields.get("if-modified-since"))
    return since is not None and modified <= since


def _names(tags: str, etag: str) -> bool:
    return any(one.strip().removeprefix("W/").strip('"').upper() in ("*", etag) for one in tags.split(","))


def _to_time(text: str | None) -> float | None:
    """Seconds since the epoch; None of what is no date, which HTTP ignores."""
    if text is None:
        return None
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()


def _part_of(fields: Mapping[str, str], size: int) -> tuple[int, int] | None:
    """Where to begin, and how many bytes to give; None where no part is asked for. All of them can be a part too.

    A range that does not lie within the object is as none, unless the caller
    asks for what HTTP has in place of that. Raises InvalidRange, InvalidArgument.
    """
    behavior = fields.get("x-oss-range-behavior", "")
    if behavior not in ("", "standard"):
        raise InvalidArgument(name="x-oss-range-behavior", reason="it is standard or nothing")
    asked = _range(fields.get("range", "").strip())
    if asked is None or asked[1] == asked[2] == "":
        return None
    if asked[1]:
        first = int(asked[1])
        last = int(asked[2]) if asked[2] else size - 1
        if asked[2] and last < first:
            return None
    else:
        first, last = size - int(asked[2]), size - 1
        if first < 0 and behavior:
            first = 0
    if not behavior:
        return (first, last - first + 1) if 0 <= first <= last < size else None
    if first >= size or (not asked[1] and int(asked[2]) == 0):
        raise InvalidRange
    return first, min(last, size - 1) - first + 1
