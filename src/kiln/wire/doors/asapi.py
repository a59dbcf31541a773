"""The ASAPI door: ``/asapi/v3``, Apsara Stack's own gateway. Its Python SDK, and clients of its Terraform line.

Signed like RPC, in version 2.1 or 1.0, with a JSON body laid over the query:
a name in both counts as the body has it, which is how the SDK signs. What the
query has under such a name is neither signed nor read.

Answers carry ``asapiSuccess``, ``asapiRequestId`` and ``eagleEyeTraceId``
beside the product's own members, in JSON unless Format says XML. The path is
not signed here, and neither is any header: an RPC request that is sent to this
path is proved alike, and means the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kiln.declare.errors import ApiError
from kiln.declare.products import PRODUCTS, Product
from kiln.wire.doors import checks, covered, parameters, rpc, spelling
from kiln.wire.doors.door import Admitted, Answer, Credentials, Format, RawRequest
from kiln.wire.errors import InvalidActionNotFound
from kiln.wire.nonces import Nonces

_PATHS = frozenset({"/asapi/v3", "/asapi/v3/"})


class AsapiDoor:
    """See the module."""

    name = "asapi"
    default: Format = "JSON"

    def __init__(self, products: tuple[Product, ...] = PRODUCTS) -> None:
        self._products = products

    def recognises(self, request: RawRequest) -> bool:
        return request.path.startswith("/asapi/v3")

    def admit(self, request: RawRequest, credentials: Credentials, nonces: Nonces, now: float) -> Admitted:
        checks.check_method(request)
        if request.path not in _PATHS:
            raise InvalidActionNotFound
        signed = parameters.of_query(request) | covered.of_body(request)
        return rpc.admit(request.method, signed, credentials, nonces, now, default=self.default, served=self._products)

    def answer(
        self,
        request: RawRequest,
        outcome: Mapping[str, Any] | ApiError,
        request_id: str,
        admitted: Admitted | None,
    ) -> Answer:
        members = spelling.of_asapi(outcome, request_id)
        if isinstance(outcome, ApiError):
            fields = members | spelling.envelope(outcome, request_id, request.host, admitted)
            format_ = admitted.format if admitted else checks.refusal_format(request, self.default)
            return spelling.failure(outcome, fields, request_id, format_)
        return spelling.success(admitted, members | {"RequestId": request_id} | dict(outcome), request_id)
