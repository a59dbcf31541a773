from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiln.declare.errors import ApiError, InvalidParameter, MissingParameter
from kiln.wire import errors
from kiln.wire.doors import choose
from kiln.wire.nonces import MemoryNonces
from kiln.wire.signatures.stages import canonical_query
from tests.wire.doors.given import FORM, a_query, admit, an_asapi_request, rpc_params, without
from tests.wire.raw import raw_request, target_of

ID = "5D0B6829-CC83-4000-8ADD-1DD549D88ABC"
TRACE = "5d0b6829cc8340008add1dd549d88a"


def test_admits_a_body_with_nested_values():
    admitted = admit(an_asapi_request({"Tag": [{"Key": "k", "Value": ""}], "DryRun": True, "RegionId": "r"}))

    assert admitted.params == {"RegionId": "r", "Tag.1": '{"Key":"k","Value":""}', "DryRun": "true"}
    assert (admitted.account_id, admitted.key.action, admitted.format) == ("acme", "DescribeImages", "JSON")


@pytest.mark.parametrize("method", ["HMAC-SHA256", "HMAC-SHA1", "HMAC-SM3"])
@pytest.mark.parametrize("path", ["/asapi/v3", "/asapi/v3/"])
def test_speaks_every_algorithm_on_either_spelling_of_the_path(method, path):
    assert admit(an_asapi_request({"A": "b"}, path=path, method_name=method)).params == {"A": "b"}


def test_admits_parameters_in_the_query_alone():
    assert admit(an_asapi_request(ImageName="n", Format="XML")).params == {"ImageName": "n"}


def test_admits_a_form_in_double_quotes():
    params = rpc_params()
    query = without(params, "ImageName", "RegionId")
    form = canonical_query({"ImageName": params["ImageName"], "RegionId": params["RegionId"]})
    request = raw_request(
        "POST", f"/asapi/v3/?{canonical_query(query)}", [("content-type", FORM)], f'"{form}"'.encode()
    )

    assert admit(request).params["ImageName"] == "a b/中文~*+"


def test_the_body_counts_where_it_differs_from_the_query():
    """The SDK signs the query with the body laid over it."""
    request = an_asapi_request({"ImageName": "body"})
    target = f"{target_of(request)}&ImageName=query"

    assert admit(raw_request("POST", target, request.headers, request.body)).params == {"ImageName": "body"}


def test_what_the_query_hides_under_a_list_of_the_body_is_not_heeded():
    request = an_asapi_request({"DiskDeviceMapping": [{"SnapshotId": "s-1"}]})
    hidden = canonical_query({"DiskDeviceMapping.1": '{"Size":"400"}'})

    admitted = admit(raw_request("POST", f"{target_of(request)}&{hidden}", request.headers, request.body))

    assert admitted.params == {"DiskDeviceMapping.1": '{"SnapshotId":"s-1"}'}


@pytest.mark.parametrize("header", ["x-acs-regionid", "regionid"])
def test_takes_no_region_from_a_header_as_none_is_signed(header):
    named = admit(an_asapi_request({"RegionId": "own"}, headers={header: "header"}))
    unnamed = admit(an_asapi_request({"A": "b"}, headers={header: "header"}))

    assert named.params["RegionId"] == "own"
    assert unnamed.params == {"A": "b"}


def test_leaves_the_region_open_where_nothing_names_one():
    assert admit(an_asapi_request({"A": "b"})).params.get("RegionId") is None


def test_admits_clients_that_were_told_the_product_s_own_endpoint():
    request = a_query(rpc_params(), headers={"x-acs-asapi-product": "ecs"})

    answer = choose(request).answer(request, {}, ID, admit(request))

    assert json.loads(answer.body)["asapiSuccess"] is True
    assert choose(request).name == "rpc"


