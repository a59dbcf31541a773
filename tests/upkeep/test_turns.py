"""Guests that leave a host wait for their turn: a few are sent at a time, and none is asked for in vain, or lost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kiln.calls.call import NotYet
from kiln.declare.facts import dump
from kiln.declare.states import TaskStatus
from kiln.machines.none import NoMachines
from kiln.machines.port import to_the_end
from kiln.store import hosts, tasks
from kiln.store.disks import disks
from kiln.upkeep.moves import ASKED, SENDING, remembered
from kiln.upkeep.moving import MOST_SENT
from tests.dying import killed_at
from tests.reading import the
from tests.stock import a_disk
from tests.store.test_hosts import come
from tests.upkeep.hosts import LITTLE, PLENTY, Two


class Slow(NoMachines):
    """Whose guests are sent for as long as they may not go."""

    def __init__(self, folder):
        super().__init__(folder)
        self.may_go, self.going, self.most = set(), set(), 0

    def migrate(self, instance, entrance, goes_on=to_the_end, chains=()):
        self.going.add(instance)
        self.most = max(self.most, len(self.going))
        if instance not in self.may_go:
            raise NotYet(0.0, "It is being sent.")
        super().migrate(instance, entrance, goes_on, chains)
        self.going.discard(instance)


@pytest.fixture
def two(cloud):
    it = Two(cloud)
    it.machines["one"] = Slow(cloud.folder / "one" / "run")
    return it


def ask(two, count=MOST_SENT + 2):
    """Have so many leave the first host at once; returns them when each was looked at."""
    found = [two.running() for _ in range(count)]
    for one in found:
        two.ask(one, live=True)
    look(two)
    return found


def look(two):
    """What can be done on the first host just now is done, once."""
    two.be("one")
    for task in two.cloud.worker.claim(two.cloud.clock()):
        two.cloud.worker.attempt(task)


def let_go(two, instances):
    two.machines["one"].may_go |= set(instances)


def pause(two, instance):
    """Until when its task is not looked at; 0: it is looked at now."""
    return two.task(instance).not_before


def pass_pauses(two):
    two.write(lambda tx: tasks.tasks.update(tx, {"not_before": 0.0}))


def why(two, instance):
    (reason,) = two.cloud.call("DescribeReasons", ResourceId=instance)["Reasons"]["Reason"]
    return reason["State"], reason["Message"]


def test_a_few_are_sent_at_a_time_and_the_others_say_why_they_wait(two):
    instances = ask(two)

    assert [remembered(two.task(one)).stage for one in instances] == [*MOST_SENT * [SENDING], ASKED, ASKED]
    for one in instances[MOST_SENT:]:
        assert why(two, one) == ("Waiting", "As many guests leave its host as may at once.")
        assert pause(two, one) > two.cloud.clock()


def test_when_one_has_gone_the_one_that_has_waited_longest_follows_at_once(two):
    instances = ask(two)
    let_go(two, instances[:1])
    look(two)

    assert [pause(two, one) > 0 for one in instances[MOST_SENT:]] == [False, True]
    look(two)
    assert [remembered(two.task(one)).stage for one in instances[MOST_SENT:]] == [SENDING, ASKED]


@pytest.mark.parametrize("point", [None, "worker.MoveInstance.claimed", "live.before_send", "live.decided"])
def test_all_of_them_leave_in_the_end_whatever_is_killed(two, point):
    instances = ask(two, 2 * MOST_SENT + 1)
    let_go(two, instances)
    if point is not None:
        with killed_at(point):
            two.settle()

    for _ in range(2):
        two.settle()

    assert [two.where(one) for one in instances] == len(instances) * [("Running", "two", ["two"])]
    assert {two.task(one).status for one in instances} == {TaskStatus.FINISHED}
    assert two.machines["one"].most == MOST_SENT


def test_what_is_asked_of_one_that_waits_does_not_wait_with_it(two):
    instance = ask(two)[-1]
    disk = a_disk(two.cloud)

    two.cloud.call("AttachDisk", InstanceId=instance, DiskId=disk.id)
    look(two)  # It lets the other go first,
    look(two)  # and that is done.

    assert the(two.cloud, disks, id=disk.id).status == "In_use"
    assert remembered(two.task(instance)).stage == ASKED
    assert why(two, instance)[0] == "Waiting"


def test_one_that_waits_is_stopped_at_once(two):
    instance = ask(two)[-1]

    two.cloud.call("StopInstance", InstanceId=instance)
    look(two)
    look(two)

    assert two.where(instance) == ("Stopped", "", [])
    assert two.task(instance).status == TaskStatus.FINISHED


def test_it_waits_no_more_where_the_host_starts_instances_again(two):
    instance = ask(two)[-1]
    two.write(lambda tx: hosts.set_draining(tx, "one", is_draining=False))
    pass_pauses(two)

    look(two)

    assert two.task(instance).status == TaskStatus.FINISHED
    assert two.where(instance) == ("Running", "one", ["one"])


def test_those_that_fit_nowhere_any_more_say_so_one_after_the_other(two):
    waiting = ask(two)[MOST_SENT:]
    come(two.cloud.ports.database, "two", "of-two", LITTLE)
    two.write(lambda tx: tasks.tasks.update(tx, {"not_before": 0.0}, id=two.task(waiting[0]).id))

    look(two)  # As it is told so, the next has its turn.
    look(two)

    assert [two.task(one).error_code for one in waiting] == ["OperationDenied.NoStock", "OperationDenied.NoStock"]


def test_a_guest_that_stands_still_between_two_hosts_waits_for_nobody(two):
    """Its task was given up when its machine said nothing, and it is asked to leave again."""
    ask(two)
    instance = two.running()
    two.cloud.folder.joinpath("one", "run", instance, "leaving").touch()
    two.ask(instance, live=True)

    look(two)

    assert remembered(two.task(instance)).stage == SENDING


def test_as_many_come_to_a_host_at_once_from_wherever_they_come(two):
    for one in ask(two, MOST_SENT):
        task = two.task(one)
        theirs = {"payload": dump(replace(remembered(task), source="three")), "host": "three"}
        two.write(lambda tx, it=theirs, of=task: tasks.tasks.update(tx, it, id=of.id))

    (instance,) = ask(two, 1)

    assert why(two, instance) == ("Waiting", "As many guests come to the hosts that have room for it as may at once.")
    come(two.cloud.ports.database, "four", "of-four", PLENTY)
    pass_pauses(two)
    look(two)
    assert remembered(two.task(instance)).target == "four"
