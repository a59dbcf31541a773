"""A read that needs a region and names none is answered for that of the endpoint, which its sender signed for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kiln.declare.deployment import Deployment
from kiln.operations import CATALOGUE
from kiln.wire.dispatch import Dispatcher
from kiln.wire.gateway import Gateway
from kiln.wire.nonces import MemoryNonces
from tests.clouds import REGION, make_cloud
from tests.fuzz.requests import by_acs3, by_rpc
from tests.fuzz.target import OneAccount, read

ELSEWHERE = "cn-hangzhou"
ENDPOINT = f"vpc.{REGION}.aliyuncs.com"


@pytest.fixture
def cloud(tmp_path, sqlite):
    return make_cloud(tmp_path, sqlite, deployment=Deployment(regions=(REGION, ELSEWHERE)))


@pytest.fixture
def ask(cloud):
    """Status and members of the answer to a request."""
    gateway = Gateway(Dispatcher(CATALOGUE, cloud.ports), OneAccount(), MemoryNonces(), cloud.clock)

    def ask(request):
        answer = gateway.answer(request)
        return answer.status, read(answer)

    return ask


@pytest.mark.parametrize("action", ["DescribeVpcs", "DescribeVSwitches", "DescribeInstances"])
def test_a_read_has_the_region_of_the_endpoint(cloud, ask, action):
    """Prowler lists VPCs and VSwitches so, of each region."""
    status, told = ask(by_acs3(action, {}, cloud.clock(), host=ENDPOINT))

    assert status == 200, told


def test_it_is_that_region_s_own_that_are_listed(cloud, ask):
    made = cloud.call("CreateVpc", RegionId=REGION)["VpcId"]
    cloud.settle()

    _, told = ask(by_acs3("DescribeVpcs", {}, cloud.clock(), host=ENDPOINT))

    assert [vpc["VpcId"] for vpc in told["Vpcs"]["Vpc"]] == [made]


def test_those_of_other_regions_are_not_listed_where_the_region_may_be_left_out(cloud, ask):
    vpc = cloud.call("CreateVpc", RegionId=REGION)["VpcId"]
    cloud.call("CreateVSwitch", RegionId=REGION, VpcId=vpc, ZoneId=REGION + "-a", CidrBlock="172.16.0.0/24")
    cloud.settle()

    told = [
        ask(by_acs3("DescribeVSwitches", {}, cloud.clock(), host=host))[1]["TotalCount"]
        for host in (ENDPOINT, f"vpc.{ELSEWHERE}.aliyuncs.com", "127.0.0.1:8787")
    ]

    assert told == [1, 0, 1]


def test_a_region_that_is_named_counts(cloud, ask):
    _, told = ask(by_acs3("DescribeVpcs", {"RegionId": "cn-nowhere"}, cloud.clock(), host=ENDPOINT))

    assert told["Code"] == "InvalidRegionId.NotFound"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8787",
        "vpc.aliyuncs.com",
        "vpc.cn-nowhere.aliyuncs.com",
        "location-readonly.aliyuncs.com",
        # To which the SDKs send a score of other regions as well.
        f"ecs-{ELSEWHERE}.aliyuncs.com",
    ],
)
def test_an_endpoint_of_no_region_that_is_served_says_none(cloud, ask, host):
    status, told = ask(by_acs3("DescribeVpcs", {}, cloud.clock(), host=host))

    assert (status, told["Code"]) == (400, "MissingParameter")


def test_what_writes_says_where(cloud, ask):
    status, told = ask(by_acs3("CreateVpc", {}, cloud.clock(), host=ENDPOINT))

    assert (status, told["Code"]) == (400, "MissingParameter")


def test_a_host_that_nobody_signed_for_has_no_say(cloud, ask):
    request = by_rpc("DescribeVpcs", {}, cloud.clock())
    others = [("host", ENDPOINT) if name == "host" else (name, value) for name, value in request.headers]

    status, told = ask(replace(request, headers=others))

    assert (status, told["Code"]) == (400, "MissingParameter")
