"""DeleteVpc, as a caller meets it."""

from __future__ import annotations

from kiln.store.security_groups import security_group_rules, security_groups
from kiln.store.vpcs import vpcs
from kiln.store.vswitches import vswitches
from tests.clouds import OTHER
from tests.nets import a_group, a_vpc, a_vswitch, the_default_vpc
from tests.reading import every


def test_deletes_what_is_empty(cloud):
    vpc = a_vpc(cloud)

    cloud.call("DeleteVpc", VpcId=vpc.id)

    assert every(cloud, vpcs) == []


def test_takes_along_the_group_that_kiln_made(cloud):
    vpc = the_default_vpc(cloud)
    cloud.ports.database.write(lambda tx: vswitches.delete(tx, vpc=vpc.id))

    cloud.call("DeleteVpc", VpcId=vpc.id)

    assert every(cloud, vpcs) == every(cloud, security_groups) == every(cloud, security_group_rules) == []


def test_the_next_who_needs_the_default_vpc_has_another_made(cloud):
    vpc = the_default_vpc(cloud)
    cloud.ports.database.write(lambda tx: vswitches.delete(tx, vpc=vpc.id))
    cloud.call("DeleteVpc", VpcId=vpc.id)

    assert the_default_vpc(cloud).id != vpc.id


def test_refuses_while_something_is_in_it(cloud):
    vpc = a_vpc(cloud)
    a_vswitch(cloud, vpc)
    cloud.refuses("DeleteVpc", "DependencyViolation.VSwitch", 400, VpcId=vpc.id)

    other = a_vpc(cloud)
    a_group(cloud, other)
    cloud.refuses("DeleteVpc", "DependencyViolation.SecurityGroup", 400, VpcId=other.id)


def test_refuses_what_is_not_the_callers(cloud):
    theirs = a_vpc(cloud, account=OTHER)

    cloud.refuses("DeleteVpc", "InvalidVpcId.NotFound", 404, VpcId=theirs.id)
    cloud.refuses("DeleteVpc", "InvalidVpcId.NotFound", 404, VpcId="vpc-none")
