"""A guest that goes to another host while it runs keeps its network: one carries it, and the other has laid a cable."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from kiln.declare.states import TaskStatus
from kiln.store.instances import give_public_ip
from kiln.store.interfaces import interface_id
from tests.dying import killed_at
from tests.nets import an_eip, the_default_vpc
from tests.store.test_hosts import come
from tests.upkeep.hosts import LITTLE, Two

ADDRESSES = ["127.64.0.7", "127.88.0.1"]


@pytest.fixture
def two(cloud):
    with ExitStack() as stack:
        made = Two(cloud)
        made.join(stack)
        yield made


@pytest.fixture
def instance(two):
    """One that is asked to go while it runs, with a public address and an EIP."""
    made = two.running()
    two.write(lambda tx: give_public_ip(tx, made, ADDRESSES[0]))
    an_eip(two.cloud, status="InUse", interface=interface_id(made))
    two.ask(made, live=True)
    look(two)
    return made


def look(two):
    """What each does when it hears of a change."""
    for plane in two.planes.values():
        plane.carry(the_default_vpc(two.cloud).id)


def carried(two):
    """By host, the interfaces that it carries, those whose cables are laid there, and the public addresses."""
    look(two)
    places = {name: plane.networks.held(the_default_vpc(two.cloud).id) for name, plane in two.planes.items()}
    return {
        name: (
            [one.id for one in place.interfaces],
            [one.id for one in place.laid],
            sorted(one.address for one in place.addresses),
        )
        for name, place in places.items()
        if place is not None
    }


def test_its_interface_and_addresses_are_where_it_has_come_to_and_nowhere_else(two, instance):
    card = interface_id(instance)
    assert carried(two) == {"one": ([card], [], ADDRESSES)}

    two.settle()

    assert two.where(instance) == ("Running", "two", ["two"])
    assert two.machines["two"].is_cabled(instance)
    assert carried(two) == {"two": ([card], [], ADDRESSES)}


@pytest.mark.parametrize(
    ("point", "carries"),
    [("live.before_entrance", "one"), ("live.received", "one"), ("live.sent", "one"), ("live.decided", "two"),
     ("machines.before_take_over", "two"), ("live.taken_over", "two")],
)  # fmt: skip
def test_on_its_way_the_one_whose_it_is_carries_it_and_the_other_has_its_cable(two, instance, point, carries):
    card = interface_id(instance)
    other = "two" if carries == "one" else "one"
    with killed_at(point):
        two.settle()

    assert carried(two) == {carries: ([card], [], ADDRESSES), other: ([], [card], [])}

    two.settle()

    assert carried(two) == {"two": ([card], [], ADDRESSES)}


def revision(two):
    return the_default_vpc(two.cloud).revision


def test_whoever_has_something_of_its_vpc_hears_of_each_step(two, instance):
    known = [revision(two)]
    for point in ("live.before_send", "live.decided", "live.recorded"):
        with killed_at(point):
            two.settle()
        known.append(revision(two))

    assert known == sorted(set(known))


@pytest.mark.parametrize("point", ["live.sent", "live.decided"])
def test_one_that_stays_is_carried_where_it_is_alone(two, instance, point):
    with killed_at(point):
        two.settle()
    if point == "live.sent":
        come(two.cloud.ports.database, "two", "of-two", LITTLE)
    else:
        two.machines["two"].stop(instance, force=True)
    known = revision(two)

    two.settle()

    assert revision(two) > known
    assert two.where(instance) == ("Running", "one", ["one"])
    assert carried(two) == {"one": ([interface_id(instance)], [], ADDRESSES)}


def test_it_stays_where_the_other_host_carries_no_networks(two, instance):
    two.planes["two"].close()
    del two.planes["two"]

    two.settle()

    assert two.where(instance) == ("Running", "one", ["one"])
    task = two.task(instance)
    assert (task.status, task.error_code) == (TaskStatus.FAILED, "ServiceUnavailable")
    assert "carries no networks" in task.error_message
    assert carried(two) == {"one": ([interface_id(instance)], [], ADDRESSES)}


def test_one_with_user_networking_has_that_where_it_comes_to(two):
    instance = two.running()
    (two.cloud.folder / "one" / "run" / instance / "running").write_text("")
    two.ask(instance, live=True)

    two.settle()

    assert two.where(instance) == ("Running", "two", ["two"])
    assert not two.machines["two"].is_cabled(instance)
    assert carried(two) == {}
