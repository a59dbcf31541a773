from __future__ import annotations

import inspect
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiln.declare.errors import ApiError, MissingParameter
from kiln.wire import errors
from kiln.wire.doors import acs3, choose
from kiln.wire.doors.door import RawRequest
from kiln.wire.nonces import MemoryNonces
from tests.wire.doors.given import FORM, Known, admit, an_acs3_request
from tests.wire.raw import raw_request, target_of

ID = "5D0B6829-CC83-4000-8ADD-1DD549D88ABC"


def resent(request: RawRequest, **changed: object) -> RawRequest:
    parts = {"method": request.method, "target": target_of(request), "headers": request.headers, "body": request.body}
    parts |= changed
    return raw_request(parts["method"], parts["target"], parts["headers"], parts["body"])


@pytest.mark.parametrize("algorithm", ["ACS3-HMAC-SHA256", "ACS3-HMAC-SM3"])
def test_admits_a_signed_request(algorithm):
    admitted = admit(an_acs3_request(algorithm=algorithm, body=b"Description=x+y&DryRun=true"))

    assert admitted.params == {
        "RegionId": "cn-qingdao-env17-d01",
        "ImageName": "a b",
        "Description": "x y",
        "DryRun": "true",
    }
    assert (admitted.account_id, admitted.access_key_id, admitted.key.action) == ("acme", "AKIDTEST", "DescribeImages")
    assert (admitted.format, admitted.params.get("RegionId")) == ("JSON", "cn-qingdao-env17-d01")


def test_leaves_headers_alone_that_nobody_signed_and_nobody_reads():
    assert admit(an_acs3_request(headers={"traceparent": "00-1", "content-type": FORM})).key.action == "DescribeImages"


@pytest.mark.parametrize(
    ("request_", "refusal"),
    [
        (an_acs3_request(key_id="NOBODY"), errors.InvalidAccessKeyIdNotFound),
        (an_acs3_request(secret="WRONG"), errors.SignatureDoesNotMatchAcs3),
        (an_acs3_request(version="2015-12-15"), errors.InvalidVersion),
        (an_acs3_request(date="2026-11-23"), errors.InvalidTimeStampFormat),
        (an_acs3_request(date="2026-11-23T06:27:19Z"), errors.InvalidTimeStampExpired),
        (an_acs3_request(date="2026-11-23T06:57:21Z"), errors.InvalidTimeStampExpired),
        (an_acs3_request(path="/other"), errors.InvalidActionNotFound),
        (an_acs3_request(headers={"authorization": "ACS3-HMAC-SHA256 nonsense"}), errors.IncompleteSignature),
        (
            an_acs3_request(headers={"authorization": "ACS3-RSA-SHA256 Credential=a,SignedHeaders=host,Signature=b"}),
            errors.InvalidSignatureMethod,
        ),
        (an_acs3_request(headers={"x-acs-security-token": "token"}), errors.IncompleteSignature),
        (an_acs3_request(headers={"x-acs-content-sha256": "00"}), errors.SignatureDoesNotMatchAcs3),
        (an_acs3_request(headers={"host": "other"}), errors.SignatureDoesNotMatchAcs3),
        (an_acs3_request(headers={"x-acs-action": "DeleteImage"}), errors.SignatureDoesNotMatchAcs3),
        (an_acs3_request(drop="host"), errors.IncompleteSignature),
        (resent(an_acs3_request(), method="GET"), errors.SignatureDoesNotMatchAcs3),
        (resent(an_acs3_request(), method="PATCH"), errors.UnsupportedHTTPMethod),
        (resent(an_acs3_request(), body=b"Force=true"), errors.SignatureDoesNotMatchAcs3),
    ],
)
def test_refuses_what_is_wrong_by_its_name(request_, refusal):
    with pytest.raises(ApiError) as refused:
        admit(request_)

    assert type(refused.value) is refusal


@pytest.mark.parametrize(
    ("header", "parameter"),
    [
        ("x-acs-date", "x-acs-date"),
        ("x-acs-signature-nonce", "x-acs-signature-nonce"),
        ("x-acs-action", "Action"),
        ("x-acs-version", "Version"),
    ],
)
def test_refuses_what_is_missing_by_its_name(header, parameter):
    with pytest.raises(MissingParameter, match=f'"{parameter}"'):
        admit(an_acs3_request(drop=header))


