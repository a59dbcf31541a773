"""Brings objects to a service's buckets and takes them from there, by the part of OSS's API that it serves.

A file goes in parts, so that what breaks is sent again alone, and comes in
ranges. What has gone is compared by the service with the MD5 of each part.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import BinaryIO, Protocol
from urllib.parse import quote
from xml.etree import ElementTree as ET

from kiln.client.client import FIRST_PAUSE_S, SERVER_ERROR, TRIES, AnswerBroken, ApiFailure
from kiln.client.transport import HttpReply, Transport, Unreachable
from kiln.ground.clock import Clock, system_clock
from kiln.ground.units import MiB
from kiln.ground.values import dataclass

PART = 8 * MiB
_MOST_PARTS = 10_000
_ALGORITHM = "OSS4-HMAC-SHA256"
_UNSIGNED = "UNSIGNED-PAYLOAD"
_PRODUCT = "oss"
_NOTHING_THERE, _CLIENT_ERROR = 404, 400

Show = Callable[[int, str], None]  #: Called with the percentage, 0 where none is known, and a word.


@dataclass(frozen=True)
class Found:
    """An object that lies in a bucket."""

    name: str
    size_bytes: int
    etag: str  #: As it is to be sent again, in quotes.
    modified_at: float


class Readable(Protocol):
    """What is read from its beginning to its end."""

    def read(self, most: int, /) -> bytes:
        """The next so many bytes, or what is left."""


class Reading:
    """An object that is read piece by piece: it stays the one that it was, or reading fails."""

    def __init__(self, size_bytes: int, give: Callable[[int, int], bytes]) -> None:
        self.size_bytes, self.at = size_bytes, 0
        self._give = give

    def read(self, most: int, /) -> bytes:
        """The next so many bytes, or what is left. Raises as ``Objects`` does."""
        end = min(self.at + most, self.size_bytes)
        piece = self._give(self.at, end) if end > self.at else b""
        self.at = end
        return piece


class Objects:
    """Those of one account at one endpoint. Methods raise ApiFailure, Unreachable and AnswerBroken."""

    def __init__(
        self, transport: Transport, key_id: str, key_secret: str, region: str = "", clock: Clock = system_clock
    ) -> None:
        self._transport = transport
        self._key_id = key_id
        self._key_secret = key_secret
        self._region = region or "kiln"
        self._clock = clock

    def make_bucket(self, bucket: str) -> None:
        """Have a bucket be there, and be the caller's."""
        self._ask("PutBucket", "PUT", bucket)

    def begin(self, bucket: str, name: str) -> str:
        """Begin an object that comes in parts; returns the ID of the upload."""
        return self._read("InitiateMultipartUpload", "POST", bucket, name, {"uploads": ""}).findtext("UploadId") or ""

    def begun(self, bucket: str, name: str) -> list[str]:
        """The IDs of uploads of an object that were begun, and neither completed nor given up."""
        told = self._read("ListMultipartUploads", "GET", bucket, query={"uploads": "", "prefix": name})
        return [one.findtext("UploadId") or "" for one in told.iter("Upload") if one.findtext("Key") == name]

    def abort(self, bucket: str, name: str, upload: str) -> None:
        """Give an upload up, with all that has come of it."""
        self._ask("AbortMultipartUpload", "DELETE", bucket, name, query={"uploadId": upload})

    def parts(self, bucket: str, name: str, upload: str) -> dict[int, int]:
        """What has come of an upload: the bytes of each part, by its number."""
        found: dict[int, int] = {}
        after = "0"
        while True:
            query = {"uploadId": upload, "part-number-marker": after}
            told = self._read("ListParts", "GET", bucket, name, query)
            for one in told.iter("Part"):
                found[int(one.findtext("PartNumber") or 0)] = int(one.findtext("Size") or 0)
            after = told.findtext("NextPartNumberMarker") or "0"
            if told.findtext("IsTruncated") != "true":
                return found

    def complete(self, bucket: str, name: str, upload: str) -> None:
        """Have all parts that have come be the object."""
        query, all_parts = {"uploadId": upload}, {"x-oss-complete-all": "yes"}
        self._ask("CompleteMultipartUpload", "POST", bucket, name, query=query, headers=all_parts)

    def presign(self, method: str, bucket: str, name: str, query: Mapping[str, str], seconds: int) -> str:
        """Path and query of a request that anybody may make within *seconds*, at any name of the service."""
        now = datetime.fromtimestamp(self._clock(), UTC).strftime("%Y%m%dT%H%M%SZ")
        path, scope = quote(f"/{bucket}/{name}", safe="/~"), self._scope(now)
        told = {
            **query,
            "x-oss-signature-version": _ALGORITHM,
            "x-oss-credential": f"{self._key_id}/{scope}",
            "x-oss-date": now,
            "x-oss-expires": str(seconds),
        }
        asked = _spell(told)
        proof = self._prove(now, f"{method}\n{path}\n{asked}\n\n\n{_UNSIGNED}")
        return f"{path}?{asked}&x-oss-signature={proof}"

    def put(self, bucket: str, name: str, file: Readable, size_bytes: int, show: Show) -> None:
        """Bring all of what is open to be read; nothing of it stays where that fails or is broken off."""
        upload = {"uploadId": self.begin(bucket, name)}
        digests: list[bytes] = []
        try:
            part_bytes = max(PART, -(-size_bytes // _MOST_PARTS))
            for number, start in enumerate(range(0, size_bytes, part_bytes), 1):
                show(start * 100 // size_bytes, "Uploading")
                piece = file.read(part_bytes)
                digests.append(hashlib.md5(piece, usedforsecurity=False).digest())
                told = {"content-md5": b64encode(digests[-1]).decode()}
                query = {**upload, "partNumber": str(number)}
                self._ask("UploadPart", "PUT", bucket, name, query=query, headers=told, body=piece)
            self._complete(bucket, name, upload, digests)
        except BaseException:
            with suppress(ApiFailure, Unreachable, AnswerBroken, OSError):
                self.abort(bucket, name, upload["uploadId"])
            raise
        show(100, "Uploading")

    def fetch(self, bucket: str, name: str, file: BinaryIO, show: Show) -> None:
        """Write all of an object to an open file. Raises OSError, too."""
        reading = self.open(bucket, name)
        while reading.at < reading.size_bytes:
            show(reading.at * 100 // reading.size_bytes, "Downloading")
            file.write(reading.read(PART))
        show(100, "Downloading")

    def open(self, bucket: str, name: str) -> Reading:
        """An object to be read from its beginning."""
        found = next((one for one in self.list(bucket, name) if one.name == name), None)
        if found is None:
            raise ApiFailure(action="GetObject", code="NoSuchKey", message=name, status=_NOTHING_THERE, request_id="")

        def give(start: int, end: int) -> bytes:
            asked = {"range": f"bytes={start}-{end - 1}", "if-match": found.etag}
            piece = self._ask("GetObject", "GET", bucket, name, headers=asked).body
            if len(piece) != end - start:
                raise AnswerBroken(f"{self._transport.endpoint} gave {len(piece)} bytes of {name} for {end - start}")
            return piece

        return Reading(found.size_bytes, give)

    def delete(self, bucket: str, name: str) -> None:
        """Take an object away; it is no error when it is gone."""
        self._ask("DeleteObject", "DELETE", bucket, name)

    def list(self, bucket: str, prefix: str = "") -> list[Found]:
        """The first thousand objects of a bucket whose names begin with *prefix*."""
        query = {"list-type": "2", "max-keys": "1000", "prefix": prefix}
        return [
            Found(
                name=one.findtext("Key") or "",
                size_bytes=int(one.findtext("Size") or 0),
                etag=one.findtext("ETag") or "",
                modified_at=datetime.fromisoformat(one.findtext("LastModified") or "").timestamp(),
            )
            for one in self._read("ListObjectsV2", "GET", bucket, query=query).iter("Contents")
        ]

    def _complete(self, bucket: str, name: str, upload: Mapping[str, str], digests: Sequence[bytes]) -> None:
        """Have the parts of these MD5s be the object."""
        try:
            self.complete(bucket, name, upload["uploadId"])
        except ApiFailure as failure:
            # Whoever asks again, since the answer was lost, finds an upload that is over.
            whole = hashlib.md5(b"".join(digests), usedforsecurity=False).hexdigest().upper()
            made = f'"{whole}-{len(digests)}"'
            is_there = any((one.name, one.etag) == (name, made) for one in self.list(bucket, name))
            if failure.code != "NoSuchUpload" or not is_there:
                raise

    def _read(
        self, action: str, method: str, bucket: str, name: str = "", query: Mapping[str, str] | None = None
    ) -> ET.Element:
        return self._to_xml(action, self._ask(action, method, bucket, name, query=query).body)

    def _to_xml(self, action: str, body: bytes) -> ET.Element:
        try:
            return ET.fromstring(body)  # noqa: S314 - of the service that the caller trusts with its images.
        except ET.ParseError:
            raise AnswerBroken(f"{self._transport.endpoint} answered {action} with no XML") from None

    def _ask(
        self,
        action: str,
        method: str,
        bucket: str,
        name: str = "",
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> HttpReply:
        """The answer to one request, made again where that may help: none of them does harm twice."""
        pause_s = FIRST_PAUSE_S
        for tries_left in reversed(range(TRIES)):
            try:
                reply = self._send(method, f"/{bucket}/{name}", query or {}, headers or {}, body)
            except Unreachable:
                if not tries_left:
                    raise
            else:
                if reply.status < _CLIENT_ERROR:
                    return reply
                if reply.status < SERVER_ERROR or not tries_left:
                    raise self._failure(action, reply)
            time.sleep(pause_s)
            pause_s *= 3
        raise AssertionError("the last try returns or raises")

    def _send(
        self, method: str, resource: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> HttpReply:
        now = datetime.fromtimestamp(self._clock(), UTC).strftime("%Y%m%dT%H%M%SZ")
        told = {"x-oss-content-sha256": _UNSIGNED, "x-oss-date": now, **headers}
        asked = _spell(query)
        path = quote(resource, safe="/~")
        signed = {key: value for key, value in told.items() if key.startswith("x-oss-") or key == "content-md5"}
        lines = "".join(f"{key}:{signed[key]}\n" for key in sorted(signed))
        proof = self._prove(now, f"{method}\n{path}\n{asked}\n{lines}\n\n{_UNSIGNED}")
        told["authorization"] = f"{_ALGORITHM} Credential={self._key_id}/{self._scope(now)},Signature={proof}"
        return self._transport.send(method, f"{path}?{asked}" if asked else path, told, body)

    def _scope(self, now: str) -> str:
        return f"{now[:8]}/{self._region}/{_PRODUCT}/aliyun_v4_request"

    def _prove(self, now: str, canonical: str) -> str:
        """The signature of a canonical request, by version 4."""
        scope = self._scope(now)
        hashed = hashlib.sha256(canonical.encode()).hexdigest()
        return _sign(self._key_secret, scope, f"{_ALGORITHM}\n{now}\n{scope}\n{hashed}")

    def _failure(self, action: str, reply: HttpReply) -> ApiFailure:
        try:
            told = ET.fromstring(reply.body)  # noqa: S314 - as above.
        except ET.ParseError:
            told = ET.Element("Error")
        return ApiFailure(
            action=action,
            code=told.findtext("Code") or f"HTTP{reply.status}",
            message=told.findtext("Message") or reply.body[:200].decode(errors="replace").strip(),
            status=reply.status,
            request_id=told.findtext("RequestId") or "",
        )


def _spell(query: Mapping[str, str]) -> str:
    """A query as it is signed and sent."""
    pairs = sorted((quote(key, safe="~"), quote(value, safe="~")) for key, value in query.items())
    return "&".join(f"{key}={value}" if value else key for key, value in pairs)


def _sign(secret: str, scope: str, string_to_sign: str) -> str:
    key = f"aliyun_v4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, string_to_sign.encode(), "sha256").hex()