@pytest.mark.parametrize(
    ("request_", "refusal"),
    [
        (an_asapi_request({"A": "b"}, Product="Rds"), errors.InvalidProductNotFound),
        (an_asapi_request({"A": "b"}, path="/asapi/v3/more"), errors.InvalidActionNotFound),
        (an_asapi_request({"A": "b"}, Version="2015-12-15"), errors.InvalidVersion),
        (an_asapi_request({"A": "b"}, Format="YAML"), errors.InvalidParameterFormat),
        (an_asapi_request({"A": "b"}, Action=""), MissingParameter),
        (a_query(rpc_params(secret="WRONG"), path="/asapi/v3/"), errors.SignatureDoesNotMatch),
        (raw_request("POST", "/asapi/v3/", [("content-type", "application/json")], b"["), InvalidParameter),
        (raw_request("PUT", "/asapi/v3/", [], b""), errors.UnsupportedHTTPMethod),
    ],
)
def test_refuses_what_is_wrong_by_its_name(request_, refusal):
    with pytest.raises(ApiError) as refused:
        admit(request_)

    assert type(refused.value) is refusal


@pytest.mark.parametrize("product", ["ecs", "Ecs", "ECS"])
def test_takes_the_product_in_any_case(product):
    assert "Product" not in admit(an_asapi_request({"A": "b"}, Product=product)).params


def test_admits_a_request_once():
    request, nonces = an_asapi_request({"A": "b"}), MemoryNonces()
    admit(request, nonces=nonces)

    with pytest.raises(errors.SignatureNonceUsed):
        admit(request, nonces=nonces)


objects = st.dictionaries(st.text("ABC", min_size=1), st.text("ab {}[]:,中"))
values = st.text('ab "\\中') | st.lists(objects | st.text('ab "\\中'), min_size=1, max_size=2) | objects


@settings(deadline=None)
@given(st.dictionaries(st.text("ABCD", min_size=3), values | st.booleans() | st.integers(), max_size=4))
def test_admits_whatever_our_client_signs(body):
    assert admit(an_asapi_request(body)).key.action == "DescribeImages"


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ([], 'send it as the text "\\[\\]"'),
        ([None], "null"),
        ([["a"]], "a list, in a list"),
        ([{"Key": None}], "leave it out"),
        ([{"Key": []}], "nested deeper"),
        ([{"Key": {"Key": "a"}}], "nested deeper"),
        ([{"Key": 'a","Value":"b'}], "quotes"),
        ([{"Key": "a\\nb"}], "quotes"),
        ({"Key": 'a"b'}, "quotes"),
        ({'Key":"a","Value': "b"}, "quotes"),
        ({"Size": None}, "leave it out"),
    ],
)
def test_refuses_nested_values_that_the_signature_does_not_tell_from_others(value, rule):
    with pytest.raises(InvalidParameter, match=rule):
        admit(an_asapi_request({"Tag": value}))


@settings(deadline=None)
@given(st.data())
def test_refuses_a_body_with_any_byte_changed_or_takes_it_for_the_same(data):
    request = an_asapi_request({"Tag": [{"Key": "k", "Value": "v"}], "DryRun": True, "ImageName": "n", "L": ["a"]})
    before = admit(request)
    start = request.body.index(b'"Tag"')
    at = data.draw(st.integers(start, start + 60))
    other = data.draw(st.integers(32, 126).filter(lambda c: c != request.body[at]))
    body = request.body[:at] + bytes([other]) + request.body[at + 1 :]

    try:
        after = admit(raw_request("POST", target_of(request), request.headers, body))
    except ApiError:
        return

    assert after == before


def test_adds_its_members_to_an_answer():
    request = an_asapi_request({"A": "b"})
    answer = choose(request).answer(request, {"ImageId": "m-1"}, ID, admit(request))

    assert json.loads(answer.body) == {
        "eagleEyeTraceId": TRACE,
        "asapiSuccess": True,
        "asapiRequestId": ID,
        "RequestId": ID,
        "ImageId": "m-1",
    }


def test_adds_its_members_to_a_refusal():
    request = an_asapi_request({"A": "b"})
    answer = choose(request).answer(request, errors.InvalidActionNotFound(), ID, None)

    assert answer.status == 404
    told = json.loads(answer.body)
    assert told["asapiSuccess"] is False
    assert told["asapiErrorCode"] == told["Code"] == "InvalidAction.NotFound"
    assert told["asapiErrorMessage"] == told["Message"]
    assert (told["HostId"], told["RequestId"], told["eagleEyeTraceId"]) == ("asapi.example", ID, TRACE)


def test_answers_in_xml_when_asked():
    request = an_asapi_request(Format="XML")
    answer = choose(request).answer(request, {}, ID, admit(request))

    assert b"<DescribeImagesResponse>" in answer.body
    assert b"<asapiSuccess>true</asapiSuccess>" in answer.body
