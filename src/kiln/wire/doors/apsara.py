"""The Apsara route: ``/apsara/route/<Product>/<Action>``, signed by an app with ``X-Ca-*`` headers.

Parameters are a form, or the query, or both. A body that is no form takes no
part in this signature but through Content-MD5, so a JSON body is read only
when Content-MD5 is there and right; with a form, Content-MD5 is signed as text
and not compared, as the route's documents send that of the empty string.

``X-Ca-Timestamp`` must be among the signed headers. ``X-Ca-Nonce`` may be
absent, as in the gateway's Java demo, or unsigned, as in the route's own
sample: then the signature itself is good for one time only, and two requests
alike in everything need different milliseconds. ``Accept``, ``Date``,
``X-Ca-Stage``, ``X-Ca-Version`` and the rest are signed when listed, and else
left alone.

``regionId`` routes and ``RegionId`` is the operation's: either is enough.
``version`` is the route's constant or the API's version. ``UserEmail`` names
the person; it is recorded, and required where the account has people
configured. It is only as trustworthy as the app, or as TLS where the app does
not sign it.

An answer has ``RequestID`` as documented and ``RequestId`` as clients read it,
and ``X-Ca-Request-Id``; a failure also the documented ``errorSample``, and a
refusal by this door itself ``X-Ca-Error-Code`` and ``X-Ca-Error-Message``.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from kiln.declare.errors import ApiError, InvalidParameter, MissingParameter
from kiln.wire.doors import checks, freshness, parameters, spelling
from kiln.wire.doors.door import Admitted, Answer, Credentials, Format, Key, RawRequest
from kiln.wire.doors.route import VERSIONS
from kiln.wire.errors import (
    Forbidden,
    IncompleteSignature,
    InvalidAccessKeyIdInactive,
    InvalidAccessKeyIdNotFound,
    InvalidActionNotFound,
    InvalidParameterFormat,
    InvalidProductNotFound,
    InvalidSignatureMethod,
    InvalidTimeStampExpired,
    InvalidTimeStampFormat,
    InvalidVersion,
    RequestTooLarge,
    SignatureDoesNotMatch,
    SignatureNonceUsed,
    Throttling,
    UnsupportedHTTPMethod,
)
from kiln.wire.nonces import Nonces
from kiln.wire.signatures import xca

_PREFIX = "/apsara/route/"

#: Our errors in the six letters of the gateway that this route is built on.
_GATEWAY_CODES: Mapping[type[ApiError], str] = {
    Forbidden: "I403AA",
    IncompleteSignature: "A403IS",
    InvalidAccessKeyIdInactive: "A400IK",
    InvalidAccessKeyIdNotFound: "A400IK",
    InvalidActionNotFound: "I404NF",
    InvalidParameter: "I400IP",
    InvalidParameterFormat: "I400IP",
    InvalidProductNotFound: "I404NF",
    InvalidSignatureMethod: "I400HD",
    InvalidTimeStampExpired: "S403TE",
    InvalidTimeStampFormat: "I400HD",
    InvalidVersion: "I400HD",
    MissingParameter: "I400MH",
    SignatureDoesNotMatch: "A403IS",
    SignatureNonceUsed: "S403NU",
    RequestTooLarge: "I413RL",
    Throttling: "T429ID",
    UnsupportedHTTPMethod: "I405UM",
}

#: A header longer than this is more than some clients take; the body has the whole message.
_LONGEST_HEADER = 2048


def prove(request: RawRequest, params: Mapping[str, str], credentials: Credentials, nonces: Nonces, now: float) -> Key:
    """The app that signed *request*; its nonce, or else its signature, is used up."""
    fields = request.fields
    app_key = checks.demand_header(request, "X-Ca-Key")
    claimed = checks.demand_header(request, "X-Ca-Signature")
    timestamp = checks.demand_header(request, "X-Ca-Timestamp")
    if fields.get("x-ca-signature-method", "HmacSHA256") != "HmacSHA256":
        raise InvalidSignatureMethod
    named = xca.named_headers(fields.get("x-ca-signature-headers", ""))
    covered = {name.lower() for name in named}
    if "x-ca-timestamp" not in covered:
        raise IncompleteSignature(reason="X-Ca-Signature-Headers must name X-Ca-Timestamp")
    at = freshness.of_milliseconds(timestamp)
    freshness.check_clock(at, now)
    key = checks.active(credentials.app(app_key))
    stages = xca.stages(request.method, request.path, params, fields, named, secret=key.secret)
    if not hmac.compare_digest(stages.signature.encode(), claimed.encode()):
        raise SignatureDoesNotMatch(string_to_sign=stages.string_to_sign)
    nonce = fields.get("x-ca-nonce", "") if "x-ca-nonce" in covered else ""
    freshness.use_once(nonces, key.id, nonce or claimed, at=at, now=now)
    return key


def _read(request: RawRequest) -> parameters.Parameters:
    """Parameters in both spellings: only those of query and form take part in the signature by themselves."""
    query = parameters.of_query(request)
    kind = parameters.content_type(request)
    if not request.body or kind in {"", "application/x-www-form-urlencoded"}:
        return parameters.union(query, parameters.of_body(request))
    content_md5 = checks.demand_header(request, "Content-MD5")
    actual = b64encode(hashlib.md5(request.body, usedforsecurity=False).digest())
    if not hmac.compare_digest(actual, content_md5.encode()):
        raise InvalidParameter(parameter="Content-MD5", rule="it is not that of the body")
    if kind != "application/json":
        raise InvalidParameter(parameter="Content-Type", rule="a body is a form or JSON")
    return parameters.Parameters(query, parameters.union(query, parameters.of_body(request)).given)


def _action(request: RawRequest) -> str:
    product, _, action = request.path.removeprefix(_PREFIX).partition("/")
    if product.lower() != checks.PRODUCT:
        raise InvalidProductNotFound
    action = action.removesuffix("/")
    if not action or "/" in action:
        raise InvalidActionNotFound
    return action


def _region(given: Mapping[str, str]) -> str:
    gateway, own = given.get("regionId"), given.get("RegionId")
    if gateway and own and gateway != own:
        raise InvalidParameter(parameter="RegionId", rule=f"regionId is {gateway} and RegionId is {own}")
    region = own or gateway
    if not region:
        raise MissingParameter(parameter="RegionId")
    return region


def _user(request: RawRequest, users: frozenset[str]) -> str | None:
    email = request.fields.get("useremail") or None
    if users and email is None:
        raise MissingParameter(parameter="UserEmail")
    if users and email not in users:
        raise Forbidden
    return email


class ApsaraDoor:
    """See the module."""

    name = "apsara"
    default: Format = "JSON"

    def recognises(self, request: RawRequest) -> bool:
        return request.path.startswith(_PREFIX)

    def admit(self, request: RawRequest, credentials: Credentials, nonces: Nonces, now: float) -> Admitted:
        checks.check_method(request)
        action = _action(request)
        params = _read(request)
        format_ = checks.answer_format(params.given.get("Format"), self.default)
        for name in ("version", "Version"):
            if (params.given.get(name) or checks.API_VERSION) not in VERSIONS:
                raise InvalidVersion
        key = prove(request, params.signed, credentials, nonces, now)
        region = _region(params.given)
        email = _user(request, credentials.users(key.account_id))
        given = checks.without_ceremony(params.given)
        for name in ("regionId", "version"):
            given.pop(name, None)
        given["RegionId"] = region
        return Admitted(
            account_id=key.account_id,
            action=action,
            params=given,
            format=format_,
            region=region,
            key_id=key.id,
            user_email=email,
        )

    def answer(
        self,
        request: RawRequest,
        outcome: Mapping[str, Any] | ApiError,
        request_id: str,
        admitted: Admitted | None,
    ) -> Answer:
        ids = {"RequestID": request_id, "RequestId": request_id}
        if isinstance(outcome, ApiError):
            told = {"resultCode": -1, "resultMsg": str(outcome), "result": None}
            fields = {"errorSample": told} | told | ids | spelling.envelope(outcome, request_id, request.host)
            format_ = admitted.format if admitted else checks.refusal_format(request, self.default)
            plain = spelling.failure(outcome, fields, request_id, format_)
        else:
            plain = spelling.success(admitted, ids | dict(outcome), request_id)
        extra = [("x-ca-request-id", request_id)]
        if isinstance(outcome, ApiError) and admitted is None:
            extra.append(("x-ca-error-code", _gateway_code(outcome)))
            extra.append(("x-ca-error-message", _header_text(str(outcome))))
        return Answer(plain.status, (*plain.headers, *extra), plain.body)


def _gateway_code(error: ApiError) -> str:
    """The gateway tells a missing header from a missing parameter; what it has no letters for is its own fault."""
    if isinstance(error, MissingParameter) and error.facts["parameter"] == "RegionId":
        return "I400MP"
    return _GATEWAY_CODES.get(type(error), "X500ER")


def _header_text(message: str) -> str:
    """*message* within what a header may hold: lines joined by ``#``, as the gateway does, and ASCII."""
    return message.replace("\n", "#").encode("ascii", "replace").decode()[:_LONGEST_HEADER]
