"""UnassociateEipAddress, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.store.eips import eips
from kiln.store.vpcs import vpcs
from tests.clouds import OTHER
from tests.nets import an_eip, the_default_vpc
from tests.operations.instances.things import shown
from tests.reading import the
from tests.stock import an_instance


@pytest.fixture
def eip(cloud):
    return an_eip(cloud).id


@pytest.fixture
def instance(cloud, eip):
    made = an_instance(cloud).id
    cloud.call("AssociateEipAddress", AllocationId=eip, InstanceId=made)
    return made


@pytest.mark.parametrize("is_named", [True, False])
def test_leads_nowhere_at_once(cloud, eip, instance, is_named):
    before = the(cloud, vpcs, id=the_default_vpc(cloud).id)

    cloud.call("UnassociateEipAddress", AllocationId=eip, InstanceId=instance if is_named else None)

    row = the(cloud, eips, id=eip)
    assert (row.status, row.instance, row.interface) == ("Available", "", "")
    assert shown(cloud, instance)["EipAddress"]["IpAddress"] == ""
    assert the(cloud, vpcs, id=before.id).revision > before.revision


def test_refuses_an_address_that_leads_nowhere(cloud, eip):
    cloud.refuses("UnassociateEipAddress", "IncorrectEipStatus", 400, AllocationId=eip)


def test_refuses_another_instance(cloud, eip, instance):
    assert instance

    cloud.refuses(
        "UnassociateEipAddress", "InvalidInstanceId.NotFound", 400, AllocationId=eip, InstanceId=an_instance(cloud).id
    )


def test_refuses_what_is_not_the_callers(cloud):
    theirs = an_eip(cloud, account=OTHER).id

    cloud.refuses("UnassociateEipAddress", "InvalidAllocationId.NotFound", 404, AllocationId=theirs)
    cloud.refuses("UnassociateEipAddress", "InvalidAllocationId.NotFound", 404, AllocationId="eip-none")


def test_a_token_is_of_one_request(cloud, eip, instance):
    for _ in range(2):
        cloud.call("UnassociateEipAddress", AllocationId=eip, ClientToken="t-1")

    given = {"AllocationId": eip, "InstanceId": instance, "ClientToken": "t-1"}
    cloud.refuses("UnassociateEipAddress", "IdempotentParameterMismatch", 400, given)
