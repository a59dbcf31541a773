"""What is named as an instance's network and is not there is said, and made again so that the instance starts."""

from __future__ import annotations

import pytest

from kiln.calls.places import place_of
from kiln.store.eips import eips
from kiln.store.instances import instances
from kiln.store.interfaces import interfaces, memberships
from kiln.store.security_groups import security_group_rules, security_groups
from kiln.store.vpcs import vpcs
from kiln.store.vswitches import vswitches
from kiln.upkeep.findings import is_well
from kiln.upkeep.fsck import fsck
from kiln.upkeep.placing import place_all
from tests.clouds import OTHER
from tests.nets import a_group, a_vpc, a_vswitch, an_eip
from tests.reading import every, the
from tests.stock import an_instance


def look(cloud, *, repair=True):
    return fsck(cloud.ports, repair=repair, say=lambda _: None)


def lose(cloud, rows, **equal):
    cloud.ports.database.write(lambda tx: rows.delete(tx, **equal))


def settled(cloud, *addresses, cidr="10.0.5.0/24"):
    """A VPC with a VSwitch and a group that lets nothing in, and instances there; the VSwitch, the group, the IDs."""
    vpc = a_vpc(cloud)
    switch = a_vswitch(cloud, vpc, cidr=cidr)
    group = a_group(cloud, vpc)
    ids = []
    for address in addresses:
        card = {"vpc": vpc.id, "vswitch": switch.id, "private_ip": address, "groups": [group.id]}
        ids.append(an_instance(cloud, card=card, host="local").id)
    return switch, group, ids


def carried(cloud, vpc):
    """The addresses that a host would carry of the VPC: it cannot be put together where anything is missing."""
    with cloud.ports.database.read() as tx:
        place = place_of(tx, vpc, "local")
    return [one.address for one in place.interfaces]


def test_a_lost_vswitch_is_there_again_around_its_instances(cloud):
    switch, _, _ = settled(cloud, "10.0.5.9", "10.0.5.200")
    lose(cloud, vswitches, id=switch.id)
    before = cloud.contents()

    assert [(one.sort, one.subject) for one in look(cloud, repair=False)] == [("repairable", switch.id)]
    assert cloud.contents() == before
    (said,) = look(cloud)

    assert (said.sort, said.subject) == ("repaired", switch.id)
    assert "10.0.5.0/24" in said.text
    again = the(cloud, vswitches, id=switch.id)
    assert (again.cidr, again.vpc, again.zone) == ("10.0.5.0/24", switch.vpc, switch.zone)
    assert sorted(carried(cloud, switch.vpc)) == ["10.0.5.200", "10.0.5.9"]
    assert look(cloud) == []


@pytest.mark.parametrize(
    ("addresses", "neighbour", "cidr"),
    [
        (("10.0.5.9", "10.0.9.9"), "", "10.0.0.0/20"),
        (("10.0.5.9",), "10.0.5.128/25", "10.0.5.0/25"),
        (("10.0.5.254",), "", "10.0.4.0/22"),  # Of one of 24 or 23 bits nobody may have it.
    ],
    ids=["of a wide one", "beside a neighbour", "at a border"],
)
def test_a_lost_vswitch_holds_its_own_and_nobody_else(cloud, addresses, neighbour, cidr):
    switch, _, _ = settled(cloud, *addresses)
    if neighbour:
        a_vswitch(cloud, the(cloud, vpcs, id=switch.vpc), cidr=neighbour)
    lose(cloud, vswitches, id=switch.id)

    look(cloud)

    assert the(cloud, vswitches, id=switch.id).cidr == cidr
    assert sorted(carried(cloud, switch.vpc)) == sorted(addresses)


