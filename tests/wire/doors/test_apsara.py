from __future__ import annotations

import hashlib
import inspect
import json
import re
from base64 import b64encode
from contextlib import suppress
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiln.declare.errors import ApiError, InvalidParameter, MissingParameter
from kiln.wire import errors
from kiln.wire.doors import apsara, choose
from kiln.wire.doors.door import RawRequest
from kiln.wire.nonces import MemoryNonces
from kiln.wire.signatures import xca
from kiln.wire.signatures.stages import canonical_query
from tests.wire.doors.given import NOW, Known, admit, an_apsara_request
from tests.wire.raw import raw_request, target_of

ID = "5D0B6829-CC83-4000-8ADD-1DD549D88ABC"
NOW_MS = int(NOW * 1000)
REGION = "cn-qingdao-env17-d01"


def signed(headers: dict[str, str], named: str, *, body: bytes = b"RegionId=r", query: str = "") -> RawRequest:
    """A request whose headers are just these."""
    path = "/apsara/route/Ecs/CreateImage"
    form = headers.get("content-type", "").startswith("application/x-www-form")
    params = dict(pair.split("=") for pair in [*query.split("&"), *(body.decode().split("&") if form else [])] if pair)
    sent = {"x-ca-key": "APPKEYTEST", "x-ca-signature-headers": named, **headers}
    names = xca.named_headers(named)
    sent["x-ca-signature"] = xca.stages("POST", path, params, sent, names, secret="APPSECRETTEST").signature
    return raw_request("POST", f"{path}?{query}" if query else path, list(sent.items()), body)


FORM = {"content-type": "application/x-www-form-urlencoded", "x-ca-timestamp": str(NOW_MS)}


def test_admits_a_signed_request():
    admitted = admit(an_apsara_request(headers={"useremail": "a@b.c"}, unsigned={"x-ca-stage": "RELEASE"}))

    assert admitted.params == {"RegionId": REGION, "ImageName": "Test 中文", "Tag.1.Value": ""}
    assert (admitted.account_id, admitted.access_key_id, admitted.key.action) == ("acme", "APPKEYTEST", "CreateImage")
    assert (admitted.format, admitted.params.get("RegionId"), admitted.user_email) == ("JSON", REGION, "a@b.c")


@pytest.mark.parametrize(
    "path",
    ["/apsara/route/Ecs/CreateImage", "/apsara/route/ecs/CreateImage", "/apsara/route/ECS/CreateImage/"],
)
def test_takes_the_action_from_the_path(path):
    assert admit(an_apsara_request(path=path)).key.action == "CreateImage"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "OPTIONS"])
def test_takes_nothing_but_a_post(method):
    request = an_apsara_request(method=method)
    with pytest.raises(errors.UnsupportedHTTPMethodOnlyPost) as refused:
        admit(request)

    answer = choose(request).answer(request, refused.value, ID, None)

    assert (answer.status, dict(answer.headers)["allow"]) == (405, "POST")
    assert json.loads(answer.body)["errorSample"]["resultCode"] == -1


@pytest.mark.parametrize(
    "params",
    [{"RegionId": "r"}, {"regionId": "r"}, {"RegionId": "r", "regionId": "r"}, {"RegionId": "", "regionId": "r"}],
)
def test_either_spelling_of_the_region_is_enough(params):
    admitted = admit(an_apsara_request(params=params))

    assert admitted.params == {"RegionId": "r"}


def test_refuses_two_regions():
    with pytest.raises(InvalidParameter, match="regionId is a and RegionId is b"):
        admit(an_apsara_request(params={"regionId": "a", "RegionId": "b"}))


@pytest.mark.parametrize("version", ["2016-01-01", "2014-05-26", ""])
def test_takes_the_route_s_version_and_the_api_s(version):
    assert "version" not in admit(an_apsara_request(params={"RegionId": "r", "version": version})).params


