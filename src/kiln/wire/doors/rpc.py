"""The RPC door: ``/``, an AccessKey and its Signature among the parameters. Classic SDKs, Packer, Terraform.

Answers in XML unless Format says JSON. Every door that takes this signature
uses ``prove``. Parameters come in the query, in a form or a JSON body, or
both; one that comes twice must come with one value.

This scheme signs no header, so none has a say in what a request means: neither
``x-acs-action``, which classic SDKs send, nor the headers by which clients of
Apsara Stack tell themselves apart when they were told the product's own
endpoint. These only have ASAPI's members added to the answer.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

from kiln.declare.errors import ApiError, MissingParameter
from kiln.declare.products import PRODUCTS, ActionKey, Product
from kiln.wire.doors import checks, covered, freshness, parameters, spelling
from kiln.wire.doors.door import Admitted, Answer, Credentials, Format, RawRequest
from kiln.wire.errors import (
    InvalidActionNotFound,
    InvalidParamater,
    InvalidSignatureMethod,
    MissingAccessKeyId,
    SignatureDoesNotMatch,
)
from kiln.wire.key import Key
from kiln.wire.nonces import Nonces
from kiln.wire.signatures import rpc
from kiln.wire.signatures.digests import Hash


def prove(method: str, signed: dict[str, str], credentials: Credentials, nonces: Nonces, now: float) -> Key:
    """The key that signed these parameters; its nonce is used up.

    Takes ``Signature`` out of them. Raises the ApiError that says what is
    missing, not spoken, stale, unknown, wrong or replayed.
    """
    claimed = signed.pop("Signature", "")
    key_id = signed.get("AccessKeyId")
    if not key_id:
        raise MissingAccessKeyId
    if not claimed:
        raise MissingParameter(parameter="Signature")
    hash_ = _hash(signed)
    nonce = checks.demand(signed, "SignatureNonce")
    timestamp = checks.demand(signed, "Timestamp")
    at = freshness.of_utc(timestamp)
    freshness.check_clock(at, now)
    key = checks.signer(credentials, key_id, signed.get("SecurityToken"), now)
    stages = rpc.stages(method, signed, key.secret, hash_)
    if not hmac.compare_digest(stages.signature.encode(), claimed.encode()):
        raise SignatureDoesNotMatch(string_to_sign=stages.string_to_sign)
    freshness.use_once(nonces, key, nonce, at=at, now=now)
    return key


def _hash(signed: Mapping[str, str]) -> Hash:
    methods = rpc.METHODS.get(checks.demand(signed, "SignatureVersion"))
    if methods is None:
        raise InvalidParamater(parameter="SignatureVersion")
    hash_ = methods.get(checks.demand(signed, "SignatureMethod"))
    if hash_ is None:
        raise InvalidSignatureMethod
    return hash_


def admit(
    method: str,
    signed: dict[str, str],
    credentials: Credentials,
    nonces: Nonces,
    now: float,
    *,
    default: Format,
    served: tuple[Product, ...],
) -> Admitted:
    """What these parameters ask of the products *served*, once they are proved. Nothing else has a say in it."""
    format_ = checks.answer_format(signed.get("Format"), default)
    products = checks.named(served, signed.get("Product") or None)
    action = checks.demand(signed, "Action")
    product = checks.of_version(products, checks.demand(signed, "Version"))
    key = prove(method, signed, credentials, nonces, now)
    given = checks.without_ceremony(covered.given(signed))
    given.pop("Product", None)
    return Admitted(
        account_id=key.account_id,
        key=ActionKey(product, action),
        params=given,
        format=format_,
        access_key_id=key.id,
        session=key.session,
    )


class RpcDoor:
    """See the module."""

    name = "rpc"
    default: Format = "XML"

    def __init__(self, products: tuple[Product, ...] = PRODUCTS) -> None:
        self._products = products

    def recognises(self, request: RawRequest) -> bool:  # noqa: ARG002 - this door takes what no other does.
        return True

    def admit(self, request: RawRequest, credentials: Credentials, nonces: Nonces, now: float) -> Admitted:
        checks.check_method(request)
        if request.path.strip("/"):  # Of an endpoint with a slash at its end clients make "//".
            raise InvalidActionNotFound
        signed = dict(parameters.union(parameters.of_query(request), covered.of_body(request)))
        return admit(request.method, signed, credentials, nonces, now, default=self.default, served=self._products)

    def answer(
        self,
        request: RawRequest,
        outcome: Mapping[str, Any] | ApiError,
        request_id: str,
        admitted: Admitted | None,
    ) -> Answer:
        members = spelling.of_asapi(outcome, request_id) if _tells_of_asapi(request) else {}
        if isinstance(outcome, ApiError):
            format_ = admitted.format if admitted else checks.refusal_format(request, self.default)
            fields = members | spelling.envelope(outcome, request_id, request.host, admitted)
            return spelling.failure(outcome, fields, request_id, format_)
        return spelling.success(admitted, members | {"RequestId": request_id} | dict(outcome), request_id)


_TELLING = frozenset({
    "x-acs-asapi-gateway-version",
    "x-acs-asapi-product",
    "x-ascm-product-name",
    "x-ascm-sign-version",
})  # fmt: skip


def _tells_of_asapi(request: RawRequest) -> bool:
    """Whether the client is one that looks for ``asapiSuccess`` in an answer, wherever it sent its request."""
    return not _TELLING.isdisjoint(request.fields)
