"""A request for OSS, taken apart: which bucket and object it is for, and how it says so.

A bucket is named by the host (``BUCKET.oss-REGION.aliyuncs.com``, or below a
name of this Kiln's own) or, where the client was told an address, by the first
part of the path. At an address of Kiln's own such a request is known from those
for the API by its signature.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote_to_bytes

from kiln.buckets.port import is_bucket_name
from kiln.declare.cloud import DOMAIN
from kiln.ground.values import dataclass
from kiln.wire.doors.door import RawRequest
from kiln.wire.oss.errors import InvalidArgument

_of_cloud = re.compile(
    rf"(?:([a-z0-9](?:[a-z0-9-]*[a-z0-9])?)\.)?oss(?:-([a-z0-9][a-z0-9-]*?))??(?:-internal)?\.{re.escape(DOMAIN)}"
).fullmatch

_begins_with_oss = re.compile(r"oss(-[a-z0-9-]+)?\.").match

_SCHEMES = (b"OSS ", b"OSS2 ", b"OSS4-")
_IN_QUERY = (b"&OSSAccessKeyId=", b"&x-oss-signature=", b"&x-oss-signature-version=")


@dataclass(frozen=True, kw_only=True)
class OssRequest:
    """See the module."""

    raw: RawRequest
    bucket: str  #: "" where the request is for none.
    name: str  #: Of the object; "" where it is for none.
    query: Mapping[str, str]  #: Decoded.
    region: str  #: That the host names; "" where it names none.
    host: str  #: What the service is called without the bucket.
    by_host: bool  #: Whether the host names the bucket, or the service of the cloud.

    @property
    def method(self) -> str:
        """GET, PUT, ..."""
        return self.raw.method

    @property
    def fields(self) -> Mapping[str, str]:
        """Headers by lower-case name."""
        return self.raw.fields

    @property
    def resource(self) -> str:
        """As it is signed."""
        return f"/{self.bucket}/{self.name}" if self.bucket else "/"


def is_for_oss(headers: Iterable[tuple[bytes, bytes]], query: bytes) -> bool:
    """Whether a request is meant for OSS, well made or not."""
    for name, value in headers:
        if name == b"authorization" and value.startswith(_SCHEMES):
            return True
        if name == b"host" and b"oss" in value and _of_cloud(_name_of(value.decode("latin-1"))):
            return True
    return b"oss" in query.lower() and any(one in b"&" + query for one in _IN_QUERY)


def to_oss(raw: RawRequest, own: Iterable[str]) -> OssRequest:
    """Take *raw* apart. Raises InvalidArgument.

    *own* are names of this Kiln, below which a bucket may be named: ``NAME``, or ``*.NAME`` for any below, of which
    those are OSS's that begin with it (``oss.NAME``, ``oss-REGION.env.NAME``).
    """
    whole = raw.host.lower()
    found = _of_cloud(_name_of(whole))
    path = _decoded(raw.path.removeprefix("/"), "the path")
    bucket, region, host = "", "", whole
    if found is not None:
        bucket, region = found[1] or "", found[2] or ""
    else:
        bucket = _bucket_below(_name_of(whole), tuple(own))
    by_host = found is not None or bool(bucket)
    if bucket:
        host = whole.removeprefix(f"{bucket}.")
    if not by_host:
        bucket, _, path = path.partition("/")
    return OssRequest(
        raw=raw, bucket=bucket, name=path, query=_to_query(raw.query_string), region=region, host=host, by_host=by_host
    )


def _bucket_below(host: str, own: tuple[str, ...]) -> str:
    """The bucket that *host* names below one of those names; "" where it names none."""
    bucket, _, service = host.partition(".")
    if host in own or not is_bucket_name(bucket):
        return ""
    is_below = _begins_with_oss(service) and f".{service}".endswith(tuple(one[1:] for one in own if one[:2] == "*."))
    return bucket if service in own or is_below else ""


def _to_query(text: bytes) -> dict[str, str]:
    """Raises InvalidArgument for a name that comes twice."""
    query: dict[str, str] = {}
    for pair in text.decode("latin-1").split("&") if text else ():
        name, _, value = (_decoded(one, "the query") for one in pair.partition("="))
        if name in query:
            raise InvalidArgument(name=name[:100], reason="it comes twice")
        if name:
            query[name] = value
    return query


def _decoded(text: str, what: str) -> str:
    try:
        return unquote_to_bytes(text.encode("latin-1")).decode()
    except UnicodeError:
        raise InvalidArgument(name=what, reason="it is not UTF-8") from None


def _name_of(host: str) -> str:
    """A host without its port, in lower case."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower()
