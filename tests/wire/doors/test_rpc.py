from __future__ import annotations

import inspect
import json
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiln.declare.errors import ApiError, InvalidParameter, MissingParameter
from kiln.wire import errors
from kiln.wire.doors import choose, rpc
from kiln.wire.nonces import WINDOW_S, MemoryNonces
from kiln.wire.signatures.stages import canonical_query
from tests.wire.doors.given import (
    FORM,
    NOW,
    Known,
    a_query,
    admit,
    an_acs3_request,
    an_rpc_request,
    rpc_params,
    without,
)
from tests.wire.raw import raw_request, target_of

ID = "5D0B6829-CC83-4000-8ADD-1DD549D88ABC"


def test_admits_a_signed_request_and_hands_over_what_the_operation_may_want():
    admitted = admit(an_rpc_request(Unknown="kept", SecurityToken="", SignatureType=""))

    assert admitted.params == {
        "RegionId": "cn-qingdao-env17-d01",
        "ImageName": "a b/中文~*+",
        "Tag.1.Value": "",
        "Unknown": "kept",
    }
    assert (admitted.account_id, admitted.access_key_id, admitted.key.action) == ("acme", "AKIDTEST", "DescribeImages")
    assert (admitted.format, admitted.user_email) == ("JSON", None)


@pytest.mark.parametrize("body_names", [(), ("ImageName",), ("ImageName", "Signature", "Action", "Tag.1.Value")])
def test_takes_parameters_from_query_and_form_together(body_names):
    params = rpc_params()
    query = without(params, *body_names)
    form = {name: params[name] for name in body_names}
    request = raw_request(
        "POST", f"/?{canonical_query(query)}", [("content-type", FORM)], canonical_query(form).encode()
    )

    assert admit(request).params["ImageName"] == "a b/中文~*+"


@pytest.mark.parametrize(
    ("version", "method"),
    [("1.0", "HMAC-SHA256"), ("2.1", "HMAC-SHA1"), ("2.1", "HMAC-SHA256"), ("2.1", "HMAC-SM3")],
)
def test_speaks_every_algorithm_of_both_versions(version, method):
    assert admit(an_rpc_request(SignatureVersion=version, SignatureMethod=method)).key.action == "DescribeImages"


@pytest.mark.parametrize(("text", "format_"), [(None, "XML"), ("", "XML"), ("xml", "XML"), ("Json", "JSON")])
def test_answers_in_the_format_that_was_asked_for(text, format_):
    request = an_rpc_request(drop="Format") if text is None else an_rpc_request(Format=text)

    assert admit(request).format == format_


@pytest.mark.parametrize(
    ("request_", "refusal"),
    [
        (an_rpc_request(drop="AccessKeyId"), errors.MissingAccessKeyId),
        (an_rpc_request(AccessKeyId=""), errors.MissingAccessKeyId),
        (an_rpc_request(AccessKeyId="NOBODY"), errors.InvalidAccessKeyIdNotFound),
        (an_rpc_request(secret="WRONG"), errors.SignatureDoesNotMatch),
        (an_rpc_request(SecurityToken="token"), errors.InvalidSecurityTokenMalformed),
        (an_rpc_request(SignatureMethod="HMAC-MD5"), errors.InvalidSignatureMethod),
        (an_rpc_request(SignatureMethod="HMAC-SM3"), errors.InvalidSignatureMethod),
        (an_rpc_request(SignatureVersion="3.0"), errors.InvalidParamater),
        (an_rpc_request(Timestamp="2026-11-23 06:42:20"), errors.InvalidTimeStampFormat),
        (an_rpc_request(Timestamp="2026-13-23T06:42:20Z"), errors.InvalidTimeStampFormat),
        (an_rpc_request(Timestamp="1795416140"), errors.InvalidTimeStampFormat),
        (an_rpc_request(Timestamp="2026-11-23T06:27:19Z"), errors.InvalidTimeStampExpired),
        (an_rpc_request(Timestamp="2026-11-23T06:57:21Z"), errors.InvalidTimeStampExpired),
        (an_rpc_request(Version="2015-12-15"), errors.InvalidVersion),
        (an_rpc_request(Format="YAML"), errors.InvalidParameterFormat),
        (an_rpc_request(method="PUT"), errors.UnsupportedHTTPMethod),
        (an_rpc_request(method="DELETE"), errors.UnsupportedHTTPMethod),
        (a_query(rpc_params(), path="/other"), errors.InvalidActionNotFound),
        (a_query(rpc_params() | {"Signature": "ümlaut"}), errors.SignatureDoesNotMatch),
    ],
)
def test_refuses_what_is_wrong_by_its_name(request_, refusal):
    with pytest.raises(ApiError) as refused:
        admit(request_)

    assert type(refused.value) is refusal


