"""The life of a network, by the official SDKs: ECS's own, and the core that every product's SDK calls through."""

from __future__ import annotations

from typing import Any

import pytest
from alibabacloud_ecs20140526 import models
from alibabacloud_tea_openapi import utils_models as core
from alibabacloud_tea_openapi.client import Client as CoreClient
from alibabacloud_tea_openapi.exceptions import ClientException
from darabonba.runtime import RuntimeOptions

from tests.waiting import wait_for

pytestmark = pytest.mark.sdk


@pytest.fixture
def vpc_product(kiln):
    """Calls an action of Vpc 2016-04-28 as its SDK does: by the core's ``call_api``."""
    config = core.Config(
        access_key_id=kiln.access_key_id,
        access_key_secret=kiln.secret,
        region_id=kiln.region,
        endpoint=kiln.host,
        protocol="http",
        read_timeout=300_000,
    )
    client = CoreClient(config)

    def ask(action: str, **params: Any) -> dict[str, Any]:
        about = core.Params(
            action=action,
            version="2016-04-28",
            protocol="HTTP",
            pathname="/",
            method="POST",
            auth_type="AK",
            style="RPC",
            req_body_type="formData",
            body_type="json",
        )
        asked = core.OpenApiRequest(query={"RegionId": kiln.region, **params})
        return client.call_api(about, asked, RuntimeOptions())["body"]

    return ask


def test_is_laid_used_and_taken_away(kiln, kiln_ecs, kiln_image, name):
    client, region = kiln_ecs, {"region_id": kiln.region}
    vpc = client.create_vpc(models.CreateVpcRequest(**region, cidr_block="10.9.0.0/16", vpc_name=name)).body.vpc_id
    (found,) = client.describe_vpcs(models.DescribeVpcsRequest(**region, vpc_id=vpc)).body.vpcs.vpc
    assert (found.status, found.cidr_block, found.vpc_name) == ("Available", "10.9.0.0/16", name)
    zones = client.describe_zones(models.DescribeZonesRequest(**region)).body.zones.zone
    switch = client.create_vswitch(
        models.CreateVSwitchRequest(**region, vpc_id=vpc, zone_id=zones[0].zone_id, cidr_block="10.9.1.0/24")
    ).body.v_switch_id
    listed = client.describe_vswitches(models.DescribeVSwitchesRequest(**region, vpc_id=vpc)).body.v_switches.v_switch
    assert [(one.v_switch_id, one.status, one.available_ip_address_count) for one in listed] == [
        (switch, "Available", 252)
    ]
    made = client.create_instance(
        models.CreateInstanceRequest(
            **region,
            image_id=kiln_image,
            instance_type="ecs.t5-lc1m1.small",
            v_switch_id=switch,
            private_ip_address="10.9.1.7",
        )
    ).body.instance_id
    wait_for(lambda: shown(client, region, made).status == "Stopped")
    told = shown(client, region, made).vpc_attributes
    assert (told.vpc_id, told.v_switch_id, told.private_ip_address.ip_address) == (vpc, switch, ["10.9.1.7"])

    eip = client.allocate_eip_address(models.AllocateEipAddressRequest(**region, bandwidth="5")).body
    named = {**region, "allocation_id": eip.allocation_id}
    client.associate_eip_address(models.AssociateEipAddressRequest(**named, instance_id=made))
    assert status(client, named) == "InUse"
    assert shown(client, region, made).eip_address.ip_address == eip.eip_address
    client.unassociate_eip_address(models.UnassociateEipAddressRequest(**named, instance_id=made))
    assert status(client, named) == "Available"
    client.release_eip_address(models.ReleaseEipAddressRequest(**named))

    with pytest.raises(ClientException) as refused:
        client.delete_vswitch(models.DeleteVSwitchRequest(**region, v_switch_id=switch))
    assert refused.value.code == "DependencyViolation"
    client.delete_instance(models.DeleteInstanceRequest(instance_id=made, force=True))
    wait_for(lambda: shown(client, region, made) is None)
    client.delete_vswitch(models.DeleteVSwitchRequest(**region, v_switch_id=switch))
    client.delete_vpc(models.DeleteVpcRequest(**region, vpc_id=vpc))
    assert client.describe_vpcs(models.DescribeVpcsRequest(**region, vpc_id=vpc)).body.total_count == 0


def test_is_called_as_one_of_the_vpc_product_too(vpc_product, name):
    vpc = vpc_product("CreateVpc", CidrBlock="10.8.0.0/16", VpcName=name, ClientToken=name)["VpcId"]

    assert vpc_product("CreateVpc", CidrBlock="10.8.0.0/16", VpcName=name, ClientToken=name)["VpcId"] == vpc
    told = vpc_product("DescribeVpcAttribute", VpcId=vpc)
    assert (told["Status"], told["VpcName"], told["ClassicLinkEnabled"]) == ("Available", name, False)
    vpc_product("ModifyVpcAttribute", VpcId=vpc, Description="Changed")
    assert vpc_product("DescribeVpcAttribute", VpcId=vpc)["Description"] == "Changed"
    vpc_product("DeleteVpc", VpcId=vpc)
    with pytest.raises(ClientException) as refused:
        vpc_product("DescribeVpcAttribute", VpcId=vpc)
    assert refused.value.code == "InvalidVpcId.NotFound"


def shown(client, region, instance):
    """The instance in DescribeInstances, or None."""
    asked = models.DescribeInstancesRequest(**region, instance_ids=f'["{instance}"]')
    return next(iter(client.describe_instances(asked).body.instances.instance), None)


def status(client, named):
    """The status of an elastic address."""
    (found,) = client.describe_eip_addresses(models.DescribeEipAddressesRequest(**named)).body.eip_addresses.eip_address
    return found.status
