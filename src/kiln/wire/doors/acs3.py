"""The ACS3 door: ``/`` with an ``Authorization: ACS3-...`` header. Current SDKs. Answers in JSON.

The signed headers are those that the request lists, as clients differ in what
they sign. What this door acts upon must be among them: the host, the time
and the nonce, every header of ``_SIGNED_IF_PRESENT`` that was sent, and
Content-Type when there is a body to read by it. The body is covered by its
hash, which is computed here and must also be the one that was sent.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

from kiln.declare.cloud import region_in
from kiln.declare.errors import ApiError
from kiln.declare.products import PRODUCTS, ActionKey, Product
from kiln.wire.doors import checks, freshness, parameters, spelling
from kiln.wire.doors.door import Admitted, Answer, Credentials, RawRequest
from kiln.wire.errors import (
    IncompleteSignature,
    InvalidActionNotFound,
    InvalidSignatureMethod,
    SignatureDoesNotMatchAcs3,
)
from kiln.wire.key import Key
from kiln.wire.nonces import Nonces
from kiln.wire.signatures import acs3

_SIGNED_ALWAYS = ("host", "x-acs-date", "x-acs-signature-nonce")

_SIGNED_IF_PRESENT = (
    "x-acs-action",
    "x-acs-content-sha256",
    "x-acs-security-token",
    "x-acs-version",
)


def prove(request: RawRequest, query: Mapping[str, str], credentials: Credentials, nonces: Nonces, now: float) -> Key:
    """The key that signed *request*; its nonce is used up."""
    fields = request.fields
    authorization = acs3.find_authorization(fields.get("authorization", ""))
    if authorization is None:
        raise IncompleteSignature(reason="the Authorization header has another form")
    algorithm, key_id, names, claimed = authorization
    if algorithm not in acs3.ALGORITHMS:
        raise InvalidSignatureMethod
    date = checks.demand_header(request, "x-acs-date")
    nonce = checks.demand_header(request, "x-acs-signature-nonce")
    _check_coverage(fields, names, has_body=bool(request.body))
    at = freshness.of_utc(date)
    freshness.check_clock(at, now)
    key = checks.signer(credentials, key_id, fields.get("x-acs-security-token"), now)
    body_hash = acs3.hash_body(algorithm, request.body)
    stages = acs3.stages(
        method=request.method,
        path=request.path or "/",
        query=query,
        headers=fields,
        signed_headers=names,
        body_hash=body_hash,
        secret=key.secret,
        algorithm=algorithm,
    )
    same_body = fields.get("x-acs-content-sha256", body_hash) == body_hash
    if not (hmac.compare_digest(stages.signature.encode(), claimed.encode()) and same_body):
        raise SignatureDoesNotMatchAcs3(string_to_sign=stages.string_to_sign, canonical=stages.canonical)
    freshness.use_once(nonces, key, nonce, at=at, now=now)
    return key


def _check_coverage(fields: Mapping[str, str], names: str, *, has_body: bool) -> None:
    signed = names.split(";")
    for name in signed:
        if name not in fields:
            raise IncompleteSignature(reason=f"the signed header {name} was not sent")
    for name in _SIGNED_ALWAYS:
        if name not in signed:
            raise IncompleteSignature(reason=f"the header {name} must be signed")
    for name in (*_SIGNED_IF_PRESENT, "content-type") if has_body else _SIGNED_IF_PRESENT:
        if name in fields and name not in signed:
            raise IncompleteSignature(reason=f"the header {name} must be signed")


class Acs3Door:
    """See the module."""

    name = "acs3"

    def __init__(self, products: tuple[Product, ...] = PRODUCTS) -> None:
        self._products = products

    def recognises(self, request: RawRequest) -> bool:
        return request.fields.get("authorization", "").startswith("ACS3-")

    def admit(self, request: RawRequest, credentials: Credentials, nonces: Nonces, now: float) -> Admitted:
        checks.check_method(request)
        if request.path.strip("/"):  # Of an endpoint with a slash at its end clients make "//".
            raise InvalidActionNotFound
        query = parameters.of_query(request)
        given = parameters.union(query, parameters.of_body(request))
        action = _header_or_parameter(request, given, "x-acs-action", "Action")
        version = _header_or_parameter(request, given, "x-acs-version", "Version")
        product = checks.of_version(checks.named(self._products, given.get("Product") or None), version)
        key = prove(request, query, credentials, nonces, now)
        params = checks.without_ceremony(given)
        return Admitted(
            account_id=key.account_id,
            key=ActionKey(product, action),
            params=params,
            format="JSON",
            access_key_id=key.id,
            session=key.session,
            region=region_in(request.host),
        )

    def answer(
        self,
        request: RawRequest,
        outcome: Mapping[str, Any] | ApiError,
        request_id: str,
        admitted: Admitted | None,
    ) -> Answer:
        if isinstance(outcome, ApiError):
            fields = spelling.envelope(outcome, request_id, request.host, admitted)
            return spelling.failure(outcome, fields, request_id, "JSON")
        return spelling.success(admitted, {"RequestId": request_id} | dict(outcome), request_id)


def _header_or_parameter(request: RawRequest, given: Mapping[str, str], header: str, parameter: str) -> str:
    return request.fields.get(header) or checks.demand(given, parameter)
