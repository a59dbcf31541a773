"""AllocatePublicIpAddress, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.declare.deployment import Deployment
from kiln.declare.states import InstanceStatus
from kiln.store.instances import instances
from kiln.store.vpcs import vpcs
from tests.clouds import OTHER
from tests.nets import an_eip, the_default_vpc
from tests.operations.instances.things import shown, watched
from tests.reading import the
from tests.stock import an_instance


@pytest.mark.parametrize("status", [InstanceStatus.STOPPED, InstanceStatus.RUNNING])
def test_gives_an_address(cloud, status):
    instance = an_instance(cloud, status=status).id
    before = the(cloud, vpcs, id=the_default_vpc(cloud).id)

    address = cloud.call("AllocatePublicIpAddress", InstanceId=instance)["IpAddress"]

    assert shown(cloud, instance)["PublicIpAddress"]["IpAddress"] == [address]
    assert address.startswith("127.")
    assert the(cloud, vpcs, id=before.id).revision > before.revision


def test_is_where_the_next_start_forwards_from(cloud):
    machines, instance = watched(cloud), an_instance(cloud).id

    address = cloud.call("AllocatePublicIpAddress", InstanceId=instance)["IpAddress"]
    cloud.call("StartInstance", InstanceId=instance)
    cloud.settle()

    assert [machine.public_ip for machine in machines.started] == [address]


@pytest.mark.parametrize(
    ("code", "status", "of"),
    [
        ("InvalidInstanceId.NotFound", 404, {"id": "i-other"}),
        ("InvalidInstanceId.NotFound", 404, {"account": OTHER}),
        ("IncorrectInstanceStatus", 403, {"status": InstanceStatus.STARTING}),
        ("InstanceLockedForSecurity", 403, {"lock_reason": "security"}),
        ("AllocatedAlready", 403, {"public_ip": "127.64.0.1"}),
    ],
)
def test_refuses(cloud, code, status, of):
    made = an_instance(cloud, **of).id
    cloud.refuses("AllocatePublicIpAddress", code, status, InstanceId="i-none" if "id" in of else made)


def test_refuses_an_instance_that_has_an_elastic_address(cloud):
    instance = an_instance(cloud).id
    cloud.call("AssociateEipAddress", AllocationId=an_eip(cloud).id, InstanceId=instance)

    cloud.refuses("AllocatePublicIpAddress", "OperationDenied", 400, InstanceId=instance)


def test_refuses_when_every_address_is_somebodys(cloud):
    cloud.refit(deployment=Deployment(public_network="127.64.0.0/30"))
    for n in (1, 2):
        an_instance(cloud, public_ip=f"127.64.0.{n}")
    instance = an_instance(cloud).id

    cloud.refuses("AllocatePublicIpAddress", "InsufficientPublicIp", 400, InstanceId=instance)
    assert the(cloud, instances, id=instance).public_ip == ""