@pytest.mark.parametrize(
    "name", ["Action", "Version", "Signature", "SignatureMethod", "SignatureVersion", "SignatureNonce", "Timestamp"]
)
def test_refuses_what_is_missing_by_its_name(name):
    request = a_query(without(rpc_params(), name))

    with pytest.raises(MissingParameter, match=f'"{name}"'):
        admit(request)


def test_never_takes_the_action_from_a_header_that_nobody_signed():
    request = a_query(rpc_params(drop="Action"), headers={"x-acs-action": "DeleteImage"})

    with pytest.raises(MissingParameter, match='"Action"'):
        admit(request)


def test_refuses_a_key_that_is_switched_off():
    with pytest.raises(errors.InvalidAccessKeyIdInactive):
        admit(an_rpc_request(), known=Known(active=False))


@pytest.mark.parametrize("stamp", ["2026-11-23T06:42:20.338Z", "2026-11-23T06:42:20.0Z", "2026-11-23T06:57:20.000Z"])
def test_takes_a_fraction_of_a_second(stamp):
    assert admit(an_rpc_request(Timestamp=stamp)).key.action == "DescribeImages"
    assert admit(a_query(rpc_params(Timestamp=stamp), path="/asapi/v3/")).key.action == "DescribeImages"
    assert admit(an_acs3_request(date=stamp)).key.action == "DescribeImages"


@pytest.mark.parametrize(
    "stamp", ["2026-11-23T06:42:20.Z", "2026-11-23T06:42:20,1Z", "2026-11-23T06:42:20.1234567890Z"]
)
def test_refuses_what_is_no_fraction(stamp):
    with pytest.raises(errors.InvalidTimeStampFormat):
        admit(an_rpc_request(Timestamp=stamp))


@pytest.mark.parametrize("stamp", ["2026-11-23T06:27:20Z", "2026-11-23T06:57:20Z"])
def test_admits_a_clock_that_is_15_minutes_off(stamp):
    assert admit(an_rpc_request(Timestamp=stamp)).key.action == "DescribeImages"


def test_admits_a_request_once():
    request, nonces = an_rpc_request(), MemoryNonces()
    admit(request, nonces=nonces)

    with pytest.raises(errors.SignatureNonceUsed):
        admit(request, nonces=nonces)
    with pytest.raises(errors.SignatureNonceUsed):
        admit(request, nonces=nonces, now=NOW + WINDOW_S)


def test_a_refused_request_uses_up_no_nonce():
    params, nonces = rpc_params(), MemoryNonces()
    with pytest.raises(errors.SignatureDoesNotMatch):
        admit(a_query(params | {"Signature": "AAAA"}), nonces=nonces)

    assert admit(a_query(params), nonces=nonces).key.action == "DescribeImages"


def test_asks_for_patience_when_no_more_nonces_can_be_remembered():
    with pytest.raises(errors.Throttling):
        admit(an_rpc_request(), nonces=MemoryNonces(capacity=0))


def test_tells_the_client_the_string_that_it_should_have_signed():
    with pytest.raises(errors.SignatureDoesNotMatch) as refused:
        admit(an_rpc_request(secret="WRONG"))

    words, colon, string_to_sign = str(refused.value).partition(":")
    assert words == "Specified signature is not matched with our calculation. server string to sign is"
    assert colon
    assert string_to_sign.startswith("POST&%2F&AccessKeyId%3DAKIDTEST%26Action%3DDescribeImages%26")


