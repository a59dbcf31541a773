"""What a host is to carry of a VPC, and that its number grows with every change of it."""

from __future__ import annotations

import pytest

from kiln.calls.places import place_of
from kiln.networks.values import Place, PublicAddress, Rule
from kiln.operations.steps.default_network import DefaultNetwork
from kiln.store import vpcs
from kiln.store.eips import eips
from kiln.store.instances import instances, place
from kiln.store.interfaces import free, interface_id, join, leave, primary_of
from kiln.store.vswitches import vswitches
from tests.clouds import OTHER, REGION
from tests.nets import a_group, an_eip, the_default_vpc
from tests.reading import the
from tests.stock import an_instance

HERE = "local"


def look(cloud, vpc, host=HERE) -> Place:
    with cloud.ports.database.read() as tx:
        found = place_of(tx, vpc.id, host)
    assert found is not None
    return found


@pytest.fixture
def vpc(cloud):
    return the_default_vpc(cloud)


def test_has_all_that_the_rows_say(cloud, vpc):
    instance = an_instance(cloud, host=HERE, public_ip="127.64.0.1").id
    card = interface_id(instance)
    an_eip(cloud, status="InUse", instance=instance, interface=card)

    found = look(cloud, vpc)

    assert (found.vpc.id, found.vpc.cidr) == (vpc.id, "172.31.0.0/16")
    (switch,), (group,), (one,) = found.vswitches, found.groups, found.interfaces
    assert switch.cidr == "172.31.0.0/20"
    assert set(group.rules) == {
        Rule(direction="ingress", protocol="tcp", ports=(22, 22), priority=100),
        Rule(direction="ingress", protocol="tcp", ports=(3389, 3389), priority=100),
        Rule(direction="ingress", protocol="icmp", priority=100),
    }
    assert group.is_inner_accepted
    assert (one.id, one.vswitch, one.groups) == (card, switch.id, [group.id])
    assert found.addresses == [
        PublicAddress(address="127.64.0.1", interface=card),
        PublicAddress(address="127.88.0.1", interface=card),
    ]


def test_has_the_machines_of_its_host_alone(cloud, vpc):
    here = an_instance(cloud, host=HERE).id
    an_instance(cloud, host="elsewhere")
    an_instance(cloud)

    assert [one.id for one in look(cloud, vpc).interfaces] == [interface_id(here)]


def test_knows_nothing_of_what_is_gone(cloud):
    with cloud.ports.database.read() as tx:
        assert place_of(tx, "vpc-none", HERE) is None


def test_a_group_of_which_members_are_apart(cloud, vpc):
    group = a_group(cloud, vpc, inner_access_policy="Drop")

    (found,) = (one for one in look(cloud, vpc).groups if one.id == group.id)

    assert not found.is_inner_accepted


class TestGrows:
    def grows(self, cloud, vpc, change):
        before = look(cloud, vpc)

        cloud.ports.database.write(change)

        after = look(cloud, vpc)
        assert after.revision > before.revision
        return after

    def test_when_a_machine_comes_and_when_it_goes(self, cloud, vpc):
        instance = an_instance(cloud).id

        assert self.grows(cloud, vpc, lambda tx: place(tx, instance, HERE)).interfaces != []
        assert self.grows(cloud, vpc, lambda tx: place(tx, instance, "")).interfaces == []

    def test_when_an_instance_ends(self, cloud, vpc):
        instance = an_instance(cloud, host=HERE).id

        def end(tx):
            free(tx, instance)
            instances.delete(tx, id=instance)

        assert self.grows(cloud, vpc, end).interfaces == []

    def test_when_groups_are_joined_and_left(self, cloud, vpc):
        instance, group = an_instance(cloud, host=HERE).id, a_group(cloud, vpc)
        with cloud.ports.database.read() as tx:
            card = primary_of(tx, instance)

        after = self.grows(cloud, vpc, lambda tx: join(tx, card, [group.id]))
        assert group.id in after.interfaces[0].groups
        after = self.grows(cloud, vpc, lambda tx: leave(tx, card, group.id))
        assert group.id not in after.interfaces[0].groups

    def test_when_a_zone_gets_its_vswitch(self, cloud, vpc):
        def use(tx):
            network = DefaultNetwork(tx, vpc.account, REGION, cloud.clock())
            network.vswitch(REGION + "-b")
            network.record()

        assert len(self.grows(cloud, vpc, use).vswitches) == 2

    def test_and_the_hub_tells_it_to_kiln_alone(self, cloud, vpc):
        listener = cloud.ports.database.hub.listen(("vpc",))

        cloud.ports.database.write(lambda tx: vpcs.mark_changed(tx, vpc.id))

        (change,) = listener.take(0).changes
        assert (change.id, change.account, change.is_shown) == (vpc.id, vpc.account, False)

    def test_not_when_nothing_is_left(self, cloud, vpc):
        instance, group = an_instance(cloud).id, a_group(cloud, vpc)
        with cloud.ports.database.read() as tx:
            card = primary_of(tx, instance)
        before = look(cloud, vpc).revision

        assert not cloud.ports.database.write(lambda tx: leave(tx, card, group.id))

        assert look(cloud, vpc).revision == before


class TestDefaultNetwork:
    def test_is_made_once(self, cloud):
        assert the_default_vpc(cloud).id == the_default_vpc(cloud).id
        assert the_default_vpc(cloud).id != the_default_vpc(cloud, OTHER).id

    def test_has_a_smaller_vswitch_where_there_is_less_room(self, cloud, vpc):
        cloud.ports.database.write(lambda tx: vswitches.update(tx, {"cidr": "172.31.0.0/17"}, vpc=vpc.id))
        taken = ["172.31.128.0/18", "172.31.192.0/19", "172.31.224.0/20", "172.31.248.0/21"]
        for n, cidr in enumerate(taken):
            row = the(cloud, vswitches, vpc=vpc.id, is_default=True)
            more = {**vars(row), "id": f"vsw-{n}", "cidr": cidr, "is_default": False}
            cloud.ports.database.write(lambda tx, more=more: vswitches.insert(tx, type(row)(**more)))  # noqa: B023

        def use(tx):
            network = DefaultNetwork(tx, vpc.account, REGION, cloud.clock())
            return network.vswitch(REGION + "-b").cidr

        assert cloud.ports.database.write(use) == "172.31.240.0/21"

    def test_an_address_leads_to_its_interface_alone(self, cloud, vpc):
        instance = an_instance(cloud, host=HERE).id
        an_eip(cloud, status="InUse", instance="i-gone", interface="eni-gone")
        an_eip(cloud, address="127.88.0.2", status="InUse", instance=instance, interface=interface_id(instance))

        assert [one.address for one in look(cloud, vpc).addresses] == ["127.88.0.2"]
        assert the(cloud, eips, address="127.88.0.1").status == "InUse"
