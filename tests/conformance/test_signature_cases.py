"""Requests of real clients, and published examples, at every stage."""

from __future__ import annotations

import pytest

from kiln.declare.errors import ApiError, InvalidParameter
from kiln.operations.images.create_image import Input
from kiln.wire.decode import decode
from kiln.wire.doors import choose, freshness, parameters
from kiln.wire.errors import SignatureDoesNotMatch
from kiln.wire.key import Key
from kiln.wire.nonces import MemoryNonces
from kiln.wire.signatures import acs3, rpc, xca
from kiln.wire.signatures.stages import Stages
from tests.conformance.cases import NAMES, Case, a_case


def computed(case: Case) -> Stages:
    request, secret = case.request, case.key.secret
    fields, query = request.fields, parameters.of_query(request)
    if "authorization" in fields:
        authorization = acs3.find_authorization(fields["authorization"])
        assert authorization is not None
        return acs3.stages(
            method=request.method,
            path=request.path,
            query=query,
            headers=fields,
            signed_headers=authorization.signed_headers,
            body_hash=acs3.hash_body(authorization.algorithm, request.body),
            secret=secret,
        )
    is_json = parameters.is_json(request)
    body = rpc.flatten(parameters.json_object(request.body)) if is_json else parameters.of_form(request.body)
    params = query | body
    if "x-ca-key" in fields:
        named = xca.named_headers(fields["x-ca-signature-headers"])
        return xca.stages(request.method, request.path, params, fields, named, secret=secret)
    params.pop("Signature")
    hash_ = rpc.METHODS[params["SignatureVersion"]][params["SignatureMethod"]]
    return rpc.stages(request.method, params, secret, hash_)


class Only:
    """Credentials that know one key."""

    def __init__(self, key: Key) -> None:
        self._key = key

    def access_key(self, key_id: str) -> Key | None:
        return self._key if key_id == self._key.id else None

    app = session = access_key

    def users(self, account_id: str) -> frozenset[str]:
        return frozenset()


def time_of(case: Case) -> float:
    fields, params = case.request.fields, parameters.of_query(case.request)
    if "x-ca-timestamp" in fields:
        return freshness.of_milliseconds(fields["x-ca-timestamp"])
    return freshness.of_utc(fields.get("x-acs-date") or params["Timestamp"])


#: Signed as their scheme says, which does not tell them from requests that mean something else.
AMBIGUOUS = {"asapi-body-list-in-object": InvalidParameter}


@pytest.mark.parametrize("name", NAMES)
def test_computes_every_stage(name):
    case = a_case(name)

    stages = computed(case)

    assert stages == (case.canonical, case.to_sign, case.signature)


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("refused-") and name not in AMBIGUOUS])
def test_admits_what_a_real_client_sent(name):
    case = a_case(name)

    admitted = choose(case.request).admit(case.request, Only(case.key), MemoryNonces(), time_of(case))

    assert (admitted.account_id, admitted.access_key_id) == ("acme", case.key.id)
    assert admitted.key.action in {"CreateImage", "DescribeRegions", "RunInstances"}


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("refused-")])
def test_refuses_what_no_server_can_follow(name):
    case = a_case(name)

    with pytest.raises(ApiError) as refusal:
        choose(case.request).admit(case.request, Only(case.key), MemoryNonces(), time_of(case))

    assert isinstance(refusal.value, SignatureDoesNotMatch)


@pytest.mark.parametrize(("name", "refusal"), AMBIGUOUS.items())
def test_refuses_what_could_as_well_mean_something_else(name, refusal):
    case = a_case(name)

    with pytest.raises(refusal, match="nested deeper"):
        choose(case.request).admit(case.request, Only(case.key), MemoryNonces(), time_of(case))


def test_hands_on_the_nested_values_of_a_json_body_as_they_were_signed():
    case = a_case("asapi-body-nested")

    admitted = choose(case.request).admit(case.request, Only(case.key), MemoryNonces(), time_of(case))

    assert admitted.params == {
        "RegionId": "cn-qingdao-env17-d01",
        "regionId": "cn-qingdao-env17-d01",
        "ImageName": "n",
        "DryRun": "true",
        "Tag.1": '{"Key":"KeyTest","Value":"ValueTest"}',
        "Tag.2": '{"Key":"k2","Value":""}',
        "DiskDeviceMapping.1": '{"Device":"/dev/vda","DiskType":"system","Size":"40","SnapshotId":"s-1"}',
        "DiskDeviceMapping.2": '{"Device":"/dev/vdb","DiskType":"data","Size":"100"}',
        "Ids.1": "a",
        "Ids.2": "b",
        "Dict": '{"a":"1","b":"2"}',
    }


@pytest.mark.parametrize("name", ["asapi-body-nested", "asapi-get-nested", "asapi-body-quote-in-object"])
def test_what_was_signed_as_the_text_of_an_object_is_read_as_one(name):
    case = a_case(name)
    admitted = choose(case.request).admit(case.request, Only(case.key), MemoryNonces(), time_of(case))

    given = decode(Input, {"RegionId": "r", "SnapshotId": "s-1"} | admitted.params | {"ImageName": "name"})

    key, value = ('a"b', "c\\d") if "quote" in name else ("KeyTest", "ValueTest")
    assert (given.tag[0].key, given.tag[0].value) == (key, value)
    assert [mapping.size for mapping in given.disk_device_mapping] == ([] if "quote" in name else [40, 100])
