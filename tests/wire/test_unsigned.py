"""What nobody signed is never heeded: every parameter of every operation, in every place, beside a signed request."""

from __future__ import annotations

import itertools
import json
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from hashlib import md5
from typing import Any

import pytest

from kiln.declare.errors import ApiError
from kiln.declare.operation import Operation
from kiln.declare.rules import Declined
from kiln.declare.shapes import fields_of
from kiln.operations import ALL
from kiln.wire.decode import decode
from kiln.wire.doors import choose, parameters
from kiln.wire.doors.door import Admitted, RawRequest
from kiln.wire.signatures import acs3, rpc, xca
from kiln.wire.signatures.stages import canonical_query
from tests.samples import Place, around, places, sample
from tests.wire.doors.given import FORM, NOW, STAMP, a_nonce, admit
from tests.wire.raw import raw_request

JSON = "application/json"
HOST = "ecs.example"


def rpc_signed(action: str, params: Mapping[str, Any], version: str) -> dict[str, str]:
    method = "HMAC-SHA256" if version == "2.1" else "HMAC-SHA1"
    whole = {"Action": action, "Version": "2014-05-26", "Format": "JSON", **params}
    return rpc.sign(whole, method="POST", key_id="AKIDTEST", secret="SECRETTEST", timestamp=STAMP, nonce=a_nonce(),
                    signature_version=version, signature_method=method)  # fmt: skip


def a_post(path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes = b"") -> RawRequest:
    target = f"{path}?{canonical_query(query)}" if query else path
    return raw_request("POST", target, [("host", HOST), *headers.items()], body)


def by_rpc_query(action: str, params: Mapping[str, Any]) -> RawRequest:
    return a_post("/", rpc_signed(action, params, "1.0"), {})


def by_rpc_form(action: str, params: Mapping[str, Any]) -> RawRequest:
    return a_post("/", {}, {"content-type": FORM}, canonical_query(rpc_signed(action, params, "1.0")).encode())


def by_asapi_query(action: str, params: Mapping[str, Any]) -> RawRequest:
    return a_post("/asapi/v3/", rpc_signed(action, {"Product": "Ecs", **params}, "2.1"), {})


def by_asapi_json(action: str, params: Mapping[str, Any]) -> RawRequest:
    """As the SDK sends it: the body holds what the query does, and the lists and objects as they are."""
    whole = rpc_signed(action, {"Product": "Ecs", **params}, "2.1")
    query = {name: text for name, text in whole.items() if name not in rpc.flatten(params)}
    return a_post("/asapi/v3/", query, {"content-type": JSON}, json.dumps({**query, **params}).encode())


def by_acs3(action: str, query: Mapping[str, str], content_type: str | None, body: bytes) -> RawRequest:
    headers = acs3.sign(method="POST", host=HOST, action=action, version="2014-05-26", query=query, body=body,
                        content_type=content_type, key_id="AKIDTEST", secret="SECRETTEST", date=STAMP,
                        nonce=a_nonce())  # fmt: skip
    return a_post("/", query, {name: value for name, value in headers.items() if name != "host"}, body)


def by_acs3_query(action: str, params: Mapping[str, Any]) -> RawRequest:
    return by_acs3(action, rpc.flatten(params), None, b"")


def by_acs3_json(action: str, params: Mapping[str, Any]) -> RawRequest:
    return by_acs3(action, {}, JSON, json.dumps(params).encode())


def by_apsara_form(action: str, params: Mapping[str, Any]) -> RawRequest:
    flat = ({} if "regionId" in params else {"RegionId": "r"}) | rpc.flatten(params)
    path = f"/apsara/route/Ecs/{action}"
    headers = xca.sign(path=path, params=flat, app_key="APPKEYTEST", secret="APPSECRETTEST",
                       timestamp_ms=int(NOW * 1000), nonce=a_nonce())  # fmt: skip
    return a_post(path, {}, headers, canonical_query(flat).encode())


def by_apsara_json(action: str, params: Mapping[str, Any]) -> RawRequest:
    region = params.get("regionId") or params.get("RegionId", "r")
    query, body = {"regionId": str(region)}, json.dumps(params).encode()
    path = f"/apsara/route/Ecs/{action}"
    covered = {"content-type": JSON, "content-md5": b64encode(md5(body).digest()).decode()}
    headers = xca.sign(path=path, params=query, app_key="APPKEYTEST", secret="APPSECRETTEST",
                       timestamp_ms=int(NOW * 1000), nonce=a_nonce(), headers=covered)  # fmt: skip
    return a_post(path, query, headers, body)


WAYS: tuple[Callable[[str, Mapping[str, Any]], RawRequest], ...] = (
    by_rpc_query, by_rpc_form, by_asapi_query, by_asapi_json, by_acs3_query, by_acs3_json, by_apsara_form,
    by_apsara_json,
)  # fmt: skip


