"""StopInstances, as a caller meets it."""

from __future__ import annotations

from kiln.declare.states import InstanceStatus
from kiln.store.tasks import tasks
from tests.operations.instances.batches import Refusals, a_running_instance, refuses, told
from tests.operations.instances.things import outlive_kills, shown, status_of, watched
from tests.reading import every
from tests.stock import an_instance


def test_begins_each_and_tells_of_each(cloud):
    one, two = a_running_instance(cloud), a_running_instance(cloud)

    answer = told(cloud, "StopInstances", two, one)

    assert answer == [(two, "200", "Running", "Stopping"), (one, "200", "Running", "Stopping")]
    assert [status_of(cloud, each) for each in (one, two)] == ["Stopping", "Stopping"]
    cloud.settle()
    assert [status_of(cloud, each) for each in (one, two)] == ["Stopped", "Stopped"]


def test_cuts_the_power_and_remembers_the_mode_when_asked_to(cloud):
    machines = watched(cloud)
    one = a_running_instance(cloud)

    told(cloud, "StopInstances", one, ForceStop=True, StoppedMode="StopCharging")
    cloud.settle()

    assert machines.stopped == [(one, True)]
    assert shown(cloud, one)["StoppedMode"] == "StopCharging"


def test_takes_an_id_that_is_named_twice_once(cloud):
    one = a_running_instance(cloud)

    assert told(cloud, "StopInstances", one, one) == [(one, "200", "Running", "Stopping")]
    assert len(every(cloud, tasks)) == 1


def test_takes_a_hundred(cloud):
    them = [f"i-{n}" for n in range(100)]

    answer = told(cloud, "StopInstances", *them, BatchOptimization="SuccessFirst")

    assert [one for one, *_ in answer] == them


def test_begins_those_that_it_can_when_success_goes_first(cloud):
    one, other = a_running_instance(cloud), an_instance(cloud, status=InstanceStatus.PENDING).id
    locked = an_instance(cloud, lock_reason="security").id

    answer = told(cloud, "StopInstances", other, "i-unknown", one, locked, BatchOptimization="SuccessFirst")

    assert answer == [
        (other, "IncorrectInstanceStatus", "Pending", "Pending"),
        ("i-unknown", "InvalidInstanceId.NotFound", None, None),
        (one, "200", "Running", "Stopping"),
        (locked, "InstanceLockedForSecurity", "Stopped", "Stopped"),
    ]
    cloud.settle()
    assert status_of(cloud, one) == "Stopped"
    assert status_of(cloud, other) == "Pending"


def test_outlives_kills(cloud):
    def begin():
        them = [a_running_instance(cloud), a_running_instance(cloud)]
        told(cloud, "StopInstances", *them)
        return them

    def judge(them):
        assert [status_of(cloud, one) for one in them] == ["Stopped", "Stopped"]
        assert [cloud.ports.machines.is_running(one) for one in them] == [False] * 2

    outlive_kills(cloud, begin, judge, least=4)


class TestRefuses(Refusals):
    action = "StopInstances"
    ready = a_running_instance
    not_ready = InstanceStatus.PENDING

    def test_another_optimization(self, cloud):
        refuses(cloud, self.action, "InvalidParameter", 400, a_running_instance(cloud), BatchOptimization="allTogether")

    def test_another_stopped_mode(self, cloud):
        refuses(cloud, self.action, "InvalidParameter", 400, a_running_instance(cloud), StoppedMode="Sleep")
