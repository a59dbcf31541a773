"""Guests that one host does not take go to yet another, and where none does, each is named with its reason."""

from __future__ import annotations

import pytest

from kiln.declare.states import TaskStatus
from kiln.machines.errors import GuestStays, MachineRefused
from kiln.machines.none import NoMachines
from kiln.machines.port import at_once
from kiln.store import hosts
from kiln.store.hosts import Room
from tests.dying import killed_at
from tests.store.test_hosts import come
from tests.upkeep.hosts import LITTLE, PLENTY, Three

MORE = Room(cpus=64, memory_mib=2 * PLENTY.memory_mib)


class Other(NoMachines):
    """Of another QEMU than that of any guest."""

    asked = 0

    def receive(self, machine, make):
        self.asked += 1
        raise MachineRefused(f"A running guest cannot come from {make} to here. Stop and start it.")


class Lost(NoMachines):
    """To which guests come whole, and never go on."""

    def take_over(self, instance, may_run=at_once, chains=(), keep_out=None):
        raise MachineRefused(f"The machine that had the guest of {instance} ended before that ran.")


@pytest.fixture
def three(cloud):
    """The second is asked first, as it has most room."""
    it = Three(cloud)
    has(it, "two", MORE)
    return it


def has(three, name, room):
    come(three.cloud.ports.database, name, f"of-{name}", room)


def becomes(three, name, kind):
    three.machines[name] = kind(three.cloud.folder / name / "run")


def going(three):
    instance = three.running()
    three.ask(instance, live=True)
    return instance


def settle(three):
    """As often as it may come back from a host, and go to another."""
    for _ in three.names:
        three.settle()


@pytest.mark.parametrize("name", ["two", "three"])
def test_it_goes_first_to_the_one_that_has_most_room(three, name):
    has(three, name, Room(cpus=64, memory_mib=4 * PLENTY.memory_mib))
    instance = going(three)

    three.settle()

    assert three.where(instance) == ("Running", name, [name])


@pytest.mark.parametrize("kind", [Other, Lost])
def test_where_one_does_not_take_it_the_next_one_does(three, kind):
    becomes(three, "two", kind)
    instance = going(three)

    settle(three)

    assert three.where(instance) == ("Running", "three", ["three"])
    assert three.task(instance).status == TaskStatus.FINISHED


def test_where_the_room_of_one_is_gone_meanwhile_the_next_one_takes_it(three):
    instance = going(three)
    with killed_at("live.sent"):
        three.settle()
    has(three, "two", LITTLE)

    settle(three)

    assert three.where(instance) == ("Running", "three", ["three"])


@pytest.mark.parametrize("kind", [Other, Lost])
@pytest.mark.parametrize("point", ["machines.before_recall", "machines.recalled", "live.stays", "live.looks_further"])
def test_a_kill_between_two_of_them_loses_nothing(three, kind, point):
    becomes(three, "two", kind)
    instance = going(three)
    with killed_at(point):
        settle(three)
    running = [name for name in three.where(instance)[2] if not three.machines[name].is_between(instance)]
    assert running in ([], ["one"])

    settle(three)

    assert three.where(instance) == ("Running", "three", ["three"])
    assert three.task(instance).status == TaskStatus.FINISHED


def test_where_none_takes_it_each_is_named_and_asked_once(three):
    for name in ("two", "three"):
        becomes(three, name, Other)
    has(three, "four", LITTLE)
    has(three, "five", PLENTY)
    three.write(lambda tx: hosts.set_draining(tx, "five", is_draining=True))
    has(three, "six", PLENTY)
    three.write(lambda tx: hosts.hosts.update(tx, {"worker": ""}, name="six"))
    instance = going(three)

    settle(three)

    assert three.where(instance) == ("Running", "one", ["one"])
    task = three.task(instance)
    assert (task.status, task.error_code) == (TaskStatus.FAILED, "ServiceUnavailable")
    refusal = "A running guest cannot come from none, none, none, user networking to here. Stop and start it"
    assert task.error_message == (
        "It could not go to any other host while it runs, and goes on where it is: five: it is draining; four: it has "
        f"no room for it; six: no process of Kiln is seen there; three: {refusal}; two: {refusal}."
    )
    assert [three.machines[name].asked for name in ("two", "three")] == [1, 1]


def test_one_that_could_go_nowhere_is_not_sent_to_the_next(three):
    class Paused(NoMachines):
        def migrate(self, instance, entrance, goes_on, chains):
            raise GuestStays(f"The guest of {instance} does not run: it is paused.")

    becomes(three, "one", Paused)
    becomes(three, "three", Other)
    instance = going(three)

    settle(three)

    assert three.where(instance) == ("Running", "one", ["one"])
    assert "goes on where it is: The guest of" in three.task(instance).error_message
    assert three.machines["three"].asked == 0


def test_what_is_sent_to_a_host_has_its_room_there(three):
    """Two are under way, and each host has room for one: they do not meet on the one that has most."""
    has(three, "two", Room(cpus=64, memory_mib=700))
    has(three, "three", Room(cpus=64, memory_mib=600))
    instances = [going(three), going(three)]

    settle(three)

    assert sorted(three.where(one)[1] for one in instances) == ["three", "two"]
    assert [three.task(one).error_message for one in instances] == ["", ""]