def test_who_has_no_vswitch_any_more_gets_another_place(cloud):
    switch, _, (instance,) = settled(cloud, "10.0.5.9")
    a_vswitch(cloud, the(cloud, vpcs, id=switch.vpc), cidr="10.0.4.0/22")
    lose(cloud, vswitches, id=switch.id)

    (said,) = look(cloud)
    place_all(cloud.ports)

    assert (said.sort, said.subject) == ("repaired", instance)
    assert "default VPC" in said.text
    card = the(cloud, interfaces, instance=instance)
    assert the(cloud, vpcs, id=card.vpc).is_default
    assert len(every(cloud, memberships, instance=instance)) == 1
    assert carried(cloud, card.vpc) == [card.private_ip]


def test_a_lost_group_is_there_again_and_lets_nothing_in(cloud):
    switch, group, ids = settled(cloud, "10.0.5.9", "10.0.5.10")
    lose(cloud, security_groups, id=group.id)
    lose(cloud, security_group_rules, security_group=group.id)

    (said,) = look(cloud)

    assert (said.sort, said.subject) == ("repaired", group.id)
    assert "without rules" in said.text
    assert the(cloud, security_groups, id=group.id).vpc == switch.vpc
    assert every(cloud, security_group_rules, security_group=group.id) == []
    assert {one.security_group for one in every(cloud, memberships) if one.instance in ids} == {group.id}
    assert len(carried(cloud, switch.vpc)) == 2


@pytest.mark.parametrize("is_default", [False, True])
def test_a_lost_vpc_is_there_again_around_what_is_in_it(cloud, is_default):
    if is_default:
        instance = an_instance(cloud, host="local").id
        vpc = the(cloud, interfaces, instance=instance).vpc
    else:
        vpc = settled(cloud, "10.0.5.9")[0].vpc
    lose(cloud, vpcs, id=vpc)

    found = look(cloud)

    assert [(one.sort, one.subject) for one in found] == [("repaired", vpc)]
    again = the(cloud, vpcs, id=vpc)
    assert (again.cidr, again.is_default) == (("172.31.0.0/16", True) if is_default else ("10.0.0.0/8", False))
    assert len(carried(cloud, vpc)) == 1


def test_everything_of_an_instances_network_may_be_lost_at_once(cloud):
    switch, group, _ = settled(cloud, "10.0.5.9")
    for rows, one in ((vpcs, switch.vpc), (vswitches, switch.id), (security_groups, group.id)):
        lose(cloud, rows, id=one)

    found = look(cloud)

    assert is_well(found)
    assert {one.subject for one in found} == {switch.vpc, switch.id, group.id}
    assert carried(cloud, switch.vpc) == ["10.0.5.9"]


def test_who_has_no_vpc_any_more_gets_another_place(cloud):
    """Of addresses that no usual VPC has nobody can say how many it had."""
    vpc = a_vpc(cloud, cidr="11.0.0.0/16")
    switch = a_vswitch(cloud, vpc, cidr="11.0.5.0/24")
    instance = an_instance(cloud, card={"vpc": vpc.id, "vswitch": switch.id, "private_ip": "11.0.5.9"}).id
    lose(cloud, vpcs, id=vpc.id)

    (said,) = look(cloud)
    place_all(cloud.ports)

    assert (said.sort, said.subject) == ("repaired", instance)
    assert the(cloud, vpcs, id=the(cloud, interfaces, instance=instance).vpc).is_default


def test_a_vpc_with_nothing_in_it_stays_lost(cloud):
    """A group says nothing of addresses, and nobody misses it."""
    group = a_group(cloud, a_vpc(cloud, account=OTHER))
    lose(cloud, vpcs, id=group.vpc)

    assert look(cloud) == []


def test_an_elastic_address_that_leads_to_nobody_is_free_again(cloud):
    eip = an_eip(cloud, status="InUse", interface="eni-gone", instance="i-gone")

    (said,) = look(cloud)

    assert (said.sort, said.subject) == ("repaired", eip.id)
    assert the(cloud, eips, id=eip.id).status == "Available"
    assert every(cloud, instances) == []