@pytest.mark.parametrize(
    ("request_", "refusal", "gateway_code"),
    [
        (an_apsara_request(app_key="NOBODY"), errors.InvalidAccessKeyIdNotFound, "A400IK"),
        (an_apsara_request(secret="WRONG"), errors.SignatureDoesNotMatch, "A403IS"),
        (an_apsara_request(drop="x-ca-key"), MissingParameter, "I400MH"),
        (an_apsara_request(drop="x-ca-signature"), MissingParameter, "I400MH"),
        (an_apsara_request(drop="x-ca-timestamp"), MissingParameter, "I400MH"),
        (an_apsara_request(drop="x-ca-signature-headers"), errors.IncompleteSignature, "A403IS"),
        (signed(FORM, "X-Ca-Key"), errors.IncompleteSignature, "A403IS"),
        (an_apsara_request(headers={"x-ca-signature-method": "HmacSHA1"}), errors.InvalidSignatureMethod, "I400HD"),
        (an_apsara_request(timestamp_ms=NOW_MS - 900_001), errors.InvalidTimeStampExpired, "S403TE"),
        (an_apsara_request(timestamp_ms=NOW_MS + 900_001), errors.InvalidTimeStampExpired, "S403TE"),
        (signed(FORM | {"x-ca-timestamp": "now"}, "X-Ca-Timestamp"), errors.InvalidTimeStampFormat, "I400HD"),
        (an_apsara_request(path="/apsara/route/Rds/CreateImage"), errors.InvalidProductNotFound, "I404NF"),
        (an_apsara_request(path="/apsara/route/Ecs/"), errors.InvalidActionNotFound, "I404NF"),
        (an_apsara_request(path="/apsara/route/Ecs/A/B"), errors.InvalidActionNotFound, "I404NF"),
        (an_apsara_request(params={"A": "b"}), MissingParameter, "I400MP"),
        (an_apsara_request(params={"RegionId": "r", "version": "2015-09-01"}), errors.InvalidVersion, "I400HD"),
        (an_apsara_request(params={"RegionId": "r", "Format": "YAML"}), errors.InvalidParameterFormat, "I400IP"),
        (an_apsara_request(params={"RegionId": "a", "regionId": "b"}), InvalidParameter, "I400IP"),
        (an_apsara_request(method="PUT"), errors.UnsupportedHTTPMethodOnlyPost, "I405UM"),
    ],
)
def test_refuses_what_is_wrong_by_its_name(request_, refusal, gateway_code):
    with pytest.raises(ApiError) as refused:
        admit(request_)

    answer = choose(request_).answer(request_, refused.value, ID, None)
    assert type(refused.value) is refusal
    assert answer.status == refusal.status
    assert dict(answer.headers)["x-ca-error-code"] == gateway_code


def test_refuses_an_app_that_is_switched_off():
    with pytest.raises(errors.InvalidAccessKeyIdInactive):
        admit(an_apsara_request(), known=Known(active=False))


@pytest.mark.parametrize("late_ms", [-900_000, 900_000])
def test_admits_a_clock_that_is_15_minutes_off(late_ms):
    assert admit(an_apsara_request(timestamp_ms=NOW_MS + late_ms)).key.action == "CreateImage"


def test_admits_a_nonce_once():
    nonces = MemoryNonces()
    admit(an_apsara_request(nonce="n"), nonces=nonces)

    with pytest.raises(errors.SignatureNonceUsed):
        admit(an_apsara_request(nonce="n", timestamp_ms=NOW_MS + 1), nonces=nonces)


