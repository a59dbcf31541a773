"""The ASAPI door: ``/asapi/v3``, Apsara Stack's own gateway. Its Python SDK, and clients of its Terraform line.

Signed like RPC, in version 2.1 or 1.0, with a JSON body laid over the query:
a name in both counts as the body has it, which is how the SDK signs. Lists of
objects may come as JSON (``"Tag": [{"Key": ..}]``), or in a query as
``Tag.1={"Key":..}``; operations see ``Tag.1.Key`` either way.

Answers carry ``asapiSuccess``, ``asapiRequestId`` and ``eagleEyeTraceId``
beside the product's own members, in JSON unless Format says XML.

Clients of this family that were told the product's own endpoint send to ``/``
and still read those members; headers that only they send tell them apart.
A region may come in the header ``x-acs-regionid`` or ``RegionId``, and counts
where no parameter names one: headers are not signed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kiln.declare.errors import ApiError
from kiln.wire.doors import checks, parameters, rpc, spelling
from kiln.wire.doors.door import Admitted, Answer, Credentials, Format, RawRequest
from kiln.wire.errors import InvalidActionNotFound, InvalidProductNotFound
from kiln.wire.nonces import Nonces

_PATHS = frozenset({"/asapi/v3", "/asapi/v3/", "/", ""})

_TELLING = frozenset({
    "x-acs-asapi-gateway-version",
    "x-acs-asapi-product",
    "x-ascm-product-name",
    "x-ascm-sign-version",
})  # fmt: skip


class AsapiDoor:
    """See the module."""

    name = "asapi"
    default: Format = "JSON"

    def recognises(self, request: RawRequest) -> bool:
        return request.path.startswith("/asapi/v3") or not _TELLING.isdisjoint(request.fields)

    def admit(self, request: RawRequest, credentials: Credentials, nonces: Nonces, now: float) -> Admitted:
        checks.check_method(request)
        if request.path not in _PATHS:
            raise InvalidActionNotFound
        params = parameters.overlay(parameters.of_query(request), parameters.of_body(request))
        format_ = checks.answer_format(params.signed.get("Format"), self.default)
        if params.signed.get("Product", checks.PRODUCT).lower() != checks.PRODUCT:
            raise InvalidProductNotFound
        action = checks.demand(params.signed, "Action")
        checks.check_version(checks.demand(params.signed, "Version"))
        key = rpc.prove(request.method, params, credentials, nonces, now)
        given = parameters.spread_objects(checks.without_ceremony(params.given))
        given.pop("Product", None)
        region = given.get("RegionId") or request.fields.get("x-acs-regionid") or request.fields.get("regionid")
        if region:
            given["RegionId"] = region
        return Admitted(
            account_id=key.account_id,
            action=action,
            params=given,
            format=format_,
            region=region or None,
            key_id=key.id,
        )

    def answer(
        self,
        request: RawRequest,
        outcome: Mapping[str, Any] | ApiError,
        request_id: str,
        admitted: Admitted | None,
    ) -> Answer:
        failed = isinstance(outcome, ApiError)
        fields: dict[str, Any] = {
            # The trace id is 30 hexadecimal digits; made from the request's own, it leads to the same log lines.
            "eagleEyeTraceId": request_id.replace("-", "").lower()[:30],
            "asapiSuccess": not failed,
            "asapiRequestId": request_id,
        }
        if isinstance(outcome, ApiError):
            fields |= {"asapiErrorCode": outcome.code, "asapiErrorMessage": str(outcome)}
            fields |= spelling.envelope(outcome, request_id, request.host)
            format_ = admitted.format if admitted else checks.refusal_format(request, self.default)
            return spelling.failure(outcome, fields, request_id, format_)
        return spelling.success(admitted, fields | {"RequestId": request_id} | dict(outcome), request_id)
