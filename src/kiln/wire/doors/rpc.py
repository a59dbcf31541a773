"""The RPC door: ``/``, an AccessKey and its Signature among the parameters. Classic SDKs, Packer, Terraform.

Answers in XML unless Format says JSON. Every door that takes this signature
uses ``prove``. Parameters come in the query, in a form, or both; one that
comes twice must come with one value.

``x-acs-action`` is not looked at: this scheme signs no header, so whoever
stands between could turn one operation into another.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

from kiln.declare.errors import ApiError, MissingParameter
from kiln.wire.doors import checks, freshness, parameters, spelling
from kiln.wire.doors.door import Admitted, Answer, Credentials, Format, Key, RawRequest
from kiln.wire.errors import (
    InvalidActionNotFound,
    InvalidParamater,
    InvalidSignatureMethod,
    MissingAccessKeyId,
    SignatureDoesNotMatch,
)
from kiln.wire.nonces import Nonces
from kiln.wire.signatures import rpc
from kiln.wire.signatures.digests import Hash


def prove(method: str, params: parameters.Parameters, credentials: Credentials, nonces: Nonces, now: float) -> Key:
    """The key that signed *params*; its nonce is used up.

    Takes ``Signature`` out of the signed parameters. Raises the ApiError that
    says what is missing, not spoken, stale, unknown, wrong or replayed.
    """
    signed = params.signed
    claimed = signed.pop("Signature", "")
    key_id = signed.get("AccessKeyId")
    if not key_id:
        raise MissingAccessKeyId
    if not claimed:
        raise MissingParameter(parameter="Signature")
    hash_ = _hash(signed)
    nonce = checks.demand(signed, "SignatureNonce")
    timestamp = checks.demand(signed, "Timestamp")
    checks.check_token(signed.get("SecurityToken"))
    at = freshness.of_utc(timestamp)
    freshness.check_clock(at, now)
    key = checks.active(credentials.access_key(key_id))
    stages = rpc.stages(method, signed, key.secret, hash_)
    if not hmac.compare_digest(stages.signature.encode(), claimed.encode()):
        raise SignatureDoesNotMatch(string_to_sign=stages.string_to_sign)
    freshness.use_once(nonces, key.id, nonce, at=at, now=now)
    return key


def _hash(signed: Mapping[str, str]) -> Hash:
    methods = rpc.METHODS.get(checks.demand(signed, "SignatureVersion"))
    if methods is None:
        raise InvalidParamater(parameter="SignatureVersion")
    hash_ = methods.get(checks.demand(signed, "SignatureMethod"))
    if hash_ is None:
        raise InvalidSignatureMethod
    return hash_


class RpcDoor:
    """See the module."""

    name = "rpc"
    default: Format = "XML"

    def recognises(self, request: RawRequest) -> bool:  # noqa: ARG002 - this door takes what no other does.
        return True

    def admit(self, request: RawRequest, credentials: Credentials, nonces: Nonces, now: float) -> Admitted:
        checks.check_method(request)
        if request.path not in {"/", ""}:
            raise InvalidActionNotFound
        params = parameters.union(parameters.of_query(request), parameters.of_body(request))
        format_ = checks.answer_format(params.signed.get("Format"), self.default)
        action = checks.demand(params.signed, "Action")
        checks.check_version(checks.demand(params.signed, "Version"))
        key = prove(request.method, params, credentials, nonces, now)
        given = checks.without_ceremony(params.given)
        return Admitted(
            account_id=key.account_id,
            action=action,
            params=given,
            format=format_,
            region=given.get("RegionId") or None,
            key_id=key.id,
        )

    def answer(
        self,
        request: RawRequest,
        outcome: Mapping[str, Any] | ApiError,
        request_id: str,
        admitted: Admitted | None,
    ) -> Answer:
        if isinstance(outcome, ApiError):
            format_ = admitted.format if admitted else checks.refusal_format(request, self.default)
            return spelling.failure(outcome, spelling.envelope(outcome, request_id, request.host), request_id, format_)
        return spelling.success(admitted, {"RequestId": request_id} | dict(outcome), request_id)
