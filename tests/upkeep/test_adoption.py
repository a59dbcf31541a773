"""What an earlier Kiln left is taken up: machines that live though their rows say otherwise, and where they are."""

from __future__ import annotations

import pytest

from kiln.declare.states import InstanceStatus
from kiln.machines.none import NoMachines
from kiln.store.errors import DatabaseFull
from kiln.store.instances import instances, is_any_elsewhere
from kiln.upkeep.adoption import adopt
from kiln.upkeep.watch import watch
from tests.clouds import Cloud
from tests.operations.disks.watched import run
from tests.reading import the
from tests.stock import an_instance


def row_of(cloud: Cloud, instance: str):
    return the(cloud, instances, id=instance)


def test_a_stopped_instance_whose_machine_lives_runs(cloud, caplog):
    living, off = an_instance(cloud, status=InstanceStatus.STOPPED), an_instance(cloud, status=InstanceStatus.STOPPED)
    run(cloud, living.id)

    assert adopt(cloud.ports) == [living.id]
    assert adopt(cloud.ports) == []

    assert row_of(cloud, living.id).status == InstanceStatus.RUNNING
    assert row_of(cloud, living.id).host == cloud.ports.host
    assert row_of(cloud, off.id).status == InstanceStatus.STOPPED
    assert caplog.messages.count("machine_of_a_stopped_instance_runs") == 1


class NeverBegan(NoMachines):
    """Machines whose guests never began, so that they are ended."""

    def wake(self, instance):
        self.stop(instance, force=True)
        return True


def test_a_machine_whose_guest_never_began_is_not_taken_for_one_that_runs(cloud):
    cloud.refit(machines=NeverBegan(cloud.folder / "run"))
    living = an_instance(cloud, status=InstanceStatus.STOPPED)
    run(cloud, living.id)

    assert adopt(cloud.ports) == []

    assert row_of(cloud, living.id).status == InstanceStatus.STOPPED
    assert not cloud.ports.machines.is_running(living.id)


def test_one_that_was_taken_up_can_be_stopped(cloud):
    living = an_instance(cloud, status=InstanceStatus.STOPPED)
    run(cloud, living.id)
    adopt(cloud.ports)

    cloud.call("StopInstance", InstanceId=living.id)
    cloud.settle()

    assert row_of(cloud, living.id).status == InstanceStatus.STOPPED
    assert not cloud.ports.machines.is_running(living.id)
    assert adopt(cloud.ports) == []


def test_leaves_an_instance_to_the_task_in_its_lane(cloud):
    living = an_instance(cloud, status=InstanceStatus.STOPPED)
    cloud.call("CreateImage", InstanceId=living.id)
    run(cloud, living.id)

    assert adopt(cloud.ports) == []

    cloud.settle()
    assert adopt(cloud.ports) == [living.id]


@pytest.mark.parametrize("status", [s for s in InstanceStatus if s != InstanceStatus.STOPPED])
def test_leaves_what_is_no_stopped_instance(cloud, status):
    instance = an_instance(cloud, status=status, host=cloud.ports.host)
    run(cloud, instance.id)
    run(cloud, "i-nobodys")

    assert adopt(cloud.ports) == []

    assert row_of(cloud, instance.id).status == status


def test_a_machine_that_has_ended_since_is_the_watchs(cloud):
    living = an_instance(cloud, status=InstanceStatus.STOPPED)
    run(cloud, living.id)
    adopt(cloud.ports)
    cloud.ports.machines.stop(living.id, force=True)

    assert watch(cloud.ports) == [living.id]
    assert adopt(cloud.ports) == []


def test_what_is_bound_to_another_host_is_bound_here(cloud):
    instance = an_instance(cloud, status=InstanceStatus.RUNNING, host="elsewhere")
    run(cloud, instance.id)

    adopt(cloud.ports)

    assert row_of(cloud, instance.id).host == cloud.ports.host


def test_on_a_full_disk_the_room_that_is_kept_goes_to_what_is_to_be_done(cloud):
    """The rest comes when there is room again."""
    busy, idle = [an_instance(cloud, status=InstanceStatus.RUNNING, host="elsewhere") for _ in "12"]
    for instance in (busy, idle):
        run(cloud, instance.id)
    cloud.call("StopInstance", InstanceId=busy.id)
    database, is_full = cloud.ports.database, [True]

    def make_room():
        is_full[0] = False
        return True

    def fence(_):
        if is_full[0]:
            raise DatabaseFull("no room")

    database.make_room, database.fence = make_room, fence
    adopt(cloud.ports)
    is_full[0] = True

    assert row_of(cloud, busy.id).host == cloud.ports.host
    assert row_of(cloud, idle.id).host == "elsewhere"
    with database.read() as tx:
        assert is_any_elsewhere(tx, cloud.ports.host)

    is_full[0] = False
    adopt(cloud.ports)
    assert row_of(cloud, idle.id).host == cloud.ports.host