def signed_parameters(place: Place) -> Iterator[dict[str, Any]]:
    """The least with *place* in it: flat, and as the list or the object that it is, or is in."""
    flat = around(place) | ({} if place.field.is_shape else {place.name: sample(place.field)})
    yield flat
    head = place.name.partition(".")[0]
    inside = {name: text for name, text in flat.items() if name.startswith(f"{head}.")}
    if inside:
        yield {name: text for name, text in flat.items() if name not in inside} | {head: folded(head, inside)}


def folded(head: str, flat: Mapping[str, str]) -> Any:
    """The list or the object that these names spell."""
    tree: dict[str, Any] = {}
    for name, text in flat.items():
        node = tree
        *above, last = name.removeprefix(f"{head}.").split(".")
        for word in above:
            node = node.setdefault(word, {})
        node[last] = text
    return listed(tree)


def listed(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    inner = {word: listed(one) for word, one in node.items()}
    return list(inner.values()) if all(word.isdecimal() for word in inner) else inner


def unsigned_parameters(place: Place) -> Iterator[tuple[str, str]]:
    """Names and texts that would say something else of *place*, or say it again."""
    name, other = place.name, "another"
    head, top = name.partition(".")[0], place.name.removesuffix(".1")
    yield from ((name, other), (f"{top}.2", other), (top, json.dumps([other])), (name.lower(), other))
    leaf = place.field.wire
    part = json.dumps({leaf: other})
    yield from ((head, part), (head, f"[{part}]"), (f"{head}.1", part), (f"{head}.2", part), (head, "[]"))
    for alias in place.field.aliases:
        yield f"{place.under}{alias}", other


def with_unsigned(request: RawRequest, name: str, text: str) -> Iterator[RawRequest]:
    """*request* with one more parameter, wherever there is a place for one."""
    pair = canonical_query({name: text}).encode()
    query = request.query_string
    for changed in (query + b"&" + pair, pair + b"&" + query) if query else (pair,):
        yield replace(request, query_string=changed)
    kind = request.fields.get("content-type", "")
    if kind == JSON:
        members = json.loads(request.body)
        yield replace(request, body=json.dumps({**members, name: text}).encode())
        yield replace(request, body=json.dumps({name: text, **members}).encode())
        yield replace(request, body=request.body.replace(b"{", json.dumps({name: text})[:-1].encode() + b",", 1))
    elif request.body:
        yield replace(request, body=request.body + b"&" + pair)
        yield replace(request, body=pair + b"&" + request.body)
    else:
        for content_type, body in ((FORM, pair), (JSON, json.dumps({name: text}).encode())):
            yield replace(request, headers=[*request.headers, ("content-type", content_type)], body=body)
    yield replace(request, headers=[*request.headers, (name.lower(), text)])


def meaning(place: Place, admitted: Admitted) -> object:
    """All that becomes of a request: who asks for what, where, and what the operation is given."""
    # One that has its own spelling says it itself, and would be refused beside another.
    beside = {"RegionId": "r"} if any(field.wire == "RegionId" for field in fields_of(place.shape)) else {}
    given = decode(place.shape, beside | admitted.params)
    return admitted.account_id, admitted.key, admitted.format, admitted.user_email, given


def is_refused_or_means(place: Place, request: RawRequest, meant: object) -> bool:
    try:
        return meaning(place, admit(request)) == meant
    except ApiError:
        return True


def kind_of(place: Place) -> object:
    """All that a door and the decoder see of a parameter; what it is for, and which values it takes, they don't."""
    field = place.field
    kind = "part" if field.is_shape else field.kind
    flags = field.set_since, field.is_composed, field.keeps_empty, field.is_clearable, field.may_be_none
    return place.name, kind, field.repeated, field.packed, field.aliases, flags


def first_of_their_kind() -> dict[str, list[Place]]:
    """The parameters to try, by operation: half of all are of a kind that another operation has, too.

    One of which nothing can be said is none to try: there is no signed request that names it.
    """
    tried = {operation.name: [p for p in places(operation) if not is_declined(p)] for operation in ALL}
    found = {kind_of(place): place for operation in reversed(ALL) for place in tried[operation.name]}
    return {name: [p for p in tried[name] if found[kind_of(p)].operation.name == name] for name in tried}


def is_declined(place: Place) -> bool:
    return any(isinstance(rule, Declined) for rule in place.field.rules)


TRIED = first_of_their_kind()


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("operation", [operation for operation in ALL if TRIED[operation.name]], ids=lambda o: o.name)
def test_a_parameter_beside_a_signed_one_is_refused_or_has_no_effect(operation: Operation, way):
    proved = 0
    for place in TRIED[operation.name]:
        for params in signed_parameters(place):
            request = way(operation.name, params)
            try:
                meant = meaning(place, admit(request))
            except ApiError:
                continue  # Such as what version 2.1 does not tell apart; the flat spelling is always there.
            proved += 1
            for name, text in unsigned_parameters(place):
                for changed in with_unsigned(request, name, text):
                    assert is_refused_or_means(place, changed, meant), (place, changed)
    assert proved or operation.is_read


HEADERS = [
    ("x-acs-action", "DeleteImage"), ("x-acs-version", "2014-05-26"), ("x-acs-version", "2015-12-15"),
    ("x-acs-regionid", "elsewhere"), ("regionid", "elsewhere"), ("region-id", "elsewhere"),
    ("x-acs-asapi-product", "ecs"), ("x-acs-asapi-product", "rds"), ("x-acs-asapi-gateway-version", "3.0"),
    ("x-ascm-product-name", "ecs"), ("x-ascm-sign-version", "1.0"), ("x-acs-organizationid", "33"),
    ("x-acs-resourcegroupid", "55"), ("x-acs-security-token", ""), ("accept", "application/xml"),
    ("format", "XML"), ("x-acs-accept", "xml"), ("signaturemethod", "HMAC-SHA1"), ("useremail", "mallory@example.com"),
    ("x-http-method-override", "DELETE"), ("x-method-override", "GET"), ("x-original-url", "/apsara/route/Ecs/X"),
    ("x-rewrite-url", "/?Action=DeleteImage"), ("x-forwarded-host", "elsewhere"), ("forwarded", "host=elsewhere"),
    ("host", "elsewhere"), ("content-type", JSON), ("content-type", FORM), ("content-type", "text/plain"),
    ("content-type", "application/json; charset=utf-16"), ("content-type", f"{FORM}; charset=gbk"),
    ("content-encoding", "gzip"), ("content-md5", "x"), ("date", "now"),
    ("authorization", "ACS3-HMAC-SHA256 Credential=AKIDTEST,SignedHeaders=host,Signature=0"),
    ("authorization", "Basic x"), ("x-ca-key", "APPKEYTEST"), ("x-ca-signature", "x"), ("x-ca-nonce", "other"),
    ("x-ca-timestamp", "1"), ("x-ca-signature-headers", "X-Ca-Timestamp"), ("x-ca-signature-method", "HmacSHA1"),
    ("x-acs-date", STAMP), ("x-acs-signature-nonce", "other"), ("x-acs-content-sha256", "x"),
]  # fmt: skip
PLAIN = {"RegionId": "cn-qingdao-env17-d01", "ImageName": "name", "Tag": [{"Key": "k", "Value": "v"}]}
FLAT = {"RegionId": "cn-qingdao-env17-d01", "ImageName": "name", "Tag.1.Key": "k", "Tag.1.Value": "v"}
THE_PLACE = next(place for operation in ALL if operation.name == "DescribeImages" for place in places(operation))


@pytest.mark.parametrize("params", [PLAIN, FLAT], ids=["nested", "flat"])
@pytest.mark.parametrize("way", WAYS)
def test_a_header_that_nobody_signed_is_refused_or_has_no_effect(way, params):
    request = way("DescribeImages", params)
    door, meant = meaning_and_door(request)

    for name, value in HEADERS:
        others = [header for header in request.headers if header[0] != name]
        for headers in ([*request.headers, (name, value)], [(name, value), *request.headers], [*others, (name, value)]):
            changed = replace(request, headers=headers)
            assert is_refused_or_means(THE_PLACE, changed, meant), (name, value)
            assert name == "authorization" or choose(changed).name == door


def meaning_and_door(request: RawRequest) -> tuple[str, object]:
    return choose(request).name, meaning(THE_PLACE, admit(request))


@pytest.mark.parametrize("params", [PLAIN, FLAT], ids=["nested", "flat"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("path", ["/", "/asapi/v3", "/asapi/v3/", "/apsara/route/Ecs/DescribeImages"])
def test_a_request_that_is_sent_elsewhere_is_refused_or_means_the_same(way, params, path):
    request = way("DescribeImages", params)
    meant = meaning(THE_PLACE, admit(request))

    assert is_refused_or_means(THE_PLACE, replace(request, path=path), meant)


@pytest.mark.parametrize("params", [PLAIN, FLAT], ids=["nested", "flat"])
@pytest.mark.parametrize("way", WAYS)
def test_parameters_that_are_sent_in_another_place_are_refused_or_mean_the_same(way, params):
    """As text, as a form, as JSON, in the query and in the body: what a signature may cover alike."""
    request = way("DescribeImages", params)
    meant = meaning(THE_PLACE, admit(request))
    flat = rpc.flatten(everything(request))
    others = [header for header in request.headers if header[0] != "content-type"]

    for cut, kind in itertools.product(range(0, len(flat) + 1, 3), (FORM, JSON)):
        pairs = list(flat.items())
        query, body = dict(pairs[:cut]), dict(pairs[cut:])
        raw = canonical_query(body).encode() if kind == FORM else json.dumps(body).encode()
        changed = replace(
            request, query_string=canonical_query(query).encode(), headers=[*others, ("content-type", kind)], body=raw
        )
        assert is_refused_or_means(THE_PLACE, changed, meant)


def everything(request: RawRequest) -> dict[str, Any]:
    query = parameters.of_query(request)
    if request.fields.get("content-type") == JSON:
        return query | json.loads(request.body)
    return query | parameters.of_form(request.body)
