"""Signs requests: ACS3-HMAC-SHA256, the scheme of the current SDKs.

    canonical       method, path, query, signed headers, their names, hash of the body
    string to sign  algorithm and hash of the canonical request
    signature       hex(HMAC(secret, string to sign))

Source: Alibaba Cloud's description of the V3 signature. Every header that is
given is signed.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import quote

ALGORITHM = "ACS3-HMAC-SHA256"


def encode(params: Mapping[str, str]) -> str:
    """Parameters as a canonical query, which is also a valid query and a valid form: sorted, RFC 3986."""
    return "&".join(f"{_escape(name)}={_escape(value)}" for name, value in sorted(params.items()))


def hash_body(body: bytes) -> str:
    """The value of ``x-acs-content-sha256``."""
    return hashlib.sha256(body).hexdigest()


def canonical(
    method: str, query: Mapping[str, str], headers: Mapping[str, str], body_hash: str, path: str = "/"
) -> str:
    """The canonical request; *headers* are by lower-case name."""
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in sorted(headers))
    return f"{method}\n{path}\n{encode(query)}\n{lines}\n{signed_names(headers)}\n{body_hash}"


def sign(secret: str, canonical_request: str) -> str:
    """The signature of a canonical request."""
    string_to_sign = f"{ALGORITHM}\n{hashlib.sha256(canonical_request.encode()).hexdigest()}"
    return hmac.new(secret.encode(), string_to_sign.encode(), hashlib.sha256).hexdigest()


def signed_names(headers: Mapping[str, str]) -> str:
    """The list of signed headers as the request spells it."""
    return ";".join(sorted(headers))


def authorization(
    key_id: str, secret: str, method: str, headers: Mapping[str, str], body_hash: str, *, path: str = "/"
) -> str:
    """The ``Authorization`` header of a request whose parameters all travel in its body."""
    signature = sign(secret, canonical(method, {}, headers, body_hash, path))
    return f"{ALGORITHM} Credential={key_id},SignedHeaders={signed_names(headers)},Signature={signature}"


def _escape(text: str) -> str:
    return quote(text, safe="~")
