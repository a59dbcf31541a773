"""AssociateEipAddress, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.declare.states import InstanceStatus
from kiln.store.eips import eips
from kiln.store.interfaces import interface_id
from kiln.store.vpcs import vpcs
from tests.clouds import OTHER
from tests.nets import an_eip, the_default_vpc
from tests.operations.instances.things import shown
from tests.reading import the
from tests.stock import an_instance


@pytest.mark.parametrize("status", [InstanceStatus.STOPPED, InstanceStatus.RUNNING])
def test_leads_to_the_instance_at_once(cloud, status):
    eip, instance = an_eip(cloud), an_instance(cloud, status=status).id
    before = the(cloud, vpcs, id=the_default_vpc(cloud).id)

    cloud.call("AssociateEipAddress", AllocationId=eip.id, InstanceId=instance)

    row = the(cloud, eips, id=eip.id)
    assert (row.status, row.instance, row.interface) == ("InUse", instance, interface_id(instance))
    assert shown(cloud, instance)["EipAddress"]["IpAddress"] == eip.address
    assert the(cloud, vpcs, id=before.id).revision > before.revision


def test_refuses_an_address_that_leads_somewhere(cloud):
    eip, one, other = an_eip(cloud), an_instance(cloud).id, an_instance(cloud).id
    cloud.call("AssociateEipAddress", AllocationId=eip.id, InstanceId=one)

    cloud.refuses("AssociateEipAddress", "IncorrectEipStatus", 400, AllocationId=eip.id, InstanceId=other)


@pytest.mark.parametrize("has", ["elastic", "public"])
def test_refuses_an_instance_that_has_an_address(cloud, has):
    eip = an_eip(cloud)
    instance = an_instance(cloud, public_ip="127.64.0.1" if has == "public" else "").id
    if has == "elastic":
        other = an_eip(cloud, address="127.88.0.2")
        cloud.call("AssociateEipAddress", AllocationId=other.id, InstanceId=instance)

    cloud.refuses("AssociateEipAddress", "InvalidAssociation.Duplicated", 400, AllocationId=eip.id, InstanceId=instance)


def test_refuses_an_instance_on_its_way(cloud):
    instance = an_instance(cloud, status=InstanceStatus.STARTING).id

    cloud.refuses(
        "AssociateEipAddress", "IncorrectInstanceStatus", 400, AllocationId=an_eip(cloud).id, InstanceId=instance
    )


def test_refuses_another_region(cloud):
    eip = an_eip(cloud)
    far = an_instance(cloud, region="cn-hangzhou", zone="cn-hangzhou-a").id

    cloud.refuses("AssociateEipAddress", "InvalidParameter.Mismatch", 400, AllocationId=eip.id, InstanceId=far)


@pytest.mark.parametrize(
    ("code", "status", "params"),
    [
        ("InvalidAllocationId.NotFound", 404, {"AllocationId": "eip-none"}),
        ("InvalidAllocationId.NotFound", 404, {"AllocationId": "THEIRS"}),
        ("InvalidInstanceId.NotFound", 404, {"InstanceId": "i-none"}),
        ("InvalidParameter", 400, {"InstanceType": "Nat"}),
        ("InvalidParameter", 400, {"PrivateIpAddress": "10.0.0.1"}),
    ],
)
def test_refuses(cloud, code, status, params):
    theirs = an_eip(cloud, account=OTHER, address="127.88.0.9").id
    given = {"AllocationId": an_eip(cloud).id, "InstanceId": an_instance(cloud).id}

    given |= {name: theirs if value == "THEIRS" else value for name, value in params.items()}
    cloud.refuses("AssociateEipAddress", code, status, given)


def test_a_token_is_of_one_request(cloud):
    eip, one, other = an_eip(cloud), an_instance(cloud).id, an_instance(cloud).id
    for _ in range(2):
        cloud.call("AssociateEipAddress", AllocationId=eip.id, InstanceId=one, ClientToken="t-1")

    given = {"AllocationId": eip.id, "InstanceId": other, "ClientToken": "t-1"}
    cloud.refuses("AssociateEipAddress", "IdempotentParameterMismatch", 400, given)
