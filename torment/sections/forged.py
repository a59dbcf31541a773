"""Requests that somebody between client and server has touched: refused, or understood as they were signed.

Every try signs a request as one of the real clients does, changes something
that the signature may not cover, and shows it to the doors. A request that is
let in has to mean what was signed; a second showing of it is refused.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from random import Random
from typing import Any
from urllib.parse import quote

from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.products import ActionKey
from kiln.operations import ALL
from kiln.wire.doors import choose
from kiln.wire.doors.door import Admitted, RawRequest
from kiln.wire.nonces import MemoryNonces
from tests.fuzz.requests import WAYS
from tests.fuzz.target import OneAccount
from tests.samples import Place as Parameter
from tests.samples import least, places
from torment.campaign import Outcome, Place, Verdict

_NOW = 1_795_000_000.0
_VALUES = ("1", "true", "elsewhere", "i-00000000000000000000", '{"Size":"400"}', '[{"Size":400}]', '["a"]', "")
_HEADERS = (
    "x-acs-action", "x-acs-version", "x-acs-regionid", "regionid", "x-acs-asapi-product", "x-ascm-product-name",
    "x-ascm-sign-version", "x-acs-asapi-gateway-version", "x-acs-parent-id", "x-acs-security-token", "x-ca-stage",
    "x-http-method-override", "x-original-url", "x-forwarded-host", "authorization", "x-ca-key", "x-ca-signature",
    "content-type", "x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256", "transfer-encoding",
)  # fmt: skip
_TYPES = (
    "application/json",
    "application/x-www-form-urlencoded",
    "text/plain",
    "multipart/form-data",
    "APPLICATION/JSON",
)


def run(place: Place) -> Iterator[Outcome]:
    """See the module."""
    nonces = MemoryNonces()
    parametric = [operation for operation in ALL if any(places(operation))]
    for _ in range(place.tries):
        operation = place.chance.choice(parametric)
        parameter = place.chance.choice(list(places(operation)))
        yield _try(operation, parameter, place.chance, nonces)


def _try(operation: Operation[Any, Any, Any], parameter: Parameter, chance: Random, nonces: MemoryNonces) -> Outcome:
    way, touch = chance.choice(WAYS), chance.choice(list(_TOUCHES))
    subject = f"{way.__name__} {operation.name}, {touch} {parameter.name}"
    # Each half of the time the parameter is in what was signed, too.
    signed = dict(least(operation.input))
    if chance.random() < 0.5:
        signed |= {parameter.name: chance.choice(_VALUES[:-1])}
    request = way(operation.name, signed, _NOW)
    touched = _TOUCHES[touch](request, parameter, chance)
    try:
        meant = _admit(way(operation.name, signed, _NOW), nonces)
        understood = _admit(touched, nonces)
        if understood is not None and _meaning(understood) != _meaning(meant):
            return Outcome(subject, Verdict.ACCEPTED, f"{_meaning(understood)} instead of {_meaning(meant)}")
        if understood is not None and _admit(touched, nonces) is not None:
            return Outcome(subject, Verdict.ACCEPTED, "the same request a second time")
    except Exception:  # noqa: BLE001 - anything but a refusal is what is looked for.
        return Outcome(subject, Verdict.FAILED, traceback.format_exc(limit=-2).replace("\n", " | "))
    return Outcome(subject)


def _admit(request: RawRequest, nonces: MemoryNonces) -> Admitted | None:
    try:
        return choose(request).admit(request, OneAccount(), nonces, _NOW)
    except ApiError:
        return None


def _meaning(admitted: Admitted | None) -> tuple[str, ActionKey, Mapping[str, str]] | None:
    return None if admitted is None else (admitted.account_id, admitted.key, admitted.params)


def _in_query(request: RawRequest, parameter: Parameter, chance: Random) -> RawRequest:
    more = f"{quote(_name(parameter, chance))}={quote(chance.choice(_VALUES))}"
    query = request.query_string.decode("latin-1")
    joined = chance.choice([f"{query}&{more}", f"{more}&{query}"]) if query else more
    return replace(request, query_string=joined.encode("latin-1"))


def _in_form(request: RawRequest, parameter: Parameter, chance: Random) -> RawRequest:
    more = f"{quote(_name(parameter, chance))}={quote(chance.choice(_VALUES))}".encode()
    headers = [pair for pair in request.headers if pair[0] != "content-type"]
    headers.append(("content-type", chance.choice(_TYPES)))
    return replace(request, headers=headers, body=request.body + (b"&" if request.body else b"") + more)


def _in_json(request: RawRequest, parameter: Parameter, chance: Random) -> RawRequest:
    try:
        found = json.loads(request.body or b"{}")
    except ValueError:
        found = {}
    head, *rest = _name(parameter, chance).split(".")
    value: object = chance.choice(_VALUES)
    for part in reversed(rest):
        value = [value] if part.isdecimal() else {part: value}
    found[head] = value
    headers = [pair for pair in request.headers if pair[0] != "content-type"]
    headers.append(("content-type", chance.choice(_TYPES)))
    return replace(request, headers=headers, body=json.dumps(found).encode())


def _in_header(request: RawRequest, _: Parameter, chance: Random) -> RawRequest:
    name = chance.choice(_HEADERS)
    value = chance.choice(["DeleteImage", "cn-hangzhou", "2016-01-01", "Vpc", "1", *_TYPES])
    kept = [pair for pair in request.headers if pair[0] != name] if chance.random() < 0.5 else request.headers
    return replace(request, headers=[*kept, (name, value)])


def _other_method(request: RawRequest, _: Parameter, chance: Random) -> RawRequest:
    return replace(request, method=chance.choice(["GET", "PUT", "DELETE", "HEAD", "POST "]))


def _other_path(request: RawRequest, _: Parameter, chance: Random) -> RawRequest:
    path = chance.choice(
        ["/", "//", "/asapi/v3", "/apsara/route/Ecs/DeleteImage", "/apsara/route/Vpc/x", "/./", "/%2f"]
    )
    return replace(request, path=path)


def _moved(request: RawRequest, _: Parameter, __: Random) -> RawRequest:
    """What was in the query comes as a form, and the other way round."""
    body, query = request.query_string, request.body
    headers = [pair for pair in request.headers if pair[0] != "content-type"]
    headers.append(("content-type", _TYPES[1]))
    return replace(request, headers=headers, body=body, query_string=query)


def _as_it_was(request: RawRequest, _: Parameter, __: Random) -> RawRequest:
    return request


def _name(parameter: Parameter, chance: Random) -> str:
    """The parameter, or what it is part of, in one of several spellings."""
    name = parameter.name
    head = name.partition(".")[0]
    return chance.choice([name, name, head, f"{head}.1", name.lower(), name.replace(".1", "[0]"), f"{name}.1"])


_TOUCHES: Mapping[str, Callable[[RawRequest, Parameter, Random], RawRequest]] = {
    "query with": _in_query,
    "form with": _in_form,
    "body with": _in_json,
    "header beside": _in_header,
    "method beside": _other_method,
    "path beside": _other_path,
    "moved with": _moved,
    "untouched with": _as_it_was,
}
