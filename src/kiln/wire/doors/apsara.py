"""The Apsara route: ``/apsara/route/<Product>/<Action>``, signed by an app with ``X-Ca-*`` headers.

Parameters are a form, or the query, or both. A body that is no form takes no
part in this signature but through Content-MD5, so a JSON body is read only
when Content-MD5 is there and right; with a form, Content-MD5 is signed as text
and need not be right, as the route's documents send that of the empty string.

Nothing is encoded in what is signed, so ``Description=a&DryRun=true`` may be
two parameters or one. A value that may be read as a shorter one and another
parameter, and a name with such marks, is refused, unless it is in a form and
Content-MD5 is right. ``R&D`` and ``a&b=c`` are texts like any other where no
parameter is named so, and none of such a name would have been signed there.

``X-Ca-Timestamp`` must be among the signed headers. ``X-Ca-Nonce`` may be
absent, as in the gateway's Java demo, or unsigned, as in the route's own
sample: then the signature itself is good for one time only, and two requests
alike in everything need different milliseconds. ``Accept``, ``Date``,
``X-Ca-Stage``, ``X-Ca-Version`` and the rest are signed when listed, and else
left alone.

``regionId`` routes and ``RegionId`` is the operation's: either is enough.
``version`` is the route's constant or the API's version. ``UserEmail`` names
the person; it is recorded, and required where the account has people
configured. It counts only where the app signed it.

An answer has ``RequestID`` as documented and ``RequestId`` as clients read it,
and ``X-Ca-Request-Id``; a failure also the documented ``errorSample``, and a
refusal by this door itself ``X-Ca-Error-Code`` and ``X-Ca-Error-Message``.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64encode
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from kiln.declare.errors import ApiError, InvalidParameter, MissingParameter
from kiln.declare.products import PRODUCTS, ActionKey, Product
from kiln.operations import ALL
from kiln.wire.doors import checks, freshness, parameters, spelling
from kiln.wire.doors.door import Admitted, Answer, Credentials, Format, RawRequest
from kiln.wire.doors.route import ROUTE_VERSION
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
    UnsupportedHTTPMethodOnlyPost,
)
from kiln.wire.key import Key
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
    UnsupportedHTTPMethodOnlyPost: "I405UM",
}

#: A header longer than this is more than some clients take; the body has the whole message.
_LONGEST_HEADER = 2048

#: What the route's documents send beside a form.
_MD5_OF_NOTHING = "1B2M2Y8AsgTpgAmY7PhCfg=="
_WRONG_MD5 = "it is not that of the body"
_SEND_MD5 = "send it in a form, with Content-MD5 of the form"


@cache  # Made when it is first asked for: all operations' declarations are read for it, a seventh of a start.
def _meant() -> frozenset[str]:
    """The first words of everything that this route or any operation takes, in lower case."""
    words = {word.lower() for one in ALL for field in one.parameters for word in (field.wire, *field.aliases)}
    return frozenset({"format", "regionid", "version"} | words)


_unprintable = re.compile(r"[^ -~]").sub
_token = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+").fullmatch


def prove(request: RawRequest, params: Mapping[str, str], credentials: Credentials, nonces: Nonces, now: float) -> Key:
    """The app that signed *request*; its nonce, or else its signature, is used up."""
    fields = request.fields
    app_key = checks.demand_header(request, "X-Ca-Key")
    claimed = checks.demand_header(request, "X-Ca-Signature")
    timestamp = checks.demand_header(request, "X-Ca-Timestamp")
    if fields.get("x-ca-signature-method", "HmacSHA256") != "HmacSHA256":
        raise InvalidSignatureMethod
    named = _named(request)
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
    freshness.use_once(nonces, key, nonce or claimed, at=at, now=now)
    return key


def _named(request: RawRequest) -> list[str]:
    """The headers that the request lists as signed. Their lines are told from the others by being names of headers."""
    named = xca.named_headers(request.fields.get("x-ca-signature-headers", ""))
    if not all(map(_token, named)):
        raise IncompleteSignature(reason="X-Ca-Signature-Headers names what no header can be called")
    return named


def _read(request: RawRequest) -> tuple[dict[str, str], dict[str, str]]:
    """What the signature spells out, and what is asked for: the same, but for a JSON body, which Content-MD5 covers."""
    query = parameters.of_query(request)
    kind = parameters.content_type(request)
    sent_md5, md5 = request.fields.get("content-md5", ""), _md5(request.body)
    if not request.body or kind in {"", "application/x-www-form-urlencoded"}:
        if sent_md5 not in {"", md5, _MD5_OF_NOTHING}:
            raise InvalidParameter(parameter="Content-MD5", rule=_WRONG_MD5)
        form = parameters.of_form(request.body)
        whole = parameters.union(query, form)
        _refuse_ambiguous(query if sent_md5 == md5 else whole, whole)
        return whole, whole
    _refuse_ambiguous(query, query)
    if checks.demand_header(request, "Content-MD5") != md5:
        raise InvalidParameter(parameter="Content-MD5", rule=_WRONG_MD5)
    if kind != "application/json":
        raise InvalidParameter(parameter="Content-Type", rule="a body is a form or JSON")
    return query, parameters.union(query, parameters.of_json(request.body))


def _refuse_ambiguous(params: Mapping[str, str], whole: Mapping[str, str]) -> None:
    """Refuse what the signature would not tell from other parameters: it joins them with nothing encoded.

    *whole* is all that is signed, *params* what nothing else covers.
    """
    if not any("&" in name or "=" in name or "&" in value for name, value in params.items()):
        return
    known = sorted(name for name in whole if _first_word(name) in _meant())
    for name, value in params.items():
        if "&" in name or "=" in name or ("&" in value and _reads_as_two(name, value, known)):
            reason = f"{name} holds what the signature cannot tell from another parameter; {_SEND_MD5}"
            raise IncompleteSignature(reason=reason)


def _reads_as_two(name: str, value: str, known: Sequence[str]) -> bool:
    """Whether the tail of a value could be read as a parameter of its own, so that the value would be cut short.

    One that there is; and, since they are signed in the order of their names,
    any that has its place before the next one of *known*, which were sent and are sorted.
    """
    place = bisect_right(known, name)
    after = known[place] if place < len(known) else None
    tails = [part.partition("=")[0] for part in value.split("&")[1:]]
    return any(_first_word(tail) in _meant() or (tail > name and (after is None or tail < after)) for tail in tails)


def _first_word(name: str) -> str:
    """In lower case."""
    return name.partition(".")[0].partition("[")[0].lower()


def _md5(body: bytes) -> str:
    return b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


def _asked_for(request: RawRequest, served: tuple[Product, ...]) -> tuple[tuple[Product, ...], str]:
    """The versions of the product that the path names, and the action. Raises InvalidProductNotFound, and so on."""
    product, _, action = request.path.removeprefix(_PREFIX).partition("/")
    products = checks.named(served, product)
    action = action.removesuffix("/")
    if not action or "/" in action:
        raise InvalidActionNotFound
    return products, action


def _product(products: tuple[Product, ...], asked: Mapping[str, str]) -> Product:
    """The product in the version that is asked for; the route's own constant asks for none. Raises InvalidVersion."""
    versions = {text for name in ("version", "Version") if (text := asked.get(name)) and text != ROUTE_VERSION}
    found = [checks.of_version(products, version) for version in sorted(versions)]
    return found[0] if found else products[0]


