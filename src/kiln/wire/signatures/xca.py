"""App signatures: the ``X-Ca-*`` headers of Alibaba's API Gateway.

    canonical       path ? parameters of query and form, sorted, *not* encoded
    string to sign  method, five headers, the headers named in X-Ca-Signature-Headers, canonical
    signature       base64(HMAC-SHA256(app secret, string to sign))

The path is signed, unlike RPC's. An empty parameter is its bare name. Because
nothing is encoded, a value that holds ``&x=y`` reads like two parameters, which
the scheme cannot tell apart: the door refuses those that nothing else covers.

Source: Alibaba Cloud's description of the gateway's digest authentication; its
Python demo's requests verify.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping

from kiln.wire.signatures.digests import keyed
from kiln.wire.signatures.stages import Stages

#: Signed by their place, each on a line of its own, empty when absent.
_PLACED = ("accept", "content-md5", "content-type", "date")

#: Never among the named headers, even when the list names them.
_NOT_NAMED = frozenset({"x-ca-signature", "x-ca-signature-headers", *_PLACED})


def named_headers(listed: str) -> list[str]:
    """The names in an X-Ca-Signature-Headers value that take part, in the order in which they are signed."""
    names = {name for part in listed.split(",") if (name := part.strip())}
    return sorted(name for name in names if name.lower() not in _NOT_NAMED)


def stages(
    method: str,
    path: str,
    params: Mapping[str, str],
    headers: Mapping[str, str],
    named: Iterable[str],
    *,
    secret: str,
) -> Stages:
    """Sign a request. *headers* are by lower-case name; *named* is as the client spells and ``named_headers`` sorts."""
    pairs = "&".join([f"{name}={params[name]}" if params[name] else name for name in sorted(params)])
    canonical = f"{path}?{pairs}" if pairs else path
    lines = [method, *[headers.get(name, "") for name in _PLACED]]
    lines += [f"{name}:{headers.get(name.lower(), '')}" for name in named]
    string_to_sign = "\n".join([*lines, canonical])
    signature = keyed("sha256", secret.encode(), string_to_sign.encode())
    return Stages(canonical, string_to_sign, b64encode(signature).decode())


def sign(
    *,
    path: str,
    params: Mapping[str, str],
    app_key: str,
    secret: str,
    timestamp_ms: int,
    nonce: str,
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The headers to send with *params* as a form; *headers* are further ones, all of which are signed too."""
    whole = {
        "accept": "application/json",
        "content-type": "application/x-www-form-urlencoded; charset=UTF-8",
        "x-ca-key": app_key,
        "x-ca-nonce": nonce,
        "x-ca-timestamp": str(timestamp_ms),
        "x-ca-version": "1",
    } | {name.lower(): value for name, value in (headers or {}).items()}
    named = named_headers(",".join(whole))
    signature = stages(method, path, params, whole, named, secret=secret).signature
    return whole | {"x-ca-signature-headers": ",".join(named), "x-ca-signature": signature}