@pytest.mark.parametrize(
    "header",
    ["host", "x-acs-date", "x-acs-signature-nonce", "x-acs-action", "x-acs-version", "x-acs-content-sha256"],
)
def test_insists_that_what_it_acts_upon_is_signed(header):
    request = an_acs3_request()
    headers = [
        (name, value.replace(f"{header};", "").replace(f";{header}", "") if name == "authorization" else value)
        for name, value in request.headers
    ]

    with pytest.raises(errors.IncompleteSignature, match=f"{header} must be signed"):
        admit(resent(request, headers=headers))


def test_insists_that_the_type_of_a_body_is_signed():
    request = an_acs3_request(body=b"A=b")
    headers = [
        (name, value.replace("content-type;", "") if name == "authorization" else value)
        for name, value in request.headers
    ]

    with pytest.raises(errors.IncompleteSignature, match="content-type must be signed"):
        admit(resent(request, headers=headers))


def test_admits_a_request_once():
    request, nonces = an_acs3_request(), MemoryNonces()
    admit(request, nonces=nonces)

    with pytest.raises(errors.SignatureNonceUsed):
        admit(request, nonces=nonces)


def test_a_refused_request_uses_up_no_nonce():
    nonces = MemoryNonces()
    with pytest.raises(errors.SignatureDoesNotMatchAcs3):
        admit(an_acs3_request(nonce="n", secret="WRONG"), nonces=nonces)

    assert admit(an_acs3_request(nonce="n"), nonces=nonces).key.action == "DescribeImages"


def test_refuses_a_key_that_is_switched_off():
    with pytest.raises(errors.InvalidAccessKeyIdInactive):
        admit(an_acs3_request(), known=Known(active=False))


def test_tells_the_client_what_it_should_have_signed():
    with pytest.raises(errors.SignatureDoesNotMatchAcs3) as refused:
        admit(an_acs3_request(secret="WRONG"))

    assert str(refused.value).startswith(
        "Specified signature does not match our calculation. server StringToSign is [ACS3-HMAC-SHA256\n"
    )
    assert "server CanonicalRequest is [POST\n/\nImageName=a%20b&RegionId=" in str(refused.value)


def test_compares_signatures_in_constant_time():
    assert "hmac.compare_digest(" in inspect.getsource(acs3.prove)


@settings(deadline=None)
@given(st.data())
def test_refuses_a_request_with_any_byte_changed_or_takes_it_for_the_same(data):
    request = an_acs3_request(nonce="n", body=b"Description=a%2Fb&Tag.1.Value=")
    before = admit(request)
    where = data.draw(st.sampled_from(["target", "body", *[name for name, _ in request.headers]]))
    texts = {"target": target_of(request), "body": request.body.decode(), **dict(request.headers)}
    at = data.draw(st.integers(0, len(texts[where]) - 1))
    other = data.draw(st.characters(min_codepoint=33, max_codepoint=126).filter(lambda c: c != texts[where][at]))
    texts[where] = f"{texts[where][:at]}{other}{texts[where][at + 1 :]}"
    headers = [(name, texts[name]) for name, _ in request.headers]

    try:
        after = admit(resent(request, target=texts["target"], headers=headers, body=texts["body"].encode()))
    except ApiError:
        return

    assert after == before
    assert where == "target"


def test_spells_answers_and_refusals_in_json():
    request = an_acs3_request()
    answer = choose(request).answer(request, {"ImageId": "m-1"}, ID, admit(request))
    refusal = choose(request).answer(request, errors.SignatureNonceUsed(), ID, None)

    assert (answer.status, json.loads(answer.body)) == (200, {"RequestId": ID, "ImageId": "m-1"})
    assert dict(answer.headers) == {"content-type": "application/json;charset=utf-8", "x-acs-request-id": ID}
    assert (refusal.status, json.loads(refusal.body)["Code"]) == (400, "SignatureNonceUsed")