@pytest.mark.parametrize("nonce", [{}, {"x-ca-nonce": "one"}])
def test_without_a_signed_nonce_admits_a_signature_once(nonce):
    request, nonces = signed(FORM | nonce, "X-Ca-Key,X-Ca-Timestamp"), MemoryNonces()
    admit(request, nonces=nonces)
    replay = raw_request("POST", target_of(request), [*request.headers, ("x-ca-nonce", "other")], request.body)
    later = signed(FORM | nonce | {"x-ca-timestamp": str(NOW_MS + 1)}, "X-Ca-Key,X-Ca-Timestamp")

    with pytest.raises(errors.SignatureNonceUsed):
        admit(replay, nonces=nonces)
    assert admit(later, nonces=nonces).params["RegionId"] == "r"


def test_takes_headers_as_listed_that_were_not_sent():
    assert admit(signed(FORM, "X-Ca-Key,X-Ca-Stage,X-Ca-Timestamp,X-Ca-Request-Mode")).params["RegionId"] == "r"


def test_signs_a_form_s_content_md5_as_text():
    assert (
        admit(signed(FORM | {"content-md5": "1B2M2Y8AsgTpgAmY7PhCfg=="}, "X-Ca-Timestamp")).params.get("RegionId")
        == "r"
    )


def a_form(params: dict[str, str], md5_of: bytes | None) -> RawRequest:
    """A signed form; *md5_of* is what its Content-MD5 is of, None where there is none."""
    path = "/apsara/route/Ecs/CreateImage"
    body = canonical_query(params).encode()
    sent = FORM | {"x-ca-key": "APPKEYTEST", "x-ca-signature-headers": "X-Ca-Timestamp"}
    sent |= {} if md5_of is None else of_body(md5_of)
    stages = xca.stages("POST", path, params, sent, ["X-Ca-Timestamp"], secret="APPSECRETTEST")
    return raw_request("POST", path, list((sent | {"x-ca-signature": stages.signature}).items()), body)


TWO = {"RegionId": "r", "Description": "a", "DryRun": "true"}
ONE = {"RegionId": "r", "Description": "a&DryRun=true"}


@pytest.mark.parametrize("md5_of", [None, b"", canonical_query(TWO).encode(), canonical_query(ONE).encode()])
def test_two_parameters_are_never_taken_for_one_nor_one_for_two(md5_of):
    """Both are signed alike, so whoever is on the way could put the one in place of the other."""
    taken = []
    for params in (TWO, ONE):
        with suppress(ApiError):
            taken.append(admit(a_form(params, md5_of)).params)

    assert taken == [ONE if md5_of == canonical_query(ONE).encode() else TWO]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ({"Description": "a&Foo=b"}, {"Description": "a", "Foo": "b"}),
        ({"Description": "a&Foo"}, {"Description": "a", "Foo": ""}),
        ({"Description": "a&b&Foo=c&d"}, {"Description": "a&b", "Foo": "c&d"}),
        ({"Description": "a&Foo=b", "Goo": "c"}, {"Description": "a", "Foo": "b", "Goo": "c"}),
        ({"Description": "a&Goo=b", "Foo": "c"}, {"Description": "a", "Goo": "b&Foo=c"}),
        ({"Tag.1.Value": "R&d"}, {"Tag.1.Value": "R", "d": ""}),
    ],
)
@pytest.mark.parametrize("in_query", [False, True])
def test_no_text_is_cut_short_by_a_parameter_that_is_nobodys(one, two, in_query):
    """What one signature covers is let in with one meaning, if it is let in at all."""
    requests = [(a_query if in_query else a_form)({"RegionId": "r", **params}, None) for params in (one, two)]
    taken = []
    for request in requests:
        with suppress(ApiError):
            taken.append(admit(request).params)

    assert requests[0].fields["x-ca-signature"] == requests[1].fields["x-ca-signature"]
    assert taken == [{"RegionId": "r", **two}]


def a_query(params: dict[str, str], md5_of: bytes | None) -> RawRequest:
    """As a form, with all in the query."""
    form = a_form(params, md5_of)
    return raw_request("POST", f"{form.path}?{form.body.decode()}", form.headers, b"")


