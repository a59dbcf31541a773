"""Instances that leave a drained host: stopped there, started on another that has room, and lost by no kill."""

from __future__ import annotations

import pytest

from kiln.declare.states import TaskStatus
from kiln.store import hosts, tasks
from kiln.store.hosts import Room
from kiln.store.instances import instances
from kiln.store.leaving import MOVE
from kiln.upkeep.room import RoomWatch
from tests.dying import killed_at
from tests.reading import every, the
from tests.store.test_hosts import come
from tests.upkeep.hosts import LITTLE, Two

POINTS = (
    "moving.begun", "machines.before_stop", "machines.stopped", "moving.stopped", "power.granted",
    "machines.before_start", "machines.started", "power.started", "power.recorded",
)  # fmt: skip


@pytest.fixture
def two(cloud):
    return Two(cloud)


def test_it_is_stopped_there_and_started_where_there_is_room(two):
    instance = two.running()
    before = the(two.cloud, instances, id=instance)
    two.ask(instance)

    two.cloud.settle()
    assert two.where(instance) == ("Starting", "", [])
    two.settle()

    assert two.where(instance) == ("Running", "two", ["two"])
    assert two.task(instance).status == TaskStatus.FINISHED
    after = the(two.cloud, instances, id=instance)
    assert (after.public_ip, after.host_name, after.last_host) == (before.public_ip, before.host_name, "two")


def test_one_that_no_other_host_has_room_for_runs_on_and_says_why(two):
    come(two.cloud.ports.database, "two", "of-two", LITTLE)
    instance = two.running()
    two.ask(instance)

    two.settle()

    assert two.where(instance) == ("Running", "one", ["one"])
    task = two.task(instance)
    assert (task.status, task.error_code) == (TaskStatus.FAILED, "OperationDenied.NoStock")
    assert task.error_message.startswith("No other host has room for it, which needs ")


@pytest.mark.parametrize("state", [{"worker": ""}, {"is_draining": True}, {"lost_at": 1.0}])
def test_a_host_that_starts_nothing_has_no_room(two, state):
    two.write(lambda tx: hosts.hosts.update(tx, state, name="two"))
    instance = two.running()
    two.ask(instance)

    two.settle()

    assert two.where(instance) == ("Running", "one", ["one"])


def test_of_two_the_second_stays_where_there_is_room_for_one(two):
    first, second = two.running(), two.running()
    size = Room(cpus=64, memory_mib=512)
    come(two.cloud.ports.database, "two", "of-two", size)
    two.ask(first)
    two.ask(second)

    two.settle()

    assert sorted((two.where(first)[1], two.where(second)[1])) == ["one", "two"]
    assert [two.where(one)[0] for one in (first, second)] == ["Running", "Running"]


def test_nothing_is_done_where_the_host_starts_instances_again(two):
    instance = two.running()
    two.ask(instance)
    two.write(lambda tx: hosts.set_draining(tx, "one", is_draining=False))

    two.settle()

    assert two.where(instance) == ("Running", "one", ["one"])
    assert two.task(instance).status == TaskStatus.FINISHED


def test_one_that_somebody_stops_meanwhile_is_stopped(two):
    instance = two.running()
    two.ask(instance)
    two.cloud.call("StopInstance", InstanceId=instance)

    two.settle()

    assert two.where(instance) == ("Stopped", "", [])
    assert two.task(instance).status == TaskStatus.FINISHED


def test_one_whose_guest_powered_off_is_left_to_who_watches(two):
    instance = two.running()
    two.machines["one"].stop(instance, force=True)
    two.ask(instance)

    two.settle()

    assert two.where(instance) == ("Running", "one", [])
    assert two.task(instance).status == TaskStatus.FINISHED


def test_who_asks_again_asks_for_the_same(two):
    instance = two.running()

    assert two.ask(instance) == two.ask(instance)
    assert len(every(two.cloud, tasks.tasks, action=MOVE)) == 1


def test_where_the_room_is_gone_when_it_has_stopped_it_is_stopped_and_says_so(two):
    instance = two.running()
    two.ask(instance)
    two.cloud.settle()
    come(two.cloud.ports.database, "two", "of-two", LITTLE)
    watch = RoomWatch(wait_s=0.0)
    for _ in range(2):
        watch(two.cloud.ports)

    two.settle()

    assert two.where(instance) == ("Stopped", "", [])
    assert two.task(instance).error_code == "OperationDenied.NoStock"


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_any_point_leaves_it_running_once_in_the_end(two, point):
    instance = two.running()
    two.ask(instance)
    with killed_at(point):
        two.settle()
    assert len(two.where(instance)[2]) <= 1

    two.settle()

    assert two.where(instance) == ("Running", "two", ["two"])
    assert two.task(instance).status == TaskStatus.FINISHED
