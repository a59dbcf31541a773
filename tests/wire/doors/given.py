"""Signed requests and the people who may send them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import Any

from kiln.wire.doors import choose
from kiln.wire.doors.door import Admitted, RawRequest
from kiln.wire.key import Key
from kiln.wire.nonces import MemoryNonces, Nonces
from kiln.wire.signatures import acs3, rpc, xca
from kiln.wire.signatures.stages import canonical_query
from tests.wire.raw import raw_request

NOW = 1795416140.0
STAMP = "2026-11-23T06:42:20Z"
FORM = "application/x-www-form-urlencoded"

_numbers = itertools.count()


def a_nonce() -> str:
    return f"nonce-{next(_numbers):012}"


class Known:
    """Credentials of one account, in memory."""

    def __init__(self, *, active: bool = True, users: frozenset[str] = frozenset()) -> None:
        self._users = users
        self._key = Key(id="AKIDTEST", secret="SECRETTEST", account_id="acme", active=active)
        self._app = Key(id="APPKEYTEST", secret="APPSECRETTEST", account_id="acme", active=active)

    def access_key(self, key_id: str) -> Key | None:
        return self._key if key_id == "AKIDTEST" else None

    def session(self, token: str) -> Key | None:
        return None

    def app(self, app_key: str) -> Key | None:
        return self._app if app_key == "APPKEYTEST" else None

    def instance(self, instance_id: str, role: str) -> Key | None:
        return None

    def users(self, account_id: str) -> frozenset[str]:
        return self._users


def admit(
    request: RawRequest, *, known: Known | None = None, nonces: Nonces | None = None, now: float = NOW
) -> Admitted:
    return choose(request).admit(request, known or Known(), nonces or MemoryNonces(), now)


def without(params: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in params.items() if name not in names}


def rpc_params(*, method: str = "POST", drop: str = "", secret: str = "SECRETTEST", **more: str) -> dict[str, str]:
    """Signed parameters of a DescribeImages, without *drop* and with *more*."""
    params = {
        "Action": "DescribeImages",
        "Version": "2014-05-26",
        "Format": "JSON",
        "RegionId": "cn-qingdao-env17-d01",
        "ImageName": "a b/中文~*+",
        "Tag.1.Value": "",
        "AccessKeyId": "AKIDTEST",
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SignatureNonce": a_nonce(),
        "Timestamp": STAMP,
    } | more
    params.pop(drop, None)
    hash_ = rpc.METHODS.get(params.get("SignatureVersion", ""), {}).get(params.get("SignatureMethod", ""), "sha1")
    return params | {"Signature": rpc.stages(method, params, secret, hash_).signature}


def a_query(
    params: Mapping[str, str], *, method: str = "POST", path: str = "/", headers: Mapping[str, str] | None = None
) -> RawRequest:
    """*params* in the query of an otherwise empty request."""
    named = {"host": "ecs.example:8787", **(headers or {})}
    return raw_request(method, f"{path}?{canonical_query(params)}", list(named.items()), b"")


def an_rpc_request(*, method: str = "POST", drop: str = "", secret: str = "SECRETTEST", **more: str) -> RawRequest:
    return a_query(rpc_params(method=method, drop=drop, secret=secret, **more), method=method)


def an_acs3_request(
    *,
    drop: str = "",
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    body: bytes = b"",
    date: str = STAMP,
    nonce: str | None = None,
    key_id: str = "AKIDTEST",
    secret: str = "SECRETTEST",
    version: str = "2014-05-26",
    algorithm: str = "ACS3-HMAC-SHA256",
    path: str = "/",
) -> RawRequest:
    """A signed DescribeImages, with *headers* laid over the signed ones and *drop* taken out afterwards."""
    query = {"RegionId": "cn-qingdao-env17-d01", "ImageName": "a b"} if query is None else query
    signed = acs3.sign(
        method="POST",
        host="ecs.example:8787",
        action="DescribeImages",
        version=version,
        query=query,
        body=body,
        content_type=FORM if body else None,
        key_id=key_id,
        secret=secret,
        date=date,
        nonce=a_nonce() if nonce is None else nonce,
        algorithm=algorithm,
        path=path,
    )
    sent = without({**signed, **(headers or {})}, drop)
    return raw_request("POST", f"{path}?{canonical_query(query)}", list(sent.items()), body)


def an_asapi_request(
    body: Mapping[str, Any] | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    path: str = "/asapi/v3/",
    method_name: str = "HMAC-SHA256",
    **query: str,
) -> RawRequest:
    """A signed DescribeImages as the SDK sends it: all parameters in the query, and *body* as JSON with all of them."""
    common = {"Product": "Ecs", "Action": "DescribeImages", "Version": "2014-05-26", "SignatureType": "", **query}
    signed = rpc.sign(
        {**common, **(body or {})},
        method="POST",
        key_id="AKIDTEST",
        secret="SECRETTEST",
        timestamp=STAMP,
        nonce=a_nonce(),
        signature_version="2.1",
        signature_method=method_name,
    )
    in_query = without(signed, *rpc.flatten(body or {})) | query
    named = {"host": "asapi.example", "content-type": "application/json", **(headers or {})}
    sent = {**in_query, **body} if body is not None else None
    raw = json.dumps(sent).encode() if sent is not None else b""
    return raw_request("POST", f"{path}?{canonical_query(in_query)}", list(named.items()), raw)


def an_apsara_request(
    *,
    params: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    unsigned: Mapping[str, str] | None = None,
    drop: str = "",
    path: str = "/apsara/route/Ecs/CreateImage",
    timestamp_ms: int = int(NOW * 1000),
    nonce: str | None = None,
    app_key: str = "APPKEYTEST",
    secret: str = "APPSECRETTEST",
    method: str = "POST",
) -> RawRequest:
    """A signed CreateImage as a form; *headers* are signed too, *unsigned* ones are laid over, *drop* taken out."""
    form = {"RegionId": "cn-qingdao-env17-d01", "ImageName": "Test 中文", "Tag.1.Value": ""}
    form = form if params is None else dict(params)
    signed = xca.sign(
        path=path,
        params=form,
        app_key=app_key,
        secret=secret,
        timestamp_ms=timestamp_ms,
        nonce=a_nonce() if nonce is None else nonce,
        method=method,
        headers=headers,
    )
    sent = without({"host": "apsara.example", **signed, **(unsigned or {})}, drop)
    return raw_request(method, path, list(sent.items()), canonical_query(form).encode())
