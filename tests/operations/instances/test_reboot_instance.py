"""RebootInstance, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.declare.states import InstanceStatus
from kiln.machines.errors import MachineMissing, MachineSilent
from kiln.store.instances import instances
from tests.clouds import OTHER
from tests.operations.disks.watched import exhaust, run
from tests.operations.instances.things import Machines, outlive_kills, status_of, watched
from tests.reading import the
from tests.stock import an_instance


def a_running_instance(cloud):
    instance = an_instance(cloud, status=InstanceStatus.RUNNING)
    run(cloud, instance.id)
    return instance.id


def put(cloud, machines):
    cloud.refit(machines=machines)
    return machines


@pytest.mark.parametrize("force", [False, True])
def test_restarts_the_guest(cloud, force):
    machines = watched(cloud)
    instance = a_running_instance(cloud)

    cloud.call("RebootInstance", InstanceId=instance, ForceStop=force)

    assert status_of(cloud, instance) == "Starting"
    cloud.settle()
    assert status_of(cloud, instance) == "Running"
    assert machines.rebooted == [(instance, force)]
    assert the(cloud, instances, id=instance).started_at is not None


def test_starts_a_machine_that_powered_itself_off(cloud):
    machines = watched(cloud)
    instance = a_running_instance(cloud)
    machines.stop(instance, force=True)

    cloud.call("RebootInstance", InstanceId=instance)
    cloud.settle()

    assert status_of(cloud, instance) == "Running"
    assert [machine.instance for machine in machines.started] == [instance, instance]


def test_starts_a_machine_that_powers_off_this_moment(cloud):
    class Dying(Machines):
        def reboot(self, instance, force):
            self.stop(instance, force=True)
            raise MachineMissing

    machines = put(cloud, Dying(cloud.folder / "run"))
    instance = a_running_instance(cloud)

    cloud.call("RebootInstance", InstanceId=instance)
    cloud.settle()

    assert status_of(cloud, instance) == "Running"
    assert machines.is_running(instance)


def test_goes_on_running_when_it_cannot_be_restarted(cloud):
    class Deaf(Machines):
        def reboot(self, instance, force):
            raise MachineSilent("no answer")

    machines = put(cloud, Deaf(cloud.folder / "run"))
    instance = a_running_instance(cloud)

    cloud.call("RebootInstance", InstanceId=instance)
    exhaust(cloud)

    assert status_of(cloud, instance) == "Running"
    assert machines.is_running(instance)


class Halted(Machines):
    """Machines that begin to restart a guest and do not answer any more, and what then becomes of it when they do."""

    def __init__(self, folder, *, began):
        super().__init__(folder)
        self._began, self.woken = began, []

    def reboot(self, instance, force):
        raise MachineSilent("no answer")

    def wake(self, instance):
        self.woken.append(instance)
        if not self._began:
            self.stop(instance, force=True)
        return True


def test_a_guest_that_was_left_standing_still_goes_on_when_it_cannot_be_restarted(cloud):
    machines = put(cloud, Halted(cloud.folder / "run", began=True))
    instance = a_running_instance(cloud)

    cloud.call("RebootInstance", InstanceId=instance)
    exhaust(cloud)

    assert machines.woken == [instance]
    assert status_of(cloud, instance) == "Running"


def test_a_guest_that_never_began_is_ended_with_the_reason(cloud):
    machines = put(cloud, Halted(cloud.folder / "run", began=False))
    instance = a_running_instance(cloud)

    cloud.call("RebootInstance", InstanceId=instance)
    exhaust(cloud)

    assert not machines.is_running(instance)
    assert status_of(cloud, instance) == "Stopped"
    assert the(cloud, instances, id=instance).host == ""
    (reason,) = cloud.call("DescribeReasons", ResourceId=instance)["Reasons"]["Reason"]
    assert (reason["Action"], reason["State"]) == ("RebootInstance", "Failed")


def test_outlives_kills(cloud):
    def begin():
        instance = a_running_instance(cloud)
        cloud.call("RebootInstance", InstanceId=instance)
        return instance

    def judge(instance):
        assert status_of(cloud, instance) == "Running"
        assert cloud.ports.machines.is_running(instance)

    outlive_kills(cloud, begin, judge, least=3)


class TestRefuses:
    def test_a_dry_run_that_would_succeed(self, cloud):
        cloud.refuses("RebootInstance", "DryRunOperation", 400, InstanceId=a_running_instance(cloud), DryRun=True)

    def test_an_instance_that_is_not_there(self, cloud):
        cloud.refuses("RebootInstance", "InvalidInstanceId.NotFound", 404, InstanceId="i-unknown")

    def test_another_accounts_instance(self, cloud):
        mine = a_running_instance(cloud)

        cloud.refuses("RebootInstance", "InvalidInstanceId.NotFound", 404, account=OTHER, InstanceId=mine)

    @pytest.mark.parametrize("status", [s for s in InstanceStatus if s != InstanceStatus.RUNNING])
    def test_an_instance_that_is_not_running(self, cloud, status):
        instance = an_instance(cloud, status=status)

        cloud.refuses("RebootInstance", "IncorrectInstanceStatus", 403, InstanceId=instance.id)

    def test_a_locked_instance(self, cloud):
        instance = an_instance(cloud, lock_reason="security", status=InstanceStatus.RUNNING)

        cloud.refuses("RebootInstance", "InstanceLockedForSecurity", 403, InstanceId=instance.id)


def test_lets_a_guest_begin_as_a_start_does_before_it_restarts_it(cloud):
    """A restart that had to start the machine was killed then: nobody has asked yet whether its disks are its own."""
    asked = []

    class Waiting(Machines):
        def start(self, machine, may_run=lambda: None):
            asked.append(len(self.rebooted))
            super().start(machine, may_run)

    machines = put(cloud, Waiting(cloud.folder / "run"))
    instance = a_running_instance(cloud)
    asked.clear()

    cloud.call("RebootInstance", InstanceId=instance)
    cloud.settle()

    assert asked == [0]
    assert machines.rebooted == [(instance, False)]
