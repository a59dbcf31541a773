"""StartInstance, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.declare.states import DiskStatus, InstanceStatus
from kiln.machines.errors import MachineSilent
from kiln.store.disks import disks
from kiln.store.instances import instances
from kiln.store.tasks import tasks
from tests.clouds import OTHER
from tests.operations.disks.watched import exhaust
from tests.operations.instances.things import Machines, outlive_kills, status_of, watched
from tests.reading import every, the
from tests.stock import a_disk, an_instance


def test_starts_a_stopped_instance(cloud):
    machines = watched(cloud)
    instance = an_instance(cloud, data_disks=1, ever_started=False)

    cloud.call("StartInstance", InstanceId=instance.id)

    assert status_of(cloud, instance.id) == "Starting"
    cloud.settle()
    assert status_of(cloud, instance.id) == "Running"
    (machine,) = machines.started
    assert [drive.device for drive in machine.drives] == ["/dev/xvda", "/dev/xvdb"]
    assert machine.public_ip is None
    row = the(cloud, instances, id=instance.id)
    assert row.ever_started
    assert row.started_at is not None


def test_leaves_disks_to_the_task_that_attaches_them(cloud):
    machines = watched(cloud)
    instance = an_instance(cloud)
    a_disk(cloud, instance=instance.id, device="/dev/xvdb", status=DiskStatus.ATTACHING)

    cloud.call("StartInstance", InstanceId=instance.id)
    cloud.settle()

    assert [drive.device for drive in machines.started[0].drives] == ["/dev/xvda"]


def test_leaves_an_instance_stopped_whose_machine_is_refused(cloud):
    machines = watched(cloud)
    machines.refusal = "no room for 512 MiB"
    instance = an_instance(cloud)

    cloud.call("StartInstance", InstanceId=instance.id)
    cloud.settle()

    assert status_of(cloud, instance.id) == "Stopped"
    (task,) = every(cloud, tasks)
    assert (task.status, task.error_code) == ("Failed", "ServiceUnavailable")
    assert "no room for 512 MiB" in task.error_message


def test_leaves_no_half_alive_machine_behind(cloud):
    class Silent(Machines):
        def start(self, machine, *more):
            super().start(machine, *more)
            raise MachineSilent("no answer")

    instance = an_instance(cloud)
    silent = Silent(cloud.folder / "run")
    cloud.refit(machines=silent)

    cloud.call("StartInstance", InstanceId=instance.id)
    exhaust(cloud)

    assert status_of(cloud, instance.id) == "Stopped"
    assert silent.stopped == [(instance.id, True)]
    assert not silent.is_running(instance.id)
    (task,) = every(cloud, tasks)
    assert (task.error_code, task.error_message) == (
        "ServiceUnavailable",
        "The machine did not do what it was told: no answer",
    )


def test_outlives_kills(cloud):
    def begin():
        instance = an_instance(cloud)
        cloud.call("StartInstance", InstanceId=instance.id)
        return instance.id

    def judge(instance):
        assert status_of(cloud, instance) == "Running"
        assert cloud.ports.machines.is_running(instance)

    outlive_kills(cloud, begin, judge, least=4)


class TestRefuses:
    def test_a_dry_run_that_would_succeed(self, cloud):
        cloud.refuses("StartInstance", "DryRunOperation", 400, InstanceId=an_instance(cloud).id, DryRun=True)

    def test_an_instance_that_is_not_there(self, cloud):
        cloud.refuses("StartInstance", "InvalidInstanceId.NotFound", 404, InstanceId="i-unknown")

    def test_another_accounts_instance(self, cloud):
        mine = an_instance(cloud).id

        cloud.refuses("StartInstance", "InvalidInstanceId.NotFound", 404, account=OTHER, InstanceId=mine)

    @pytest.mark.parametrize("status", [s for s in InstanceStatus if s != InstanceStatus.STOPPED])
    def test_an_instance_that_is_not_stopped(self, cloud, status):
        instance = an_instance(cloud, status=status)

        cloud.refuses("StartInstance", "IncorrectInstanceStatus", 403, InstanceId=instance.id)

    def test_a_locked_instance(self, cloud):
        instance = an_instance(cloud, lock_reason="security")

        cloud.refuses("StartInstance", "InstanceLockedForSecurity", 403, InstanceId=instance.id)

    def test_an_instance_without_a_system_disk(self, cloud):
        instance = an_instance(cloud, system_disk=False, data_disks=1)

        cloud.refuses("StartInstance", "InvalidInstance.NotFoundSystemDisk", 400, InstanceId=instance.id)
        assert len(every(cloud, disks)) == 1
