"""ReleaseEipAddress, as a caller meets it."""

from __future__ import annotations

from kiln.store.eips import eips
from tests.clouds import OTHER
from tests.nets import an_eip
from tests.reading import every
from tests.stock import an_instance


def test_gives_back_what_leads_nowhere(cloud):
    cloud.call("ReleaseEipAddress", AllocationId=an_eip(cloud).id)

    assert every(cloud, eips) == []


def test_refuses_what_leads_to_an_instance(cloud):
    eip, instance = an_eip(cloud).id, an_instance(cloud).id
    cloud.call("AssociateEipAddress", AllocationId=eip, InstanceId=instance)

    cloud.refuses("ReleaseEipAddress", "IncorrectEipStatus", 400, AllocationId=eip)

    cloud.call("DeleteInstance", InstanceId=instance)
    cloud.settle()
    cloud.call("ReleaseEipAddress", AllocationId=eip)


def test_refuses_what_is_not_the_callers(cloud):
    theirs = an_eip(cloud, account=OTHER).id

    cloud.refuses("ReleaseEipAddress", "InvalidAllocationId.NotFound", 404, AllocationId=theirs)
    cloud.refuses("ReleaseEipAddress", "InvalidAllocationId.NotFound", 404, AllocationId="eip-none")