@pytest.mark.parametrize("text", ["a b&c=d/e", "R&D", "&", "a && b", "a&b=c&d", "&=x", "https://x/?q=1&lang=en"])
def test_takes_a_text_that_can_be_read_as_no_parameter_that_there_is(text):
    assert admit(a_form({"RegionId": "r", "Description": text}, None)).params["Description"] == text


@pytest.mark.parametrize(
    "params",
    [
        {"a&b": "c"}, {"a=b": "c"}, {"a": "&DryRun=true"}, {"a": "x&dryrun"}, {"a": "x&y&Tag.1.Key=k"},
        {"a": "&regionId=r"}, {"a": "&Tag[0].Key=k"}, {"a": "&DiskDeviceMapping=[]"}, {"a": "&Description"},
    ],
)  # fmt: skip
def test_refuses_in_a_query_what_the_signature_cannot_tell(params):
    path = f"/apsara/route/Ecs/CreateImage?{canonical_query(params)}"

    with pytest.raises(errors.IncompleteSignature, match="cannot tell"):
        admit(raw_request("POST", path, list(FORM.items()), b""))


def test_refuses_to_take_a_line_of_a_value_for_a_header():
    """A value may hold line breaks, so the lines of headers must be such that no value can make one."""
    text = "x:\n/apsara/route/Ecs/DeleteImage?ImageId=m-1"
    named = "X-Ca-Timestamp,/apsara/route/Ecs/CreateImage?Description=x"
    honest = a_form({"Description": text}, None)
    headers = dict(honest.headers) | {"x-ca-signature-headers": named}

    with pytest.raises(errors.IncompleteSignature, match="no header"):
        admit(raw_request("POST", "/apsara/route/Ecs/DeleteImage?ImageId=m-1", list(headers.items()), b""))


JSON = {"content-type": "application/json; charset=UTF-8", "x-ca-timestamp": str(NOW_MS)}


def of_body(body: bytes) -> dict[str, str]:
    return {"content-md5": b64encode(hashlib.md5(body).digest()).decode()}


def test_takes_a_json_body_that_its_content_md5_covers():
    body = b'{"Tag": [{"Key": "k"}]}'

    admitted = admit(signed(JSON | of_body(body), "X-Ca-Timestamp", body=body, query="RegionId=r"))

    assert admitted.params == {"RegionId": "r", "Tag.1.Key": "k"}


@pytest.mark.parametrize(
    ("headers", "refusal"),
    [
        (JSON, MissingParameter),
        (JSON | of_body(b"{}"), InvalidParameter),
        (JSON | of_body(b'{"A":"b"}') | {"content-type": "text/plain"}, InvalidParameter),
    ],
)
def test_refuses_a_body_that_nothing_covers_or_that_is_neither_form_nor_json(headers, refusal):
    with pytest.raises(refusal):
        admit(signed(headers, "X-Ca-Timestamp", body=b'{"A":"b"}', query="RegionId=r"))


@pytest.mark.parametrize(
    ("email", "refusal"),
    [(None, MissingParameter), ("", MissingParameter), ("mallory@example.com", errors.Forbidden)],
)
def test_asks_for_one_of_the_people_where_people_are_configured(email, refusal):
    known = Known(users=frozenset({"alice@example.com"}))
    headers = {} if email is None else {"useremail": email}

    with pytest.raises(refusal):
        admit(an_apsara_request(headers=headers), known=known)
    assert admit(an_apsara_request(headers={"useremail": "alice@example.com"}), known=known).user_email


def test_takes_nobody_s_word_for_who_the_person_is_but_the_app_s():
    known = Known(users=frozenset({"alice@example.com"}))

    with pytest.raises(errors.IncompleteSignature, match="UserEmail"):
        admit(an_apsara_request(unsigned={"useremail": "alice@example.com"}), known=known)
    assert admit(an_apsara_request(unsigned={"useremail": "alice@example.com"})).user_email is None


