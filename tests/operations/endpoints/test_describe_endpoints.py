"""DescribeEndpoints, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.wire.gateway import Gateway
from kiln.wire.nonces import MemoryNonces
from tests.clouds import REGION
from tests.fuzz.requests import HOST, by_acs3, by_rpc
from tests.fuzz.target import OneAccount, read

ECS = {"Id": REGION, "ServiceCode": "ecs"}


@pytest.mark.parametrize("service", ["ecs", "sts", "location", "ECS"])
@pytest.mark.parametrize(("asked", "told"), [({}, "openAPI"), ({"Type": "innerAPI"}, "innerAPI")])
def test_tells_the_address_of_every_product(cloud, service, asked, told):
    answer = cloud.call("DescribeEndpoints", asked, Id=REGION, ServiceCode=service)

    assert answer["Success"] is True
    assert answer["Endpoints"]["Endpoint"] == [
        {
            "Id": REGION,
            "SerivceCode": service,
            "Type": told,
            "Namespace": "",
            "Protocols": {"Protocols": ["HTTP", "HTTPS"]},
            "Endpoint": cloud.ports.deployment.endpoint,
        }
    ]


@pytest.mark.parametrize("region", ["cn-nowhere", f"{REGION}-a", REGION.upper()])
def test_knows_no_other_region(cloud, region):
    refused = cloud.refuses("DescribeEndpoints", "InvalidRegionId", 404, ECS | {"Id": region})

    assert str(refused) == "The specified region does not exist."


@pytest.mark.parametrize("more", [{"ServiceCode": "rds"}, {"ServiceCode": "ecs,sts"}, {"Type": "openapi"}])
def test_knows_no_other_product_or_type(cloud, more):
    refused = cloud.refuses("DescribeEndpoints", "Illegal Parameter", 400, ECS | more)

    assert str(refused) == "Please check the parameters"


@pytest.fixture
def gateway(cloud):
    return Gateway(cloud.dispatcher, OneAccount(), MemoryNonces(), cloud.clock)


@pytest.mark.parametrize("way", [by_rpc, by_acs3])
def test_tells_the_address_that_the_client_came_to(cloud, gateway, way):
    told = read(gateway.answer(way("DescribeEndpoints", ECS, cloud.clock())))

    assert [one["Endpoint"] for one in told["Endpoints"]["Endpoint"]] == [HOST]


@pytest.mark.parametrize("host", ["location-readonly.aliyuncs.com", "Location.ALIYUNCS.com:443", "", "a b", "[::1"])
def test_tells_its_own_address_to_who_came_by_a_name_that_leads_elsewhere(cloud, gateway, host):
    request = by_rpc("DescribeEndpoints", ECS, cloud.clock())
    request.headers[:] = [("host", host)]

    told = read(gateway.answer(request))

    assert [one["Endpoint"] for one in told["Endpoints"]["Endpoint"]] == [cloud.ports.deployment.endpoint]
