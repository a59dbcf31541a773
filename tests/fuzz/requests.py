"""Whole requests: parameters of an operation, signed for one of the doors."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from hypothesis import strategies as st

from kiln.declare.operation import Operation
from kiln.declare.products import ActionKey
from kiln.declare.shapes import Field, fields_of
from kiln.wire.doors.door import RawRequest
from kiln.wire.signatures import acs3, rpc, xca
from kiln.wire.signatures.stages import canonical_query
from tests.catalogue import key_of
from tests.fuzz import values
from tests.wire.raw import raw_request

KEY_ID, SECRET = "AKIDTEST", "SECRETTEST"
APP_KEY, APP_SECRET = "APPKEYTEST", "APPSECRETTEST"
HOST = "ecs.example:8787"
FORM = "application/x-www-form-urlencoded"

_numbers = itertools.count()


@st.composite
def parameters(draw: Any, operation: Operation, known: Mapping[str, list[str]], region: str) -> dict[str, str]:
    """What somebody might send for *operation*: what it needs, some of what it takes, and now and then neither."""
    found: dict[str, str] = {"RegionId": region}
    fields = [f for f in operation.parameters if f.name != "region_id"]
    optional = tuple(f for f in fields if not f.required)
    chosen = [f for f in fields if f.required] + draw(_some(optional, 6))
    naming = [f for f in optional if values.names_something(f, known) and f not in chosen]
    if naming and draw(st.integers(0, 3)):
        chosen.append(draw(st.sampled_from(naming)))
    oddities = draw(st.integers(0, 7))  # Seven requests of eight have at most one fault, so that they get far.
    odd = draw(st.sets(st.sampled_from(range(len(chosen) or 1)), max_size=5 if oddities == 7 else oddities % 2))
    for n, field in enumerate(chosen):
        found |= draw(_sent(field, known, odd=n in odd))
    if oddities > 5:
        found |= draw(st.dictionaries(_NAMES, values.TEXT, max_size=2))
    if oddities == 7 and draw(st.booleans()):
        found["RegionId"] = draw(values.TEXT)
    return found


#: Names that no operation has, and such as are almost right.
_NAMES = st.one_of(
    st.sampled_from(
        ["Tag", "Tag.0.Key", "Tag.01.Key", "Tag.1", "Tag.1.", "Tag.1.Key.1", "Tag.-1.Key", "Tag.99999.Key", "Tag..Key",
         "tag.1.key", "imageId", "DiskDeviceMapping", "DiskDeviceMapping.1", "SystemDisk", "SystemDisk.", ".",
         "..", "=",
         "InstanceId.1.1", "Filter.1", "regionid", "REGIONID"]
    ),
    values.TEXT.filter(bool),
)  # fmt: skip


@cache
def _some(fields: tuple[Field, ...], most: int) -> st.SearchStrategy[list[Field]]:
    if not fields:
        return st.just([])
    return st.lists(st.sampled_from(fields), unique_by=lambda f: f.name, max_size=most)


@st.composite
def _sent(draw: Any, field: Field, known: Mapping[str, list[str]], *, odd: bool, under: str = "") -> dict[str, str]:
    """One declared parameter with its parts, under one or, oddly, several of its spellings."""
    found: dict[str, str] = {}
    for name in draw(_called(field, odd=odd, under=under)):
        if not field.is_shape:
            found[name] = draw(values.anything(field) if odd else values.sound(field, known))
            continue
        inner = fields_of(field.kind)
        needed = [f for f in inner if f.required]
        parts = needed + draw(_some(tuple(f for f in inner if not f.required), 4))
        for n, part in enumerate(parts):
            found |= draw(_sent(part, known, odd=odd and n == 0, under=f"{name}."))
    return found


@cache
def _called(field: Field, *, odd: bool, under: str) -> st.SearchStrategy[list[str]]:
    """What a parameter is called, once or, oddly, several times."""
    spellings = [f"{under}{name}" for name in (field.wire, *field.aliases)]
    if field.repeated and not field.packed:
        numbers = (".1", ".2", ".3", ".17", ".1000", ".0", ".01", "") if odd else (".1", ".2", ".3")
        spellings = [f"{name}{number}" for name in spellings for number in numbers]
    names = st.sampled_from(spellings)
    return st.lists(names, min_size=1, max_size=3, unique=True) if odd or field.repeated else names.map(lambda n: [n])


def by_rpc(action: str | ActionKey, params: Mapping[str, str], now: float, format_: str = "JSON") -> RawRequest:
    """As the classic SDK sends it: everything in the query."""
    return _query(_signed_rpc(action, params | {"Format": format_}, now), {})


def by_rpc_form(action: str | ActionKey, params: Mapping[str, str], now: float, format_: str = "JSON") -> RawRequest:
    """As Terraform sends it: everything in a form."""
    body = canonical_query(_signed_rpc(action, params | {"Format": format_}, now)).encode()
    return raw_request("POST", "/", [("host", HOST), ("content-type", FORM)], body)


def by_acs3(
    action: str | ActionKey, params: Mapping[str, str], now: float, format_: str = "", host: str = HOST
) -> RawRequest:
    """As the current SDK sends it; it has no Format."""
    asked = key_of(action)
    headers = acs3.sign(
        method="POST", host=host, action=asked.action, version=asked.product.version, query=params, key_id=KEY_ID,
        secret=SECRET, date=_utc(now), nonce=a_nonce(),
    )  # fmt: skip
    return raw_request("POST", "/?" + canonical_query(params), list(headers.items()), b"")


def by_asapi(action: str | ActionKey, params: Mapping[str, str], now: float, format_: str = "JSON") -> RawRequest:
    """As Apsara Stack's SDK sends it: JSON over the query."""
    product = key_of(action).product.name
    signed = _signed_rpc(action, {"Product": product, "Format": format_, **params}, now, version="2.1")
    headers = [("host", HOST), ("content-type", "application/json")]
    return raw_request("POST", "/asapi/v3/", headers, json.dumps(signed).encode())


def by_apsara(action: str | ActionKey, params: Mapping[str, str], now: float, format_: str = "JSON") -> RawRequest:
    """As the seed's own route has it."""
    asked = key_of(action)
    path = f"/apsara/route/{asked.product.name}/{asked.action}"
    form = params | {"Format": format_}
    headers = xca.sign(
        path=path, params=form, app_key=APP_KEY, secret=APP_SECRET, timestamp_ms=int(now * 1000), nonce=a_nonce()
    )
    return raw_request("POST", path, [("host", HOST), *headers.items()], canonical_query(form).encode())


#: Every way to send a request.
WAYS: tuple[Callable[..., RawRequest], ...] = (by_rpc, by_rpc_form, by_acs3, by_asapi, by_apsara)


def a_nonce() -> str:
    return f"nonce-{next(_numbers):012}"


def _signed_rpc(action: str | ActionKey, params: Mapping[str, str], now: float, version: str = "1.0") -> dict[str, str]:
    asked = key_of(action)
    return rpc.sign(
        {"Action": asked.action, "Version": asked.product.version, **params},
        method="POST",
        key_id=KEY_ID,
        secret=SECRET,
        timestamp=_utc(now),
        nonce=a_nonce(),
        signature_version=version,
        signature_method="HMAC-SHA256" if version == "2.1" else "HMAC-SHA1",
    )


def _query(params: Mapping[str, str], headers: Mapping[str, str]) -> RawRequest:
    return raw_request("POST", "/?" + canonical_query(params), [("host", HOST), *headers.items()], b"")


def _utc(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
