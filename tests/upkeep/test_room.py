"""Starts that no host has room for say so, and end."""

from __future__ import annotations

import pytest

from kiln.declare.states import TaskStatus
from kiln.store import hosts, tasks
from kiln.store.hosts import Room
from kiln.store.instances import instances
from kiln.upkeep.room import RoomWatch
from tests.operations.instances.things import status_of
from tests.reading import every, the
from tests.stock import an_instance
from tests.store.test_hosts import come

PLENTY, LITTLE = Room(cpus=64, memory_mib=1 << 17), Room(cpus=64, memory_mib=256)


@pytest.fixture
def shared(cloud):
    """One of several hosts."""
    cloud.refit(is_alone=False)
    return cloud


def have(cloud, room):
    come(cloud.ports.database, cloud.ports.host, "", room)


def a_start(cloud):
    instance = an_instance(cloud)
    cloud.call("StartInstance", InstanceId=instance.id)
    cloud.settle()
    return instance.id


def the_task(cloud):
    (task,) = every(cloud, tasks.tasks)
    return task


def test_a_start_waits_for_room_and_says_so_and_begins_when_there_is_some(shared):
    have(shared, LITTLE)
    watch = RoomWatch()
    instance = a_start(shared)

    watch(shared.ports)
    assert the_task(shared).error_message == ""
    assert watch(shared.ports) == []

    assert status_of(shared, instance) == "Starting"
    assert the_task(shared).error_message.startswith("No host has room for it, which needs ")
    have(shared, PLENTY)
    shared.settle()
    assert status_of(shared, instance) == "Running"
    assert the(shared, instances, id=instance).host == shared.ports.host


def test_a_start_that_has_waited_for_long_enough_fails_as_documented(shared):
    have(shared, LITTLE)
    watch = RoomWatch(wait_s=0.0)
    instance = a_start(shared)
    watch(shared.ports)

    assert watch(shared.ports) == [the_task(shared).id]
    shared.settle()

    assert status_of(shared, instance) == "Stopped"
    assert the(shared, instances, id=instance).host == ""
    task = the_task(shared)
    assert (task.status, task.error_code) == (TaskStatus.FAILED, "OperationDenied.NoStock")


def test_one_that_has_waited_is_started_where_there_is_room_by_then(shared):
    have(shared, LITTLE)
    watch = RoomWatch(wait_s=0.0)
    instance = a_start(shared)
    watch(shared.ports)
    watch(shared.ports)
    have(shared, PLENTY)

    shared.settle()

    assert status_of(shared, instance) == "Running"


def test_a_drained_host_starts_nothing(shared):
    have(shared, PLENTY)
    shared.ports.database.write(lambda tx: hosts.hosts.update(tx, {"is_draining": True}))
    instance = a_start(shared)

    assert status_of(shared, instance) == "Starting"
    shared.ports.database.write(lambda tx: hosts.hosts.update(tx, {"is_draining": False}))
    shared.settle()
    assert status_of(shared, instance) == "Running"


def test_where_one_host_is_alone_nothing_is_counted(cloud):
    have(cloud, LITTLE)

    assert status_of(cloud, a_start(cloud)) == "Running"
    assert RoomWatch(wait_s=0.0)(cloud.ports) == []
