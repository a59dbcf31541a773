"""StartInstances, as a caller meets it."""

from __future__ import annotations

from kiln.declare.states import InstanceStatus
from kiln.store.disks import disks
from kiln.store.tasks import tasks
from tests.operations.instances.batches import Refusals, a_stopped_instance, refuses, told
from tests.operations.instances.things import outlive_kills, status_of
from tests.reading import every
from tests.stock import an_instance


def test_begins_each_and_tells_of_each(cloud):
    one, two = a_stopped_instance(cloud), a_stopped_instance(cloud)

    answer = told(cloud, "StartInstances", two, one)

    assert answer == [(two, "200", "Stopped", "Starting"), (one, "200", "Stopped", "Starting")]
    assert [status_of(cloud, each) for each in (one, two)] == ["Starting", "Starting"]
    cloud.settle()
    assert [status_of(cloud, each) for each in (one, two)] == ["Running", "Running"]


def test_takes_an_id_that_is_named_twice_once(cloud):
    one = a_stopped_instance(cloud)

    assert told(cloud, "StartInstances", one, one) == [(one, "200", "Stopped", "Starting")]
    assert len(every(cloud, tasks)) == 1


def test_takes_a_hundred(cloud):
    them = [f"i-{n}" for n in range(100)]

    answer = told(cloud, "StartInstances", *them, BatchOptimization="SuccessFirst")

    assert [one for one, *_ in answer] == them


def test_begins_those_that_it_can_when_success_goes_first(cloud):
    one, other = a_stopped_instance(cloud), an_instance(cloud, status=InstanceStatus.RUNNING).id
    locked = an_instance(cloud, lock_reason="security").id

    answer = told(cloud, "StartInstances", other, "i-unknown", one, locked, BatchOptimization="SuccessFirst")

    assert answer == [
        (other, "IncorrectInstanceStatus", "Running", "Running"),
        ("i-unknown", "InvalidInstanceId.NotFound", None, None),
        (one, "200", "Stopped", "Starting"),
        (locked, "InstanceLockedForSecurity", "Stopped", "Stopped"),
    ]
    cloud.settle()
    assert status_of(cloud, one) == "Running"
    assert status_of(cloud, other) == "Running"


def test_outlives_kills(cloud):
    def begin():
        them = [a_stopped_instance(cloud), a_stopped_instance(cloud)]
        told(cloud, "StartInstances", *them)
        return them

    def judge(them):
        assert [status_of(cloud, one) for one in them] == ["Running", "Running"]
        assert [cloud.ports.machines.is_running(one) for one in them] == [True] * 2

    outlive_kills(cloud, begin, judge, least=4)


class TestRefuses(Refusals):
    action = "StartInstances"
    ready = a_stopped_instance
    not_ready = InstanceStatus.RUNNING

    def test_another_optimization(self, cloud):
        refuses(cloud, self.action, "InvalidParameter", 400, a_stopped_instance(cloud), BatchOptimization="allTogether")

    def test_all_when_one_has_no_system_disk(self, cloud):
        one, bare = a_stopped_instance(cloud), a_stopped_instance(cloud)
        cloud.ports.database.write(lambda tx: disks.delete(tx, instance=bare))

        refuses(cloud, "StartInstances", "InvalidInstance.NotFoundSystemDisk", 400, one, bare)
