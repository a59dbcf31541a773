"""RebootInstances, as a caller meets it."""

from __future__ import annotations

from kiln.declare.states import InstanceStatus
from kiln.store.tasks import tasks
from tests.operations.instances.batches import Refusals, a_running_instance, refuses, told
from tests.operations.instances.things import outlive_kills, status_of, watched
from tests.reading import every
from tests.stock import an_instance


def test_begins_each_and_tells_of_each(cloud):
    one, two = a_running_instance(cloud), a_running_instance(cloud)

    answer = told(cloud, "RebootInstances", two, one)

    assert answer == [(two, "200", "Running", "Starting"), (one, "200", "Running", "Starting")]
    assert [status_of(cloud, each) for each in (one, two)] == ["Starting", "Starting"]
    cloud.settle()
    assert [status_of(cloud, each) for each in (one, two)] == ["Running", "Running"]


def test_resets_the_guests_when_asked_to(cloud):
    machines = watched(cloud)
    one, two = a_running_instance(cloud), a_running_instance(cloud)

    told(cloud, "RebootInstances", one, two, ForceReboot=True)
    cloud.settle()

    assert sorted(machines.rebooted) == sorted([(one, True), (two, True)])


def test_takes_an_id_that_is_named_twice_once(cloud):
    one = a_running_instance(cloud)

    assert told(cloud, "RebootInstances", one, one) == [(one, "200", "Running", "Starting")]
    assert len(every(cloud, tasks)) == 1


def test_takes_a_hundred(cloud):
    them = [f"i-{n}" for n in range(100)]

    answer = told(cloud, "RebootInstances", *them, BatchOptimization="SuccessFirst")

    assert [one for one, *_ in answer] == them


def test_begins_those_that_it_can_when_success_goes_first(cloud):
    one, other = a_running_instance(cloud), an_instance(cloud, status=InstanceStatus.PENDING).id
    locked = an_instance(cloud, lock_reason="security").id

    answer = told(cloud, "RebootInstances", other, "i-unknown", one, locked, BatchOptimization="SuccessFirst")

    assert answer == [
        (other, "IncorrectInstanceStatus", "Pending", "Pending"),
        ("i-unknown", "InvalidInstanceId.NotFound", None, None),
        (one, "200", "Running", "Starting"),
        (locked, "InstanceLockedForSecurity", "Stopped", "Stopped"),
    ]
    cloud.settle()
    assert status_of(cloud, one) == "Running"
    assert status_of(cloud, other) == "Pending"


def test_outlives_kills(cloud):
    def begin():
        them = [a_running_instance(cloud), a_running_instance(cloud)]
        told(cloud, "RebootInstances", *them)
        return them

    def judge(them):
        assert [status_of(cloud, one) for one in them] == ["Running", "Running"]
        assert [cloud.ports.machines.is_running(one) for one in them] == [True] * 2

    outlive_kills(cloud, begin, judge, least=4)


class TestRefuses(Refusals):
    action = "RebootInstances"
    ready = a_running_instance
    not_ready = InstanceStatus.PENDING

    def test_another_optimization(self, cloud):
        refuses(cloud, self.action, "InvalidParameter", 400, a_running_instance(cloud), BatchOptimization="allTogether")
