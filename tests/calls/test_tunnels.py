"""Where a VPC's interfaces are that other hosts carry: as rows say it, whoever has moved in between."""

from __future__ import annotations

import pytest

from kiln.calls.plane import Plane
from kiln.calls.tunnels import OwnEnd, Tunnels
from kiln.declare.states import InstanceStatus
from kiln.networks.errors import NetworkApart
from kiln.networks.memory import MemoryNetworks
from kiln.store.instances import instances, place
from kiln.store.interfaces import interface_id, primary_of
from kiln.store.tunnels import NoNumberLeft, TunnelEnd, announce, give_number, number_of, tunnel_ends, vpc_numbers
from kiln.store.vpcs import vpcs
from tests.nets import the_default_vpc
from tests.stock import an_instance

OWN, OTHER = "10.7.0.1:4789", "10.7.0.2:4789"


class Apart(MemoryNetworks):
    """Networks whose tunnels cannot be made for a while."""

    is_apart = True
    tries = 0

    def hold(self, place):
        self.tries += 1
        super().hold(place)
        if self.is_apart:
            raise NetworkApart("no tunnel")


class Host:
    """What is found of this host, and how often it was tried."""

    def __init__(self, cloud):
        self.found, self.why, self.tries = OwnEnd(end=OWN, mtu=1450), "", 0
        self.tunnels = Tunnels(cloud.ports.database, "local", lambda: self.found, self._try)

    def _try(self, end, mtu):
        self.tries += 1
        return self.why


@pytest.fixture
def host(cloud):
    return Host(cloud)


@pytest.fixture
def networks(cloud):
    return MemoryNetworks(cloud.folder / "networks")


@pytest.fixture
def plane(cloud, networks, host):
    made = a_plane(cloud, networks, host)
    yield made
    made.close()


@pytest.fixture
def vpc(cloud):
    return the_default_vpc(cloud).id


def a_plane(cloud, networks, host, **more):
    made = Plane(cloud.ports.database, networks, cloud.ports.machines, "local", str, tunnels=host.tunnels, **more)
    cloud.refit(plane=made)
    return made


def start(cloud):
    instance = an_instance(cloud, status=InstanceStatus.STOPPED).id
    cloud.call("StartInstance", InstanceId=instance)
    cloud.settle()
    return instance


def on_another(cloud, host="other"):
    """An instance that runs there."""
    instance = an_instance(cloud, status=InstanceStatus.RUNNING).id
    cloud.ports.database.write(lambda tx: place(tx, instance, host))
    return instance


def says(cloud, host, address, reason=""):
    said = TunnelEnd(host=host, address=address, reason=reason)
    cloud.ports.database.write(lambda tx: announce(tx, said))


def of(cloud, vpc):
    with cloud.ports.database.read() as tx:
        return vpcs.find(tx, id=vpc).revision


def test_what_others_carry_is_behind_them(cloud, plane, host, networks, vpc):
    host.tunnels.say()
    start(cloud)
    assert networks.held(vpc).tunnel.far == []

    there = on_another(cloud)
    says(cloud, "other", OTHER)
    plane.carry(vpc)
    tunnel = networks.held(vpc).tunnel
    with cloud.ports.database.read() as tx:
        card = primary_of(tx, there)
    assert [(one.id, one.address, one.end) for one in tunnel.far] == [(card.id, card.private_ip, OTHER)]
    assert (tunnel.end, tunnel.mtu) == (OWN, 1450)
    assert set(tunnel.far[0].groups) <= {one.id for one in networks.held(vpc).groups}

    # Stopped, it is nowhere.
    cloud.ports.database.write(lambda tx: instances.update(tx, {"status": InstanceStatus.STOPPED}, id=there))
    plane.carry(vpc)
    assert networks.held(vpc).tunnel.far == []


def test_an_instance_that_comes_here_is_elsewhere_no_more(cloud, plane, host, networks, vpc):
    host.tunnels.say()
    start(cloud)
    says(cloud, "other", OTHER)
    there = on_another(cloud)
    plane.carry(vpc)
    assert [one.id for one in networks.held(vpc).far] == [interface_id(there)]

    cloud.ports.database.write(lambda tx: place(tx, there, "local"))
    cloud.ports.database.write(lambda tx: instances.update(tx, {"status": InstanceStatus.STARTING}, id=there))
    plane.carry(vpc)
    assert networks.held(vpc).far == []
    assert interface_id(there) in {one.id for one in networks.held(vpc).interfaces}


