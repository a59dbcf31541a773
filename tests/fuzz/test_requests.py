"""No request, however garbled, makes the server fail or lets in who should stay outside."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kiln.wire.doors.door import RawRequest
from tests.clouds import REGION
from tests.fuzz.requests import WAYS, by_acs3, by_apsara, by_asapi, by_rpc, by_rpc_form
from tests.wire.raw import raw_request

pytestmark = pytest.mark.slow

examples = settings(
    max_examples=250, deadline=None, database=None, suppress_health_check=list(HealthCheck), print_blob=True
)

LATIN = st.text(st.characters(max_codepoint=255), max_size=30)
PATHS = st.one_of(
    st.sampled_from(["/", "", "//", "/asapi/v3", "/asapi/v3/", "/asapi/v3x", "/asapi/v3/../..", "/apsara/route/",
                     "/apsara/route/Ecs/CreateImage", "/apsara/route/ecs/CreateImage/", "/apsara/route/Ecs//", "*",
                     "/apsara/route/Rds/CreateImage", "/apsara/route/Ecs/%43reateImage", "http://h/",
                     "http://h", "://"]),
    LATIN.map(lambda text: "/" + text),
)  # fmt: skip
PAIRS = st.lists(
    st.tuples(
        st.sampled_from(["Action", "Version", "AccessKeyId", "Signature", "SignatureMethod",
                         "SignatureVersion", "Format",
                         "SignatureNonce", "Timestamp", "SecurityToken", "Product", "RegionId", "regionId",
                         "version", "a",
                         "Tag.1.Key", "%", "%zz", "+", ""]),
        st.one_of(st.sampled_from(["", "CreateImage", "2014-05-26", "AKIDTEST", "1.0", "2.1", "HMAC-SHA1", "HMAC-SM3",
                                   "JSON", "xml", "yaml", "2026-11-23T06:42:20Z", "Ecs", "%00", "%ff", "%",
                                   "%u1234", "&", "="]),
                  LATIN),
    ).map("=".join),
    max_size=12,
).map("&".join)  # fmt: skip
TARGETS = st.builds(lambda path, query: f"{path}?{query}" if query else path, PATHS, PAIRS)
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(["authorization", "content-type", "content-md5", "x-acs-action", "x-acs-version",
                         "x-acs-date",
                         "x-acs-signature-nonce", "x-acs-content-sha256", "x-acs-security-token", "x-ca-key",
                         "x-ca-nonce",
                         "x-ca-signature", "x-ca-signature-headers", "x-ca-signature-method", "x-ca-timestamp",
                         "useremail",
                         "x-acs-regionid", "x-ascm-product-name", "host", "date", "accept"]),
        st.one_of(
            st.sampled_from(["", "ACS3-HMAC-SHA256",
                             "ACS3-HMAC-SHA256 Credential=AKIDTEST,SignedHeaders=host,Signature=0",
                             "ACS3-X Credential=a,SignedHeaders=b,Signature=c", "application/json",
                             "text/plain; charset=x",
                             "application/x-www-form-urlencoded", "APPKEYTEST", "HmacSHA256", "HmacSHA1",
                             "x-ca-timestamp",
                             "1795000000000", "9" * 400, "AKIDTEST", "CreateImage", "2014-05-26", "a,b", ",,,",
                             "\xff"]),
            LATIN,
        ),
    ),
    max_size=10,
)  # fmt: skip
BODIES = st.one_of(
    st.just(b""),
    st.binary(max_size=60),
    PAIRS.map(lambda text: text.encode("latin-1")),
    PAIRS.map(lambda text: f'"{text}"'.encode("latin-1")),
    st.sampled_from([b'{"Action":"CreateImage"', b"[]", b"null", b'"', b'""', b'{"a":{"a":' * 50, b"[" * 5000,
                     b'{"a":1e999}',
                     b'{"a":NaN}', b'{"a":"\\ud800"}', b'{"a":1,"a":2}', b'{"\\u0000":1}', b"\xef\xbb\xbf{}",
                     b"&" * 2000,
                     b'{"Tag":[{"Key":"k"},{"Key":["v"]}],"Tag.1":"x"}']),
)  # fmt: skip
METHODS = st.sampled_from(["GET", "POST", "POST", "POST", "PUT", "HEAD", "DELETE", "OPTIONS", "get", "", "CONNECT"])


@examples
@given(request=st.builds(raw_request, METHODS, TARGETS, HEADERS, BODIES))
def test_nothing_unsigned_comes_in(target, request):
    status, _ = target.answer(request)

    assert 400 <= status < 500


@examples
@given(way=st.sampled_from(WAYS), at=st.integers(0, 3000), to=st.binary(min_size=1, max_size=1))
def test_no_byte_of_what_is_signed_can_be_changed(target, way, at, to):
    params = {
        "RegionId": REGION,
        "ImageName": "a b/中文:*+",
        "Description": "x&y=z",
        "Tag.1.Key": "k",
        "Tag.1.Value": "",
    }
    request = way("CreateImage", params | {"SnapshotId": target.known["SnapshotId"][0]}, target.clock())
    changed = with_byte(request, at, to)

    status, _ = target.answer(changed)

    assert 400 <= status < 500 or meaning(changed) == meaning(request)


@examples
@given(way=st.sampled_from([by_acs3, by_apsara, by_asapi, by_rpc]), headers=HEADERS, query=PAIRS)
def test_nothing_that_is_added_makes_the_server_fail(target, way, headers, query):
    request = way("DescribeSnapshots", {"RegionId": REGION}, target.clock())
    known = dict(request.headers)
    more = [(name, value) for name, value in headers if name not in known]
    added = query.encode("latin-1")
    joined = b"&".join(filter(None, [request.query_string, added]))

    target.answer(replace(request, headers=[*request.headers, *more], query_string=joined))


@examples
@given(way=st.sampled_from([by_rpc_form, by_asapi, by_apsara]), body=BODIES)
def test_nothing_that_is_put_in_place_of_a_body_makes_the_server_fail(target, way, body):
    request = way("DescribeSnapshots", {"RegionId": REGION}, target.clock())

    target.answer(replace(request, body=body))


@pytest.mark.parametrize("way", WAYS)
def test_no_request_is_good_for_two(target, way):
    request = way("DescribeSnapshots", {"RegionId": REGION}, target.clock())

    first, _ = target.answer(request)
    second, fields = target.answer(request)

    assert (first, second, fields["Code"]) == (200, 400, "SignatureNonceUsed")


def with_byte(request: RawRequest, at: int, to: bytes) -> RawRequest:
    """*request* with one byte of its query or, if it has one, its body put in place of another."""
    part = "body" if request.body else "query_string"
    old: bytes = getattr(request, part)
    at %= len(old)
    return replace(request, **{part: old[:at] + to + old[at + 1 :]})


def meaning(request: RawRequest) -> Any:
    """What a request says: ``%2f`` is as good as ``%2F``, and blanks between JSON's signs as none."""
    if dict(request.headers).get("content-type") == "application/json":
        return json.loads(request.body)
    return sorted(parse_qsl((request.query_string or request.body).decode(), keep_blank_values=True, errors="strict"))
