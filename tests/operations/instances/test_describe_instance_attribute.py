"""DescribeInstanceAttribute, as a caller meets it."""

from __future__ import annotations

from tests.clouds import OTHER, REGION
from tests.stock import an_instance


def test_tells_what_describe_instances_tells(cloud):
    instance = an_instance(cloud, name="web", instance_type="ecs.g6.large", public_ip="127.64.0.9").id

    told = cloud.call("DescribeInstanceAttribute", InstanceId=instance)

    (listed,) = cloud.call("DescribeInstances")["Instances"]["Instance"]
    same = told.keys() & listed.keys() - {"IoOptimized"}
    assert {name: told[name] for name in same} == {name: listed[name] for name in same}
    assert {"InstanceName", "VpcAttributes", "PublicIpAddress", "SecurityGroupIds", "Cpu", "SerialNumber"} <= same
    assert (told["IoOptimized"], told["Memory"]) == ("optimized", 8192)


def test_tells_of_locks(cloud):
    instance = an_instance(cloud, lock_reason="financial").id

    locks = cloud.call("DescribeInstanceAttribute", InstanceId=instance)["OperationLocks"]["LockReason"]

    assert [lock["LockReason"] for lock in locks] == ["financial"]


def test_finds_the_region_by_itself(cloud):
    instance = an_instance(cloud).id

    assert cloud.call("DescribeInstanceAttribute", InstanceId=instance, RegionId=None)["RegionId"] == REGION


def test_refuses_what_is_not_the_callers(cloud):
    instance = an_instance(cloud).id

    for named, account in (("i-unknown", None), (instance, OTHER)):
        cloud.refuses("DescribeInstanceAttribute", "InvalidInstanceId.NotFound", 404, account=account, InstanceId=named)
