"""DescribeAccountAttributes, as a caller meets it."""

from __future__ import annotations

from kiln.store.instances import Asked
from tests.clouds import OTHER
from tests.stock import an_instance


def attributes(cloud, params=None, **more):
    """The values of each attribute."""
    items = cloud.call("DescribeAccountAttributes", params, **more)["AccountAttributeItems"]["AccountAttributeItem"]
    return {item["AttributeName"]: [one["Value"] for one in item["AttributeValues"]["ValueItem"]] for item in items}


def test_tells_the_quotas_that_requests_are_held_to(cloud):
    told, quotas = attributes(cloud), cloud.ports.deployment.quotas

    assert told["max-security-groups"] == [str(quotas.security_groups)]
    assert told["max-axt-command-count"] == [str(quotas.commands)]
    assert told["instance-network-type"] == ["vpc"]
    assert told["real-name-authentication"] == ["unnecessary"]


def test_counts_the_vcpus_in_use(cloud):
    an_instance(cloud, instance_type="ecs.g6.large")
    an_instance(cloud, instance_type="ecs.g6.xlarge")
    an_instance(cloud, instance_type="ecs.g6.xlarge", asked=Asked(spot_strategy="SpotAsPriceGo"))
    an_instance(cloud, instance_type="ecs.g6.large", charge_type="PrePaid")
    an_instance(cloud, instance_type="ecs.g6.large", account=OTHER)
    an_instance(cloud, instance_type="of another day")

    told = attributes(cloud)

    assert told["used-postpaid-instance-vcpu-count"] == ["6"]
    assert told["used-spot-instance-vcpu-count"] == ["4"]


def test_tells_of_instance_types_by_zone(cloud):
    (item,) = cloud.call(
        "DescribeAccountAttributes", {"AttributeName.1": "supported-postpaid-instance-types"}, ZoneId="z-1"
    )["AccountAttributeItems"]["AccountAttributeItem"]

    told = item["AttributeValues"]["ValueItem"]
    assert [one["Value"] for one in told] == [one.id for one in cloud.ports.deployment.instance_types]
    assert {one["ZoneId"] for one in told} == {"z-1"}


def test_tells_only_what_is_asked_for(cloud):
    asked = {"AttributeName.1": "max-security-groups", "AttributeName.2": "max-axt-invocation-daily"}

    assert attributes(cloud, asked).keys() == {"max-security-groups"}


def test_refuses_an_attribute_that_there_is_not(cloud):
    cloud.refuses("DescribeAccountAttributes", "InvalidParameter", 400, {"AttributeName.1": "max-wishes"})