def test_compares_signatures_in_constant_time():
    assert "hmac.compare_digest(" in inspect.getsource(rpc.prove)


@settings(deadline=None)
@given(st.data())
def test_refuses_a_request_with_any_byte_changed_or_takes_it_for_the_same(data):
    """Some bytes may change without a change of meaning: the case of a percent-escape, or ``+`` for a space."""
    request = an_rpc_request(SignatureNonce="n")
    before = admit(request)
    at = data.draw(st.integers(2, len(target_of(request)) - 1))
    other = data.draw(st.characters(min_codepoint=33, max_codepoint=126).filter(lambda c: c != target_of(request)[at]))
    target = f"{target_of(request)[:at]}{other}{target_of(request)[at + 1 :]}"

    try:
        after = admit(raw_request("POST", target, request.headers, b""))
    except ApiError:
        return

    assert after == before


@settings(deadline=None)
@given(
    st.dictionaries(
        st.text("AZaz.19", min_size=12), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
    )
)
def test_admits_whatever_our_client_signs(more):
    assert admit(an_rpc_request(**more)).params.items() >= more.items()


@settings(deadline=None)
@given(st.sampled_from(sorted(without(rpc_params(), "Signature"))), st.text("ab%&=+", min_size=1))
def test_refuses_any_change_of_any_value(name, text):
    params = rpc_params()

    with pytest.raises(ApiError):
        admit(a_query(params | {name: params[name] + text}))


def test_refuses_a_parameter_added_in_the_body():
    request = an_rpc_request()

    with pytest.raises(errors.SignatureDoesNotMatch):
        admit(raw_request("POST", target_of(request), [("content-type", "text/plain")], b"Force=true"))
    with pytest.raises(InvalidParameter):
        admit(raw_request("POST", target_of(request), [], b"RegionId=other"))


def test_spells_an_answer_in_json():
    request = an_rpc_request()
    answer = choose(request).answer(request, {"ImageId": "m-1"}, ID, admit(request))

    assert answer == (
        200,
        (("content-type", "application/json;charset=utf-8"), ("x-acs-request-id", ID)),
        b'{"RequestId":"%s","ImageId":"m-1"}' % ID.encode(),
    )


def test_spells_an_answer_in_xml_by_default():
    request = an_rpc_request(drop="Format")
    answer = choose(request).answer(request, {"ImageId": "m-1"}, ID, admit(request))

    document = ET.fromstring(answer.body)
    assert dict(answer.headers)["content-type"] == "text/xml;charset=utf-8"
    assert document.tag == "DescribeImagesResponse"
    assert {part.tag: part.text for part in document} == {"RequestId": ID, "ImageId": "m-1"}


def test_spells_a_refusal_in_the_format_that_was_asked_for():
    request = an_rpc_request()
    answer = choose(request).answer(request, errors.InvalidActionNotFound(), ID, None)

    assert answer.status == 404
    assert json.loads(answer.body) == {
        "RequestId": ID,
        "HostId": "ecs.example:8787",
        "Code": "InvalidAction.NotFound",
        "Message": "Specified api is not found, please check your url and method.",
        "Recommend": f"https://api.aliyun.com/troubleshoot?q=InvalidAction.NotFound&product=Ecs&requestId={ID}",
    }


@pytest.mark.parametrize("query", ["", "Format=YAML", "Format=%FF", "Format=JSON&Format=XML"])
def test_spells_a_refusal_in_xml_when_it_cannot_know_better(query):
    request = raw_request("GET", f"/?{query}", [], b"")
    answer = choose(request).answer(request, errors.MissingAccessKeyId(), ID, None)

    document = ET.fromstring(answer.body)
    assert document.tag == "Error"
    assert [part.tag for part in document] == ["RequestId", "HostId", "Code", "Message", "Recommend"]


def test_a_product_may_be_empty_and_must_be_one_that_is_served():
    assert admit(an_rpc_request(Product="")).key.action == "DescribeImages"
    with pytest.raises(errors.InvalidProductNotFound):
        admit(an_rpc_request(Product="Rds"))
    with pytest.raises(errors.InvalidVersion):
        admit(an_rpc_request(Product="Kiln"))
