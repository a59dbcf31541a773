"""A guest that is being sent tells how far it is, and one that is to be off is not sent to the end first."""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import suppress

import pytest

from kiln.declare.states import TaskStatus
from kiln.machines.errors import GuestStays
from kiln.machines.none import NoMachines
from kiln.machines.port import to_the_end
from kiln.service.draining import how_far
from kiln.store import tasks
from kiln.store.errors import DatabaseDown
from kiln.store.instances import instances
from kiln.upkeep.moves import remembered
from tests.dying import killed_at
from tests.reading import every
from tests.upkeep.hosts import Beside, Two

STOP = ("StopInstance", {"ForceStop": "true"})
DELETE = ("DeleteInstance", {"Force": "true"})


class Long(NoMachines):
    """Something is done while its guest is sent, of which so much is sent by then."""

    def __init__(self, folder):
        super().__init__(folder)
        self.meanwhile, self.sent = [], 47.5

    def migrate(self, instance, entrance, goes_on=to_the_end, chains=()):
        entrance()
        (self._folder / instance / "leaving").touch()
        goes_on(self.sent)
        if self.meanwhile:
            self.meanwhile.pop()()
        if not goes_on(self.sent - 10):
            self.recall(instance)
            raise GuestStays(f"The guest of {instance} could not be sent: it was called off.")
        super().migrate(instance, entrance, chains=chains)


class Silent(Beside):
    """Where no machine comes to wait, and something is done meanwhile."""

    meanwhile: list = []  # noqa: RUF012 - of one test.
    asked: Future = Future()

    def entrance(self, *_):
        self.meanwhile.pop()()
        return self.asked


@pytest.fixture
def two(cloud):
    it = Two(cloud)
    it.machines["one"] = Long(cloud.folder / "one" / "run")
    return it


def going(two):
    instance = two.running()
    two.ask(instance, live=True)
    return instance


def later(two, asked, instance):
    """That is asked for, and a second passes."""
    action, how = asked

    def do():
        two.cloud.call(action, InstanceId=instance, **how)
        two.cloud.clock.now += 1.0

    return do


@pytest.mark.parametrize("asked", [STOP, ("StopInstance", {})])
def test_one_that_is_stopped_is_off_without_having_been_sent(two, asked):
    instance = going(two)
    two.machines["one"].meanwhile = [later(two, asked, instance)]

    two.be("one")
    two.cloud.settle()

    assert two.where(instance) == ("Stopped", "", ["two"])
    assert two.task(instance).status == TaskStatus.FINISHED
    two.settle()
    assert two.where(instance) == ("Stopped", "", [])


def test_one_that_is_deleted_is_gone_without_having_been_sent(two):
    instance = going(two)
    two.machines["one"].meanwhile = [later(two, DELETE, instance)]

    two.be("one")
    two.cloud.settle()

    assert every(two.cloud, instances) == []
    two.settle()
    assert [list(two.machines[name].running()) for name in two.names] == [[], []]
    assert {task.status for task in every(two.cloud, tasks.tasks)} == {TaskStatus.FINISHED}


def test_one_that_is_restarted_goes_on_where_it_comes_to(two):
    instance = going(two)
    two.machines["one"].meanwhile = [later(two, ("RebootInstance", {"ForceStop": "true"}), instance)]

    two.settle()

    assert two.where(instance) == ("Running", "two", ["two"])


@pytest.mark.parametrize("point", ["machines.before_recall", "machines.recalled", "live.stays"])
def test_a_kill_on_the_way_leaves_it_to_be_stopped(two, point):
    instance = going(two)
    two.machines["one"].meanwhile = [later(two, STOP, instance)]
    with killed_at(point):
        two.settle()

    two.settle()

    assert two.where(instance) == ("Stopped", "", [])
    assert two.task(instance).status == TaskStatus.FINISHED


def test_one_for_which_no_machine_comes_to_wait_is_stopped_soon(two):
    """It would be waited for some minutes."""
    two.elsewhere, instance = Silent, going(two)
    Silent.meanwhile, Silent.asked = [later(two, STOP, instance)], Future()

    two.settle()

    assert two.where(instance) == ("Stopped", "", [])
    assert Silent.asked.cancelled()
    assert remembered(two.task(instance)).tried == {}  # Nobody waited until it was too late.


def test_who_meets_with_an_outage_waits_for_no_machine_any_more(two):
    """It would come to wait for nobody, and the way to it would be nobody's."""
    two.elsewhere, instance, outage = Silent, going(two), []
    Silent.meanwhile, Silent.asked = [lambda: outage.append(DatabaseDown("the server is away"))], Future()

    def clock():
        if outage:
            raise outage.pop()
        return two.cloud.clock()

    two.be("one")
    two.cloud.refit(clock=clock)
    for task in two.cloud.worker.claim(two.cloud.clock()):
        two.cloud.worker.attempt(task)

    assert Silent.asked.cancelled()
    assert (two.task(instance).status, two.where(instance)) == (TaskStatus.PROCESSING, ("Running", "one", ["one"]))


def test_what_a_process_that_ends_has_begun_is_done_by_the_next(two):
    instance = going(two)

    def end():
        with suppress(RuntimeError):  # Nobody started its threads.
            two.cloud.worker.stop()

    two.machines["one"].meanwhile = [end]
    two.be("one")
    for task in two.cloud.worker.claim(two.cloud.clock()):
        two.cloud.worker.attempt(task)

    assert two.where(instance)[:2] == ("Running", "one")
    assert not two.machines["one"].is_between(instance)
    two.settle()
    assert two.where(instance) == ("Running", "two", ["two"])


def test_it_is_told_how_much_of_it_is_sent(two):
    instance, said = going(two), []

    def look():
        task = two.task(instance)
        two.write(lambda tx: tasks.tasks.update(tx, {"owner": "somebody"}, id=task.id))  # As a worker would have it.
        (reason,) = two.cloud.call("DescribeReasons", ResourceId=instance)["Reasons"]["Reason"]
        said.extend((task.progress, reason["Message"], how_far(task)))

    two.machines["one"].meanwhile = [look]
    two.settle()

    assert said == [
        47,
        "It is being done, and 47% is.",
        "goes to two while it runs: 40% of its memory is sent",
    ]
    assert two.where(instance) == ("Running", "two", ["two"])
    assert two.task(instance).progress == 100