def test_one_whose_guest_is_on_its_way_is_reached_where_it_is_and_has_a_cable_here(cloud, host, networks, vpc):
    host.tunnels.say()
    there = on_another(cloud)
    says(cloud, "other", OTHER)
    plane = a_plane(cloud, networks, host, beside=lambda _, of: {there} if of == "local" else set())
    try:
        here = start(cloud)
        plane.carry(vpc)
    finally:
        plane.close()

    held = networks.held(vpc)
    assert [one.id for one in held.interfaces] == [interface_id(here)]
    assert [one.id for one in held.laid] == [one.id for one in held.far] == [interface_id(there)]
    assert networks.cable(vpc, interface_id(there), None).mac == held.laid[0].mac


def test_hosts_that_hear_nobody_are_told_of_and_left_out(cloud, plane, host, networks, vpc):
    host.tunnels.say()
    here, there = start(cloud), on_another(cloud)
    says(cloud, "other", "", "no tunnel can be made there.")
    plane.carry(vpc)

    assert networks.held(vpc).far == []
    why = "other hears no other host: no tunnel can be made there."
    assert cloud.call("DescribeReasons", ResourceId=here)["Apart"] == why
    assert cloud.call("DescribeReasons", ResourceId=there)["Apart"] == why
    says(cloud, "other", OTHER)
    assert cloud.call("DescribeReasons", ResourceId=here)["Apart"] == ""


def test_nothing_is_sent_to_ones_own_end(cloud, plane, host, networks, vpc):
    """As of a host that has got another name: what it said under the one of before has its address still."""
    host.tunnels.say()
    start(cloud)
    on_another(cloud)
    says(cloud, "other", OWN)
    plane.carry(vpc)

    assert networks.held(vpc).tunnel.far == []


def test_a_host_that_cannot_be_joined_says_why_and_carries_the_rest(cloud, plane, host, networks, vpc):
    host.why = "Operation not permitted."
    for _ in range(2):
        host.tunnels.say()
    here, _ = start(cloud), on_another(cloud)

    assert host.tries == 1
    assert networks.held(vpc).tunnel is None
    assert cloud.call("DescribeReasons", ResourceId=here)["Apart"] == (
        "local hears no other host: Operation not permitted."
    )


def test_what_is_known_of_this_host_is_not_tried_again_at_a_start(cloud, host):
    host.tunnels.say()
    again = Host(cloud)
    again.tunnels.say()

    assert (host.tries, again.tries) == (1, 0)


def test_an_address_that_changes_is_said_to_all_who_carry_the_same(cloud, plane, host, networks, vpc):
    host.tunnels.say()
    start(cloud)
    before = of(cloud, vpc)
    host.found = OwnEnd(end="10.7.0.9:4789", mtu=1450)
    host.tunnels.say()

    assert of(cloud, vpc) > before
    with cloud.ports.database.read() as tx:
        assert tunnel_ends.find(tx, host="local").address == "10.7.0.9:4789"


def test_a_network_that_is_apart_runs_and_is_tried_again(cloud, host):
    networks = Apart(cloud.folder / "networks")
    plane = a_plane(cloud, networks, host)
    try:
        host.tunnels.say()
        instance = start(cloud)
        assert cloud.ports.machines.is_cabled(instance)
        vpc = the_default_vpc(cloud).id

        def tries_anew():
            before = networks.tries
            plane.again()
            plane.settle([vpc], 60.0)
            return networks.tries - before

        assert tries_anew() > 0
        networks.is_apart = False
        assert tries_anew() > 0
        assert tries_anew() == 0, "it was joined"
    finally:
        plane.close()


def test_a_number_is_given_once_and_to_nobody_else(cloud):
    write = cloud.ports.database.write
    first = write(lambda tx: give_number(tx, "vpc-1", 1000))
    assert 1 <= first <= 500
    assert write(lambda tx: give_number(tx, "vpc-2", 1000)) == first + 1
    assert write(lambda tx: give_number(tx, "vpc-1", 1000)) == first
    with pytest.raises(NoNumberLeft):
        write(lambda tx: give_number(tx, "vpc-3", first + 1))


def test_the_number_of_a_vpc_that_is_gone_is_given_to_no_other(cloud, plane, host, vpc):
    host.tunnels.say()
    start(cloud)
    with cloud.ports.database.read() as tx:
        number = number_of(tx, vpc)
    cloud.ports.database.write(lambda tx: vpcs.delete(tx, id=vpc))

    assert cloud.ports.database.write(lambda tx: give_number(tx, "vpc-new", 0xFEFFFF)) == number + 1
    with cloud.ports.database.read() as tx:
        assert vpc_numbers.count(tx) == 2