def test_tells_the_client_the_string_that_it_should_have_signed():
    request = an_apsara_request(secret="WRONG")
    with pytest.raises(errors.SignatureDoesNotMatch) as refused:
        admit(request)

    answer = choose(request).answer(request, refused.value, ID, None)

    message = dict(answer.headers)["x-ca-error-message"]
    assert "server string to sign is:POST\napplication/json\n" in str(refused.value)
    assert "server string to sign is:POST#application/json#" in message
    assert message.isascii()
    assert "\n" not in message


@pytest.mark.parametrize("character", [*map(chr, range(1, 32)), "\x7f", "\x80", "\u00e9", "\u2028", "\U00020000"])
def test_puts_nothing_into_a_header_that_no_header_can_hold(character):
    name = f"a{quote(character)}b"
    request = raw_request("POST", f"/apsara/route/Ecs/CreateImage?{name}=1&{name}=2", [], b"")
    with pytest.raises(InvalidParameter) as refused:
        admit(request)

    answer = choose(request).answer(request, refused.value, ID, None)

    assert character in str(refused.value)
    assert all(re.fullmatch(r"[ -~]*", value) for _, value in answer.headers)


def test_compares_signatures_in_constant_time():
    assert "hmac.compare_digest(" in inspect.getsource(apsara.prove)


@settings(deadline=None)
@given(st.data())
def test_refuses_a_request_with_any_byte_changed_or_takes_it_for_the_same(data):
    request = an_apsara_request(nonce="n")
    before = admit(request)
    at = data.draw(st.integers(0, len(request.body) - 1))
    other = data.draw(st.integers(33, 126).filter(lambda c: c != request.body[at]))
    body = request.body[:at] + bytes([other]) + request.body[at + 1 :]

    try:
        after = admit(raw_request("POST", target_of(request), request.headers, body))
    except ApiError:
        return

    assert after == before


names = st.text("AZaz.19", min_size=10)


@settings(deadline=None)
@given(st.dictionaries(names, st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0&"))))
def test_admits_whatever_our_client_signs(more):
    assert admit(an_apsara_request(params={"RegionId": "r", **more})).params == {"RegionId": "r", **more}


def test_spells_an_answer_with_both_request_ids():
    request = an_apsara_request()
    answer = choose(request).answer(request, {"ImageId": "m-1"}, ID, admit(request))

    assert json.loads(answer.body) == {"RequestID": ID, "RequestId": ID, "ImageId": "m-1"}
    assert dict(answer.headers) == {
        "content-type": "application/json;charset=utf-8",
        "x-acs-request-id": ID,
        "x-ca-request-id": ID,
    }


def test_spells_a_failure_as_documented_and_as_clients_read_it():
    request = an_apsara_request()
    answer = choose(request).answer(request, errors.InvalidActionNotFound(), ID, admit(request))

    told = json.loads(answer.body)
    message = "Specified api is not found, please check your url and method."
    assert told["errorSample"] == {"resultCode": -1, "resultMsg": message, "result": None}
    assert (told["resultCode"], told["resultMsg"], told["result"]) == (-1, message, None)
    assert (told["Code"], told["Message"], told["HostId"]) == ("InvalidAction.NotFound", message, "apsara.example")
    assert told["RequestID"] == told["RequestId"] == ID


def test_a_failure_behind_the_door_is_not_the_gateway_s():
    request = an_apsara_request()
    answer = choose(request).answer(request, errors.InvalidActionNotFound(), ID, admit(request))

    assert "x-ca-error-code" not in dict(answer.headers)


def test_answers_in_xml_when_asked():
    request = an_apsara_request(params={"RegionId": "r", "Format": "xml"})
    answer = choose(request).answer(request, {}, ID, admit(request))

    assert answer.body.endswith(
        f"<CreateImageResponse><RequestID>{ID}</RequestID><RequestId>{ID}</RequestId></CreateImageResponse>".encode()
    )
