"""What the answers of all doors have in common."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from kiln.declare.errors import ApiError
from kiln.declare.products import PRODUCTS
from kiln.wire import encode
from kiln.wire.doors.door import Admitted, Answer, Format

#: Some clients compare these letter by letter.
_CONTENT_TYPES: Mapping[Format, str] = {
    "JSON": "application/json;charset=utf-8",
    "XML": "text/xml;charset=utf-8",
}


def envelope(error: ApiError, request_id: str, host: str, admitted: Admitted | None) -> dict[str, Any]:
    """The members of every failed answer, in the service's order."""
    product = admitted.key.product if admitted else PRODUCTS[0]
    asked = urlencode({"q": error.code, "product": product.name, "requestId": request_id})
    recommend = f"https://api.aliyun.com/troubleshoot?{asked}"
    return {
        "RequestId": request_id,
        "HostId": host,
        "Code": error.code,
        "Message": str(error),
        "Recommend": recommend,
    }


def of_asapi(outcome: Mapping[str, Any] | ApiError, request_id: str) -> dict[str, Any]:
    """The members that ASAPI's clients look for beside the product's own."""
    fields: dict[str, Any] = {
        # The trace id is 30 hexadecimal digits; made from the request's own, it leads to the same log lines.
        "eagleEyeTraceId": request_id.replace("-", "").lower()[:30],
        "asapiSuccess": not isinstance(outcome, ApiError),
        "asapiRequestId": request_id,
    }
    if isinstance(outcome, ApiError):
        fields |= {"asapiErrorCode": outcome.code, "asapiErrorMessage": str(outcome)}
    return fields


def success(admitted: Admitted | None, fields: Mapping[str, Any], request_id: str) -> Answer:
    """The answer of an operation that ran."""
    assert admitted is not None, "only an admitted request has a result"
    return _answer(200, f"{admitted.key.action}Response", fields, request_id, admitted.format)


def failure(error: ApiError, fields: Mapping[str, Any], request_id: str, format_: Format) -> Answer:
    """The answer of an operation, or of a door, that refused."""
    plain = _answer(error.status, "Error", fields, request_id, format_)
    return plain if not error.retry_after_s else Answer(plain.status, (*plain.headers, *_later(error)), plain.body)


def _later(error: ApiError) -> list[tuple[str, str]]:
    """When to come again: in milliseconds for the SDKs, which wait for nothing else, and as HTTP has it."""
    told = [("x-acs-retry-after", str(error.retry_after_s * 1000))]
    if error.status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
        told.append(("retry-after", str(error.retry_after_s)))
    return told


def _answer(status: int, root: str, fields: Mapping[str, Any], request_id: str, format_: Format) -> Answer:
    body = encode.to_json(fields) if format_ == "JSON" else encode.to_xml(root, fields)
    return Answer(status, (("content-type", _CONTENT_TYPES[format_]), ("x-acs-request-id", request_id)), body)
