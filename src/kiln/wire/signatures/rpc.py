"""RPC signatures, versions 1.0 and 2.1.

    canonical       every parameter but Signature, sorted, percent-encoded
    string to sign  METHOD & %2F & canonical, percent-encoded once more
    signature       base64(HMAC(secret + "&", string to sign))

The path in the string is always ``/``, whatever the real one is. Version 2.1
differs from 1.0 by its default algorithm (HMAC-SHA256 instead of HMAC-SHA1),
by HMAC-SM3, and by what it makes of the lists, objects and booleans of a JSON
body: see ``flatten``.

Sources: Alibaba Cloud's description of the RPC signature for 1.0; for 2.1,
what Apsara Stack's published Python SDK puts on the wire.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Literal

from kiln.wire.signatures.digests import Hash, keyed
from kiln.wire.signatures.stages import Stages, canonical_query

Version = Literal["1.0", "2.1"]

#: SignatureMethod, by SignatureVersion.
METHODS: Mapping[str, Mapping[str, Hash]] = {
    "1.0": {"HMAC-SHA1": "sha1", "HMAC-SHA256": "sha256"},
    "2.1": {"HMAC-SHA256": "sha256", "HMAC-SHA1": "sha1", "HMAC-SM3": "sm3"},
}


class TwoValues(ValueError):
    """Two values would be signed under one name, so that the signature would cover one of them only."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} would have two values")
        self.name = name


def stages(method: str, params: Mapping[str, str], secret: str, hash_: Hash) -> Stages:
    """Sign *params*, which hold no Signature and are flat."""
    canonical = canonical_query(params)
    # The canonical text is unreserved characters, "%", "=" and "&" only.
    again = canonical.replace("%", "%25").replace("=", "%3D").replace("&", "%26")
    string_to_sign = f"{method}&%2F&{again}"
    signature = keyed(hash_, f"{secret}&".encode(), string_to_sign.encode())
    return Stages(canonical, string_to_sign, b64encode(signature).decode())


def flatten(params: Mapping[str, Any]) -> dict[str, str]:
    """What version 2.1 signs of values that are not text.

    ``true``/``false``; a list under K as K.1, K.2, ...; an object as one text
    of quoted pairs, sorted, with nothing escaped and nested ones quoted again;
    None is left out; all else is its ``str``. Raises TwoValues for
    ``{"K": ["a"], "K.1": "b"}`` and its like.
    """
    flat: dict[str, str] = {}
    for name, value in params.items():
        parts = enumerate(value, 1) if isinstance(value, list) else ((0, value),)
        for n, part in parts:
            if part is not None:
                full = f"{name}.{n}" if n else name
                if full in flat:
                    raise TwoValues(full)
                flat[full] = _text(part)
    return flat


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        pairs = (f'"{name}":"{_text(value[name])}"' for name in sorted(value))
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(f'"{_text(part)}"' for part in value) + "]"
    return str(value)


def sign(
    params: Mapping[str, Any],
    *,
    method: str,
    key_id: str,
    secret: str,
    timestamp: str,
    nonce: str,
    signature_version: Version = "1.0",
    signature_method: str = "HMAC-SHA1",
) -> dict[str, str]:
    """*params* made flat, with the parameters of the signature and the Signature itself.

    *timestamp* is ``yyyy-MM-ddTHH:mm:ssZ``. Send the result as query or form.
    """
    whole = flatten(params) | {
        "AccessKeyId": key_id,
        "SignatureMethod": signature_method,
        "SignatureNonce": nonce,
        "SignatureVersion": signature_version,
        "Timestamp": timestamp,
    }
    whole["Signature"] = stages(method, whole, secret, METHODS[signature_version][signature_method]).signature
    return whole
