"""ACS3 signatures: ``Authorization: ACS3-HMAC-SHA256`` and ``ACS3-HMAC-SM3``.

    canonical       method, path, query, signed headers, their names, hash of the body
    string to sign  algorithm and hash of the canonical request
    signature       hex(HMAC(secret, string to sign))

The hash of the body travels in ``x-acs-content-sha256``, also when it is an
SM3. Parameters in a form body are covered by that hash alone.

Source: Alibaba Cloud's description of the V3 signature.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from kiln.wire.signatures.digests import Hash, digest, keyed
from kiln.wire.signatures.stages import Stages, canonical_query

ALGORITHMS: Mapping[str, Hash] = {"ACS3-HMAC-SHA256": "sha256", "ACS3-HMAC-SM3": "sm3"}

_authorization = re.compile(
    r"(ACS3-[A-Z0-9-]+) +Credential=([^,\s]+), *SignedHeaders=([^,\s]+), *Signature=([^,\s]+)"
).fullmatch


class Authorization(NamedTuple):
    """The header of that name, taken apart."""

    algorithm: str
    key_id: str
    signed_headers: str
    signature: str


def find_authorization(header: str) -> Authorization | None:
    """None when *header* does not have the form that the scheme asks for."""
    found = _authorization(header.strip())
    return Authorization(*found.groups()) if found else None


def hash_body(algorithm: str, body: bytes) -> str:
    """The hash of *body* as the header and the canonical request spell it."""
    return digest(ALGORITHMS[algorithm], body).hex()


def stages(
    *,
    method: str,
    path: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    signed_headers: str,
    body_hash: str,
    secret: str,
    algorithm: str = "ACS3-HMAC-SHA256",
) -> Stages:
    """Sign a request. *headers* are by lower-case name; *signed_headers* is the list as the request spells it.

    Raises KeyError when the list names a header that is not there.
    """
    lines = "".join([f"{name}:{headers[name].strip()}\n" for name in signed_headers.split(";")])
    canonical = f"{method}\n{path}\n{canonical_query(query)}\n{lines}\n{signed_headers}\n{body_hash}"
    hash_ = ALGORITHMS[algorithm]
    string_to_sign = f"{algorithm}\n{digest(hash_, canonical.encode()).hex()}"
    return Stages(canonical, string_to_sign, keyed(hash_, secret.encode(), string_to_sign.encode()).hex())


def sign(
    *,
    method: str,
    host: str,
    action: str,
    version: str,
    query: Mapping[str, str],
    key_id: str,
    secret: str,
    date: str,
    nonce: str,
    body: bytes = b"",
    content_type: str | None = None,
    path: str = "/",
    algorithm: str = "ACS3-HMAC-SHA256",
) -> dict[str, str]:
    """The headers to send, Authorization among them; *date* is ``yyyy-MM-ddTHH:mm:ssZ``."""
    headers = {
        "host": host,
        "x-acs-action": action,
        "x-acs-content-sha256": hash_body(algorithm, body),
        "x-acs-date": date,
        "x-acs-signature-nonce": nonce,
        "x-acs-version": version,
    }
    if content_type is not None:
        headers["content-type"] = content_type
    names = ";".join(sorted(headers))
    signature = stages(
        method=method,
        path=path,
        query=query,
        headers=headers,
        signed_headers=names,
        body_hash=headers["x-acs-content-sha256"],
        secret=secret,
        algorithm=algorithm,
    ).signature
    headers["authorization"] = f"{algorithm} Credential={key_id},SignedHeaders={names},Signature={signature}"
    return headers
