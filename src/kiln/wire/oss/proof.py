"""Who sent a request for OSS, by its signature: version 1 or 4, in the Authorization header or in the URL."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from kiln.declare.errors import ApiError
from kiln.wire import errors as ecs
from kiln.wire.doors.checks import signer
from kiln.wire.doors.door import Credentials
from kiln.wire.key import Key
from kiln.wire.nonces import WINDOW_S
from kiln.wire.oss.errors import (
    AccessDenied,
    AuthorizationMalformed,
    InvalidAccessKeyId,
    InvalidArgument,
    InvalidSecurityToken,
    OssError,
    RequestExpired,
    RequestTimeTooSkewed,
    SecurityTokenExpired,
    SignatureDoesNotMatch,
)
from kiln.wire.oss.request import OssRequest
from kiln.wire.signatures import oss
from kiln.wire.signatures.stages import Stages

#: Parameters of a request that prove it, and say nothing else.
OF_PROOF = frozenset({
    "Expires",
    "OSSAccessKeyId",
    "Signature",
    "security-token",
    "x-oss-additional-headers",
    "x-oss-credential",
    "x-oss-date",
    "x-oss-expires",
    "x-oss-security-token",
    "x-oss-signature",
    "x-oss-signature-version",
})  # fmt: skip

#: OSS's own: a URL is good for a week at most.
_LONGEST_S = 7 * 86_400

_number = re.compile(r"[0-9]{1,12}").fullmatch


def prove(request: OssRequest, credentials: Credentials, now: float) -> Key:
    """The key that signed *request*. Raises OssError."""
    header = request.fields.get("authorization", "")
    if header.startswith(oss.ALGORITHM):
        return _by_header_4(request, header, credentials, now)
    if header.startswith("OSS "):
        return _by_header_1(request, header, credentials, now)
    if header:
        raise AuthorizationMalformed(reason="signatures of versions 1 and 4 are known")
    if "x-oss-signature-version" in request.query:
        return _by_url_4(request, credentials, now)
    if "OSSAccessKeyId" in request.query:
        return _by_url_1(request, credentials, now)
    raise AccessDenied(reason="Anonymous access is forbidden for this operation")


def _by_header_1(request: OssRequest, header: str, credentials: Credentials, now: float) -> Key:
    found = oss.find_version_1(header)
    if found is None:
        raise AuthorizationMalformed(reason="it is not of the form OSS KEY:SIGNATURE")
    fields = request.fields
    date = fields.get("x-oss-date") or fields.get("date", "")
    _check_clock(_of_http(date), now)
    # One of the SDKs spells the token's header without its prefix.
    token = fields.get("x-oss-security-token") or fields.get("security-token")
    key = _signer(credentials, found[0], token, now)
    stages = oss.version_1(
        request.method, request.resource, query=request.query, headers=fields, date=date, secret=key.secret
    )
    return _compared(key, stages, found[1])


def _by_url_1(request: OssRequest, credentials: Credentials, now: float) -> Key:
    query = request.query
    expires = query.get("Expires", "")
    if not _number(expires) or not query.get("Signature"):
        raise AccessDenied(reason="A presigned URL has OSSAccessKeyId, Expires and Signature")
    if int(expires) < now:
        raise RequestExpired
    key = _signer(credentials, query["OSSAccessKeyId"], query.get("security-token"), now)
    stages = oss.version_1(
        request.method, request.resource, query=query, headers=request.fields, date=expires, secret=key.secret
    )
    return _compared(key, stages, query["Signature"])


def _by_header_4(request: OssRequest, header: str, credentials: Credentials, now: float) -> Key:
    found = oss.find_version_4(header)
    if found is None:
        raise AuthorizationMalformed(reason=f"it is not of the form {oss.ALGORITHM} Credential=...,Signature=...")
    fields = request.fields
    time = fields.get("x-oss-date", "")
    _check_clock(_of_iso(time), now)
    if fields.get("x-oss-content-sha256") != oss.UNSIGNED:
        raise InvalidArgument(name="x-oss-content-sha256", reason=f"it has to be {oss.UNSIGNED}")
    key = _signer(credentials, found.credential.key_id, fields.get("x-oss-security-token"), now)
    return _compared(key, _stages_4(request, request.query, found, time, key), found.signature)


def _by_url_4(request: OssRequest, credentials: Credentials, now: float) -> Key:
    query = request.query
    members = {
        "Credential": query.get("x-oss-credential", ""),
        "AdditionalHeaders": query.get("x-oss-additional-headers", ""),
        "Signature": query.get("x-oss-signature", ""),
    }
    found = oss.to_authorization(members)
    if query["x-oss-signature-version"] != oss.ALGORITHM or found is None:
        raise AuthorizationMalformed(reason="the URL has to be presigned by version 1 or 4")
    time, expires = query.get("x-oss-date", ""), query.get("x-oss-expires", "")
    at = _of_iso(time)
    if not _number(expires) or not 1 <= int(expires) <= _LONGEST_S:
        raise InvalidArgument(name="x-oss-expires", reason=f"it is 1 to {_LONGEST_S} seconds")
    if at > now + WINDOW_S:
        raise RequestTimeTooSkewed
    if at + int(expires) < now:
        raise RequestExpired
    key = _signer(credentials, found.credential.key_id, query.get("x-oss-security-token"), now)
    signed = {name: value for name, value in query.items() if name != "x-oss-signature"}
    return _compared(key, _stages_4(request, signed, found, time, key), found.signature)


def _stages_4(request: OssRequest, query: Mapping[str, str], found: oss.Authorization, time: str, key: Key) -> Stages:
    if found.credential.day != time[:8] or found.credential.product != "oss":
        raise AuthorizationMalformed(reason="the credential is of another day or product")
    missing = [name for name in found.additional if name not in request.fields]
    if missing:
        raise AuthorizationMalformed(reason=f"the signed header {missing[0][:100]} was not sent")
    return oss.version_4(
        request.method,
        request.resource,
        query,
        request.fields,
        additional=found.additional,
        time=time,
        credential=found.credential,
        secret=key.secret,
    )


def _compared(key: Key, stages: Stages, claimed: str) -> Key:
    if not hmac.compare_digest(stages.signature.encode(), claimed.encode()):
        raise SignatureDoesNotMatch(string_to_sign=stages.string_to_sign)
    return key


def _signer(credentials: Credentials, key_id: str, token: str | None, now: float) -> Key:
    try:
        return signer(credentials, key_id, token, now)
    except ApiError as error:
        raise _in_words_of_oss(error) from None


def _in_words_of_oss(error: ApiError) -> OssError:
    if isinstance(error, ecs.InvalidSecurityTokenExpired):
        return SecurityTokenExpired()
    if isinstance(error, ecs.InvalidAccessKeyIdInactive):
        return InvalidAccessKeyId(reason="The OSS Access Key Id is inactive")
    if isinstance(error, ecs.InvalidAccessKeyIdNotFound):
        return InvalidAccessKeyId(reason="The OSS Access Key Id you provided does not exist in our records")
    return InvalidSecurityToken()


def _check_clock(at: float, now: float) -> None:
    if not now - WINDOW_S <= at <= now + WINDOW_S:
        raise RequestTimeTooSkewed


def _of_http(text: str) -> float:
    """Seconds since the epoch of a date as HTTP has it, or as version 4 does. Raises AccessDenied."""
    try:
        found = parsedate_to_datetime(text)
        return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError):
        return _of_iso(text)


def _of_iso(text: str) -> float:
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise AccessDenied(reason="OSS authentication requires a valid Date") from None
