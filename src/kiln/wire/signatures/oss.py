"""Signatures of OSS, versions 1 and 4: ``Authorization: OSS ...`` and ``OSS4-HMAC-SHA256 ...``, or both in a URL.

    version 1
      canonical       headers x-oss-*, then /BUCKET/OBJECT and those parameters that are sub-resources; nothing encoded
      string to sign  method, Content-MD5, Content-Type, date (of a URL: when it expires), canonical
      signature       base64(HMAC-SHA1(secret, string to sign))
    version 4
      canonical       method, /BUCKET/OBJECT and parameters percent-encoded, headers, names of additional ones, payload
      string to sign  algorithm, time, DAY/REGION/oss/aliyun_v4_request, hash of canonical
      signature       hex(HMAC-SHA256(key, string to sign)); the key is made of secret, day, region and product

Neither covers the body. The resource is the same whether the bucket is named
by the host or by the path.

Sources: Alibaba Cloud's descriptions of both; which parameters version 1 signs
is what its published SDKs sign.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import quote

from kiln.wire.signatures.stages import Stages, percent

ALGORITHM = "OSS4-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"

#: Parameters that are sub-resources: all that version 1 signs.
SUBRESOURCES = frozenset(
    {
        "accessPoint",
        "accessPointPolicy",
        "acl",
        "append",
        "asyncFetch",
        "bucketArchiveDirectRead",
        "bucketInfo",
        "callback",
        "callback-var",
        "cloudboxes",
        "cname",
        "comp",
        "continuation-token",
        "cors",
        "delete",
        "encryption",
        "endTime",
        "group",
        "httpsConfig",
        "inventory",
        "inventoryId",
        "lifecycle",
        "link",
        "live",
        "location",
        "logging",
        "metaQuery",
        "objectInfo",
        "objectMeta",
        "partNumber",
        "policy",
        "position",
        "publicAccessBlock",
        "qos",
        "qosInfo",
        "qosRequester",
        "redundancyTransition",
        "referer",
        "regionList",
        "replication",
        "replicationLocation",
        "replicationProgress",
        "requestPayment",
        "requesterQosInfo",
        "resourceGroup",
        "resourcePool",
        "resourcePoolBuckets",
        "resourcePoolInfo",
        "response-cache-control",
        "response-content-disposition",
        "response-content-encoding",
        "response-content-language",
        "response-content-type",
        "response-expires",
        "restore",
        "security-token",
        "sequential",
        "startTime",
        "stat",
        "status",
        "style",
        "styleName",
        "symlink",
        "tagging",
        "transferAcceleration",
        "uploadId",
        "uploads",
        "versionId",
        "versioning",
        "versions",
        "vod",
        "website",
        "worm",
        "wormExtend",
        "wormId",
        "x-oss-ac-forward-allow",
        "x-oss-ac-source-ip",
        "x-oss-ac-subnet-mask",
        "x-oss-ac-vpc-id",
        "x-oss-access-point-name",
        "x-oss-async-process",
        "x-oss-process",
        "x-oss-redundancy-transition-taskid",
        "x-oss-request-payer",
        "x-oss-target-redundancy-type",
        "x-oss-traffic-limit",
        "x-oss-write-get-object-response",
    }
)

_of_version_1 = re.compile(r"OSS ([^:\s]+):([A-Za-z0-9+/=]+)").fullmatch
_member = re.compile(r"\s*([A-Za-z]+)=([^,\s]*)\s*").fullmatch
_MEMBERS = {"Credential", "Signature", "AdditionalHeaders"}


class Credential(NamedTuple):
    """What version 4 says of its key: ``KEY/DAY/REGION/oss/aliyun_v4_request``."""

    key_id: str
    day: str
    region: str
    product: str

    @property
    def scope(self) -> str:
        """All but the key's ID."""
        return f"{self.day}/{self.region}/{self.product}/aliyun_v4_request"


class Authorization(NamedTuple):
    """What version 4 says of a signature."""

    credential: Credential
    additional: tuple[str, ...]  #: Names of headers that are signed beside those that always are, in order.
    signature: str


def find_version_1(header: str) -> tuple[str, str] | None:
    """Key ID and signature of an ``Authorization`` header; None when it has another form."""
    found = _of_version_1(header.strip())
    return None if found is None else (found[1], found[2])


def find_version_4(header: str) -> Authorization | None:
    """What such a header says; None when it has another form."""
    algorithm, _, rest = header.strip().partition(" ")
    found = [_member(one) for one in rest.split(",")]
    members = {one[1]: one[2] for one in found if one is not None}
    is_whole = (
        algorithm == ALGORITHM and None not in found and len(members) == len(found) and members.keys() <= _MEMBERS
    )
    return to_authorization(members) if is_whole else None


def to_authorization(members: Mapping[str, str]) -> Authorization | None:
    """The same of its members by their names; None where one is missing or is not so spelled."""
    credential = _to_credential(members.get("Credential", ""))
    signature = members.get("Signature", "")
    if credential is None or not signature:
        return None
    names = members.get("AdditionalHeaders", "")
    return Authorization(credential, tuple(names.split(";")) if names else (), signature)


def _to_credential(text: str) -> Credential | None:
    parts = text.split("/")
    is_whole = len(parts) == 5 and all(parts) and parts[4] == "aliyun_v4_request"  # noqa: PLR2004 - as it is spelled.
    return Credential(*parts[:4]) if is_whole else None


def version_1(
    method: str, resource: str, *, query: Mapping[str, str], headers: Mapping[str, str], date: str, secret: str
) -> Stages:
    """Sign a request. *resource* is ``/BUCKET/OBJECT``; *headers* are by lower-case name; *query* is decoded."""
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in sorted(headers) if name.startswith("x-oss-"))
    pairs = [f"{name}={value}" if value else name for name, value in sorted(query.items()) if name in SUBRESOURCES]
    canonical = f"{lines}{resource}{'?' if pairs else ''}{'&'.join(pairs)}"
    placed = headers.get("content-md5", ""), headers.get("content-type", ""), date
    string_to_sign = "\n".join((method, *placed, canonical))
    return Stages(canonical, string_to_sign, b64encode(_keyed(secret.encode(), string_to_sign, "sha1")).decode())


def version_4(
    method: str,
    resource: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    *,
    additional: Iterable[str],
    time: str,
    credential: Credential,
    secret: str,
) -> Stages:
    """Likewise; *query* has no signature in it, *time* is ``yyyyMMddTHHmmssZ``.

    Raises KeyError for a header that is missing.
    """
    names = sorted({name for name in headers if is_signed(name)} | set(additional))
    pairs = sorted((percent(name), percent(value)) for name, value in query.items())
    canonical = "\n".join((
        method,
        quote(resource, safe="/~"),
        "&".join(f"{name}={value}" if value else name for name, value in pairs),
        "".join(f"{name}:{headers[name].strip()}\n" for name in names),
        ";".join(additional),
        headers.get("x-oss-content-sha256", UNSIGNED),
    ))  # fmt: skip
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    string_to_sign = f"{ALGORITHM}\n{time}\n{credential.scope}\n{digest}"
    key = f"aliyun_v4{secret}".encode()
    for part in credential.scope.split("/"):
        key = _keyed(key, part, "sha256")
    return Stages(canonical, string_to_sign, _keyed(key, string_to_sign, "sha256").hex())


def is_signed(name: str) -> bool:
    """Whether version 4 signs a header of that lower-case name always."""
    return name.startswith("x-oss-") or name in ("content-type", "content-md5")


def _keyed(key: bytes, text: str, kind: str) -> bytes:
    return hmac.digest(key, text.encode(), kind)