def _region(given: Mapping[str, str]) -> str:
    gateway, own = given.get("regionId"), given.get("RegionId")
    if gateway and own and gateway != own:
        raise InvalidParameter(parameter="RegionId", rule=f"regionId is {gateway} and RegionId is {own}")
    region = own or gateway
    if not region:
        raise MissingParameter(parameter="RegionId")
    return region


def _user(request: RawRequest, users: frozenset[str]) -> str | None:
    """The person, where the app signed who it is: anybody on the way can write another name into a header."""
    email = request.fields.get("useremail") or None
    is_signed = "useremail" in map(str.lower, _named(request))
    if not users:
        return email if is_signed else None
    if email is None:
        raise MissingParameter(parameter="UserEmail")
    if not is_signed:
        raise IncompleteSignature(reason="X-Ca-Signature-Headers must name UserEmail, as the account has users")
    if email not in users:
        raise Forbidden
    return email


class ApsaraDoor:
    """See the module."""

    name = "apsara"
    default: Format = "JSON"

    def __init__(self, products: tuple[Product, ...] = PRODUCTS) -> None:
        self._products = products

    def recognises(self, request: RawRequest) -> bool:
        return request.path.startswith(_PREFIX)

    def admit(self, request: RawRequest, credentials: Credentials, nonces: Nonces, now: float) -> Admitted:
        products, action = _asked_for(request, self._products)
        if request.method != "POST":
            raise UnsupportedHTTPMethodOnlyPost
        signed, asked = _read(request)
        format_ = checks.answer_format(asked.get("Format"), self.default)
        product = _product(products, asked)
        key = prove(request, signed, credentials, nonces, now)
        region = _region(asked)
        email = _user(request, credentials.users(key.account_id))
        given = checks.without_ceremony(asked)
        for name in ("regionId", "version"):
            given.pop(name, None)
        given["RegionId"] = region
        return Admitted(
            account_id=key.account_id,
            key=ActionKey(product, action),
            params=given,
            format=format_,
            access_key_id=key.id,
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
            fields = {"errorSample": told} | told | ids | spelling.envelope(outcome, request_id, request.host, admitted)
            format_ = admitted.format if admitted else checks.refusal_format(request, self.default)
            plain = spelling.failure(outcome, fields, request_id, format_)
        else:
            plain = spelling.success(admitted, ids | dict(outcome), request_id)
        extra = [("x-ca-request-id", request_id)]
        if isinstance(outcome, UnsupportedHTTPMethodOnlyPost):
            extra.append(("allow", "POST"))
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
    """*message* within what a header may hold: lines joined by ``#``, as the gateway does, and ASCII.

    What else cannot be printed is ``?``: a message names what was sent, and no server sends a header with a control
    character in it.
    """
    return _unprintable("?", message.replace("\n", "#"))[:_LONGEST_HEADER]
