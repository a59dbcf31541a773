"""What a host carries follows the rows, whatever comes in between."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from kiln.calls.plane import Plane
from kiln.declare.states import InstanceStatus
from kiln.ground import killpoints
from kiln.machines.port import Machine
from kiln.networks.errors import NetworkError, NetworkUnusable
from kiln.networks.keepers import KeptNetworks
from kiln.networks.memory import MemoryNetworks
from kiln.networks.placefolder import PlaceFolder
from kiln.networks.trying import why_not
from kiln.store.database import open_sqlite
from kiln.store.instances import instances, place
from kiln.store.interfaces import interface_id, primary_of
from kiln.store.vpcs import mark_changed, vpcs
from kiln.upkeep.networks import Following, mend_networks
from tests.clouds import make_cloud
from tests.guests import open_reachable
from tests.nets import an_eip, the_default_vpc
from tests.pools.kills import killed_at
from tests.reading import the
from tests.stock import an_instance
from tests.tools import lacks

LIMIT_S = 300.0


class Refusing(MemoryNetworks):
    """Networks that cannot be carried for a while."""

    refusal = ""
    holds = 0

    def hold(self, place):
        if self.refusal:
            raise NetworkUnusable(self.refusal)
        self.holds += 1
        super().hold(place)


@pytest.fixture
def networks(cloud):
    return Refusing(cloud.folder / "networks")


@pytest.fixture
def plane(cloud, networks):
    made = Plane(cloud.ports.database, networks, cloud.ports.machines, "local", lambda: "")
    cloud.refit(plane=made)
    yield made
    made.close()


@pytest.fixture
def vpc(cloud):
    return the_default_vpc(cloud).id


def start(cloud, **changes):
    """An instance whose machine is started by its task."""
    instance = an_instance(cloud, status=InstanceStatus.STOPPED, **changes).id
    cloud.call("StartInstance", InstanceId=instance)
    cloud.settle()
    return instance


def cards(networks, vpc):
    found = networks.held(vpc)
    return [] if found is None else sorted(one.id for one in found.interfaces)


def machine(instance, **changes):
    given = {
        "instance": instance, "cpus": 1, "memory_mib": 256, "architecture": "x86_64", "boot_mode": "BIOS",
        "drives": (), "mac": "00:16:3e:00:00:01", "public_ip": None,
    }  # fmt: skip
    return Machine(**given | changes)


def test_an_instance_is_started_with_a_cable_to_its_vpc(cloud, plane, networks, vpc):
    instance = start(cloud)

    assert cloud.ports.machines.is_cabled(instance)
    assert cards(networks, vpc) == [interface_id(instance)]
    assert cloud.call("DescribeReasons", ResourceId=instance)["Network"] == "cable"


def test_is_told_where_its_guest_is_reached(cloud, plane, vpc):
    instance = start(cloud, public_ip="127.64.0.7")
    said = cloud.call("DescribeReasons", ResourceId=instance)

    reached = {(one["Address"], one["Port"], one["GuestPort"]) for one in said["ReachedAt"]["Reached"]}
    assert reached == {("127.64.0.7", 22, 22), ("127.64.0.7", 3389, 3389)}
    assert said["Ssh"] == "127.64.0.7:22"


def test_has_user_networking_where_the_host_carries_none(cloud, networks, vpc):
    cloud.refit(plane=Plane(cloud.ports.database, networks, cloud.ports.machines, "local", lambda: "no namespaces"))
    instance = start(cloud)

    assert cloud.ports.machines.is_running(instance)
    assert not cloud.ports.machines.is_cabled(instance)
    assert networks.vpcs() == []
    assert cloud.call("DescribeReasons", ResourceId=instance)["Network"] == "user"


def test_those_that_run_with_user_networking_are_left_out(cloud, plane, networks, vpc):
    old = an_instance(cloud, status=InstanceStatus.RUNNING, host="local", public_ip="127.64.0.8").id
    cloud.ports.machines.start(machine(old))
    new = start(cloud)

    assert cards(networks, vpc) == [interface_id(new)]
    assert list(networks.held(vpc).addresses) == []


def test_a_start_without_its_network_is_refused_with_the_reason(cloud, plane, networks, vpc):
    networks.refusal = "the kernel has no nf_tables"
    instance = start(cloud)

    assert the(cloud, instances, id=instance).status == InstanceStatus.STOPPED
    (reason,) = cloud.call("DescribeReasons", ResourceId=instance)["Reasons"]["Reason"]
    assert "nf_tables" in reason["Message"]

    networks.refusal = ""
    cloud.call("StartInstance", InstanceId=instance)
    cloud.settle()
    assert cards(networks, vpc) == [interface_id(instance)]


def test_what_was_changed_is_carried_before_the_answer(cloud, plane, networks, vpc):
    instance = start(cloud)
    card = interface_id(instance)

    def lead(tx):
        mark_changed(tx, vpc)

    cloud.ports.database.write(lead)
    assert networks.held(vpc).revision < the(cloud, vpcs, id=vpc).revision

    group = cloud.call("DescribeInstances")["Instances"]["Instance"][0]["SecurityGroupIds"]["SecurityGroupId"][0]
    cloud.call("ModifyInstanceAttribute", InstanceId=instance, **{"SecurityGroupIds.1": group})
    assert networks.held(vpc).revision == the(cloud, vpcs, id=vpc).revision
    assert cards(networks, vpc) == [card]


def test_what_could_not_be_carried_is_carried_later_and_the_answer_comes_all_the_same(cloud, plane, networks, vpc):
    start(cloud)
    networks.refusal = "no memory"
    cloud.ports.database.write(lambda tx: mark_changed(tx, vpc))
    plane.settle([vpc])
    before = networks.held(vpc).revision

    networks.refusal = ""
    mend_networks(cloud.ports)
    plane.soon(vpc).result(LIMIT_S)
    assert networks.held(vpc).revision == before + 1


def test_an_answer_does_not_wait_for_ever(cloud, plane, networks, vpc):
    start(cloud)
    goes_on, carry = threading.Event(), networks.hold

    def slow(place):
        assert goes_on.wait(LIMIT_S)
        carry(place)

    networks.hold = slow
    cloud.ports.database.write(lambda tx: mark_changed(tx, vpc))
    plane.settle([vpc], within_s=0.05)
    before = networks.held(vpc).revision
    goes_on.set()
    plane.soon(vpc).result(LIMIT_S)

    assert networks.held(vpc).revision == before + 1


def test_a_vpc_without_interfaces_is_let_go(cloud, plane, networks, vpc):
    instance = start(cloud)
    cloud.call("StopInstance", InstanceId=instance)
    cloud.settle()
    plane.carry(vpc)

    assert networks.vpcs() == []


def test_what_has_not_changed_costs_a_look(cloud, plane, networks, vpc):
    start(cloud)
    before = networks.holds
    plane.carry(vpc)

    assert networks.holds == before


def test_a_database_that_was_put_back_counts(cloud, plane, networks, vpc):
    start(cloud)
    networks.hold(replace(networks.held(vpc), revision=1000, addresses=()))
    an_eip(cloud, status="InUse", interface=networks.held(vpc).interfaces[0].id)
    cloud.ports.database.write(lambda tx: mark_changed(tx, vpc))
    plane.carry(vpc)

    assert [one.address for one in networks.held(vpc).addresses] == ["127.88.0.1"]


def test_news_are_carried_by_themselves(cloud, plane, networks, vpc):
    """Those of tasks and of the upkeep, for which nobody waits; and what was there before."""
    instance = start(cloud)
    following = Following(cloud.ports.database, plane)
    following.start()
    try:
        heard, let_go = threading.Event(), networks.let_go

        def gone(vpc):
            let_go(vpc)
            heard.set()

        networks.let_go = gone
        cloud.ports.machines.stop(instance, force=True)
        cloud.ports.database.write(lambda tx: place(tx, instance, ""))
        assert heard.wait(LIMIT_S)
    finally:
        following.stop()
    assert networks.vpcs() == []


def test_what_is_held_and_in_no_row_is_let_go_at_the_start(cloud, plane, networks, vpc):
    start(cloud)
    networks.hold(replace(networks.held(vpc), vpc=replace(networks.held(vpc).vpc, id="vpc-gone")))
    plane.carry_all()
    plane.soon("vpc-gone").result(LIMIT_S)

    assert networks.vpcs() == [vpc]


@pytest.mark.slow
def test_wherever_it_is_killed_no_interface_is_lost_and_none_is_there_twice(tmp_path, sqlite):
    """On real keepers: a start, and then a stop, killed at every step and taken up by the next Kiln."""
    if reason := why_not():
        lacks(reason)
    cloud = make_cloud(tmp_path, sqlite)
    vpc = the_default_vpc(cloud).id
    with open_reachable() as folder:
        kept = KeptNetworks(folder / "networks")

        def as_started():
            # A connection is for the process that made it.
            cloud.refit(database=open_sqlite(tmp_path / "kiln.sqlite"))
            made = Plane(cloud.ports.database, KeptNetworks(folder / "networks"), cloud.ports.machines, "local", str)
            cloud.refit(plane=made)
            return made

        def begin():
            as_started()
            card = None
            with cloud.ports.database.read() as tx:
                card = primary_of(tx, instance)
            row = the(cloud, instances, id=instance)
            cable = cloud.ports.plane.cable(row, card)
            if cable is not None:
                cloud.ports.machines.start(machine(instance, cable=cable))

        def end():
            made = as_started()
            cloud.ports.machines.stop(instance, force=True)
            cloud.ports.database.write(lambda tx: place(tx, instance, ""))
            made.carry(vpc)

        try:
            instance = an_instance(cloud, status=InstanceStatus.STARTING, host="local").id
            for before, act in ((lambda: None, begin), (begin, end)):
                number = 0
                while before() or killed_at(number, act):
                    act()
                    assert cards(kept, vpc) == ([interface_id(instance)] if act is begin else [])
                    assert PlaceFolder(folder / "networks" / vpc).interfaces() == cards(kept, vpc)
                    assert PlaceFolder(folder / "networks" / vpc).is_carried() == (act is begin)
                    end()
                    assert kept.vpcs() == []
                    cloud.ports.database.write(lambda tx: place(tx, instance, "local"))
                    number += 1
                assert number > 3
        finally:
            killpoints.listen(None)
            kept.let_go(vpc)


def test_a_verdict_that_networks_cannot_be_carried_is_told(cloud, networks):
    reasons = iter(["not now", ""])
    plane = Plane(cloud.ports.database, networks, cloud.ports.machines, "local", lambda: next(reasons))

    assert plane.why_no_cable("x86_64") == "not now"
    assert plane.why_no_cable("x86_64") == "not now"
    plane.close()


def test_a_failure_is_raised_in_who_needs_it(cloud, plane, networks, vpc):
    start(cloud)
    networks.refusal = "no"
    cloud.ports.database.write(lambda tx: mark_changed(tx, vpc))

    with pytest.raises(NetworkError):
        plane.carry(vpc)


def test_what_is_no_longer_held_is_carried_again(cloud, plane, networks, vpc):
    """As where the file that says what is held was lost or damaged."""
    start(cloud)
    plane.carry(vpc)
    networks.let_go(vpc)

    mend_networks(cloud.ports)
    plane.close()

    assert networks.held(vpc) is not None
