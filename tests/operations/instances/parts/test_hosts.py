"""Where an instance's machine is, and who may carry out what waits in its lane."""

from __future__ import annotations

import pytest

from kiln.declare.states import InstanceStatus
from kiln.machines.errors import MachineRefused
from kiln.store import instances as placing
from kiln.store.instances import instances
from kiln.store.tasks import tasks
from tests.operations.disks.watched import run
from tests.operations.instances.things import watched
from tests.reading import the
from tests.stock import an_instance


def host_of(cloud, instance: str) -> str:
    return the(cloud, instances, id=instance).host


def lane_of(cloud, instance: str) -> set[str]:
    return {task.host for task in cloud.open_tasks() if task.lane == instance}


def test_is_written_before_the_machine_starts(cloud):
    machines = watched(cloud)
    machines.refusal = "no"
    instance = an_instance(cloud, status=InstanceStatus.STOPPED)
    seen = []
    machines.start = lambda machine, *_: (seen.append(host_of(cloud, machine.instance)), _refuse())

    cloud.call("StartInstance", InstanceId=instance.id)
    cloud.settle()

    assert seen == ["local"]
    assert host_of(cloud, instance.id) == "", "a machine that did not start is nowhere"


def _refuse():
    raise MachineRefused("no")


def test_is_empty_again_when_the_machine_has_stopped(cloud):
    watched(cloud)
    instance = an_instance(cloud, status=InstanceStatus.STOPPED)
    cloud.call("StartInstance", InstanceId=instance.id)
    cloud.settle()
    assert host_of(cloud, instance.id) == "local"

    cloud.call("StopInstance", InstanceId=instance.id)
    cloud.settle()

    assert host_of(cloud, instance.id) == ""


def test_is_the_host_of_what_is_asked_of_the_instance(cloud):
    instance = an_instance(cloud, status=InstanceStatus.RUNNING, host="elsewhere")
    run(cloud, instance.id)

    cloud.call("StopInstance", InstanceId=instance.id)

    assert lane_of(cloud, instance.id) == {"elsewhere"}
    assert cloud.worker.claim(cloud.clock()) == []
    with cloud.ports.database.read() as tx:
        (task,) = tasks.all(tx, lane=instance.id)
    assert task.owner == ""


@pytest.mark.parametrize("host", ["there", ""])
def test_goes_over_to_what_waits_already(cloud, host):
    instance = an_instance(cloud, status=InstanceStatus.RUNNING, host="elsewhere")
    run(cloud, instance.id)
    cloud.call("StopInstance", InstanceId=instance.id)

    cloud.ports.database.write(lambda tx: placing.place(tx, instance.id, host))

    assert (host_of(cloud, instance.id), lane_of(cloud, instance.id)) == (host, {host})


def test_is_ours_after_a_start_where_no_other_can_be(cloud):
    running = an_instance(cloud, status=InstanceStatus.RUNNING, host="before")
    old = an_instance(cloud, status=InstanceStatus.RUNNING)
    stopped = an_instance(cloud, status=InstanceStatus.STOPPED)
    with cloud.ports.database.read() as tx:
        assert placing.is_any_elsewhere(tx, "local")

    cloud.ports.database.write(lambda tx: placing.adopt_all(tx, "local"))

    assert [host_of(cloud, one.id) for one in (running, old, stopped)] == ["local", "local", ""]
    with cloud.ports.database.read() as tx:
        assert not placing.is_any_elsewhere(tx, "local")
