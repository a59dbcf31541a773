"""Requests of real clients, and published examples, at every stage."""

from __future__ import annotations

import pytest

from kiln.declare.errors import ApiError
from kiln.wire.doors import choose, freshness, parameters
from kiln.wire.doors.door import Key
from kiln.wire.errors import SignatureDoesNotMatch
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
    params = parameters.overlay(query, parameters.of_body(request)).signed
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

    app = access_key

    def users(self, account_id: str) -> frozenset[str]:
        return frozenset()


def time_of(case: Case) -> float:
    fields, params = case.request.fields, parameters.of_query(case.request)
    if "x-ca-timestamp" in fields:
        return freshness.of_milliseconds(fields["x-ca-timestamp"])
    return freshness.of_utc(fields.get("x-acs-date") or params["Timestamp"])


@pytest.mark.parametrize("name", NAMES)
def test_computes_every_stage(name):
    case = a_case(name)

    stages = computed(case)

    assert stages == (case.canonical, case.to_sign, case.signature)


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("refused-")])
def test_admits_what_a_real_client_sent(name):
    case = a_case(name)

    admitted = choose(case.request).admit(case.request, Only(case.key), MemoryNonces(), time_of(case))

    assert (admitted.account_id, admitted.key_id) == ("acme", case.key.id)
    assert admitted.action in {"CreateImage", "DescribeRegions", "RunInstances"}


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("refused-")])
def test_refuses_what_no_server_can_follow(name):
    case = a_case(name)

    with pytest.raises(ApiError) as refusal:
        choose(case.request).admit(case.request, Only(case.key), MemoryNonces(), time_of(case))

    assert isinstance(refusal.value, SignatureDoesNotMatch)


def test_spreads_the_nested_values_of_a_json_body():
    case = a_case("asapi-body-nested")

    admitted = choose(case.request).admit(case.request, Only(case.key), MemoryNonces(), time_of(case))

    assert admitted.params == {
        "RegionId": "cn-qingdao-env17-d01",
        "regionId": "cn-qingdao-env17-d01",
        "ImageName": "n",
        "DryRun": "true",
        "Tag.1.Key": "KeyTest",
        "Tag.1.Value": "ValueTest",
        "Tag.2.Key": "k2",
        "Tag.2.Value": "",
        "DiskDeviceMapping.1.Device": "/dev/vda",
        "DiskDeviceMapping.1.SnapshotId": "s-1",
        "DiskDeviceMapping.1.Size": "40",
        "DiskDeviceMapping.1.DiskType": "system",
        "DiskDeviceMapping.2.Device": "/dev/vdb",
        "DiskDeviceMapping.2.Size": "100",
        "DiskDeviceMapping.2.DiskType": "data",
        "Ids": '["a", "b"]',
        "Ids.1": "a",
        "Ids.2": "b",
        "Dict.a": "1",
        "Dict.b": "2",
    }


def test_spreads_the_objects_of_a_query():
    case = a_case("asapi-get-nested")

    admitted = choose(case.request).admit(case.request, Only(case.key), MemoryNonces(), time_of(case))

    assert admitted.params["Tag.1.Key"] == "KeyTest"
    assert admitted.params["DiskDeviceMapping.2.Size"] == "100"
