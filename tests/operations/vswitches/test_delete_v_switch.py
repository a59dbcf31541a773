"""DeleteVSwitch, as a caller meets it."""

from __future__ import annotations

from kiln.store.vpcs import vpcs
from kiln.store.vswitches import vswitches
from tests.clouds import OTHER
from tests.nets import a_vpc, a_vswitch
from tests.reading import every, the
from tests.stock import an_instance


def test_deletes_what_nobody_is_joined_to_and_changes_its_vpc(cloud):
    vpc = a_vpc(cloud)
    switch = a_vswitch(cloud, vpc)

    cloud.call("DeleteVSwitch", VSwitchId=switch.id)

    assert every(cloud, vswitches) == []
    assert the(cloud, vpcs, id=vpc.id).revision > vpc.revision


def test_refuses_while_an_instance_is_joined_to_it(cloud):
    switch = a_vswitch(cloud, a_vpc(cloud))
    card = {"vpc": switch.vpc, "vswitch": switch.id, "private_ip": "10.0.0.1"}
    instance = an_instance(cloud, card=card).id

    cloud.refuses("DeleteVSwitch", "DependencyViolation", 400, VSwitchId=switch.id)

    cloud.call("DeleteInstance", InstanceId=instance)
    cloud.settle()
    cloud.call("DeleteVSwitch", VSwitchId=switch.id)


def test_refuses_what_is_not_the_callers(cloud):
    theirs = a_vswitch(cloud, a_vpc(cloud, account=OTHER))

    cloud.refuses("DeleteVSwitch", "InvalidVSwitchId.NotFound", 404, VSwitchId=theirs.id)
    cloud.refuses("DeleteVSwitch", "InvalidVSwitchId.NotFound", 404, VSwitchId="vsw-none")
