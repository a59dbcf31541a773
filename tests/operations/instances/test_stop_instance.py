"""StopInstance, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.declare.states import InstanceStatus
from kiln.machines.errors import MachineSilent
from kiln.store.instances import instances
from tests.clouds import OTHER
from tests.operations.disks.watched import exhaust, run
from tests.operations.instances.things import Machines, outlive_kills, shown, status_of, watched
from tests.reading import the
from tests.stock import an_instance


def a_running_instance(cloud):
    instance = an_instance(cloud, status=InstanceStatus.RUNNING)
    run(cloud, instance.id)
    return instance.id


def test_stops_a_running_instance(cloud):
    machines = watched(cloud)
    instance = a_running_instance(cloud)

    cloud.call("StopInstance", InstanceId=instance)

    assert status_of(cloud, instance) == "Stopping"
    cloud.settle()
    assert status_of(cloud, instance) == "Stopped"
    assert machines.stopped == [(instance, False)]
    assert not machines.is_running(instance)


def test_cuts_the_power_when_asked_to(cloud):
    machines = watched(cloud)
    instance = a_running_instance(cloud)

    cloud.call("StopInstance", InstanceId=instance, ForceStop=True)
    cloud.settle()

    assert machines.stopped == [(instance, True)]


def test_shows_the_stopped_mode(cloud):
    instance = a_running_instance(cloud)
    assert shown(cloud, instance)["StoppedMode"] == "Not-applicable"

    cloud.call("StopInstance", InstanceId=instance, StoppedMode="StopCharging")
    cloud.settle()

    assert shown(cloud, instance)["StoppedMode"] == "StopCharging"


def test_lets_the_row_say_what_the_machine_does_when_it_does_not_stop(cloud):
    class Deaf(Machines):
        def stop(self, instance, force):
            raise MachineSilent("no answer")

    instance = a_running_instance(cloud)
    cloud.refit(machines=Deaf(cloud.folder / "run"))

    cloud.call("StopInstance", InstanceId=instance)
    exhaust(cloud)

    assert cloud.open_tasks() == []
    assert the(cloud, instances, id=instance).status == InstanceStatus.RUNNING


def test_outlives_kills(cloud):
    def begin():
        instance = a_running_instance(cloud)
        cloud.call("StopInstance", InstanceId=instance)
        return instance

    def judge(instance):
        assert status_of(cloud, instance) == "Stopped"
        assert not cloud.ports.machines.is_running(instance)

    outlive_kills(cloud, begin, judge, least=4)


class TestRefuses:
    def test_a_dry_run_that_would_succeed(self, cloud):
        instance = a_running_instance(cloud)

        cloud.refuses("StopInstance", "DryRunOperation", 400, InstanceId=instance, DryRun=True)

    def test_an_instance_that_is_not_there(self, cloud):
        cloud.refuses("StopInstance", "InvalidInstanceId.NotFound", 404, InstanceId="i-unknown")

    def test_another_accounts_instance(self, cloud):
        mine = a_running_instance(cloud)

        cloud.refuses("StopInstance", "InvalidInstanceId.NotFound", 404, account=OTHER, InstanceId=mine)

    @pytest.mark.parametrize("status", [s for s in InstanceStatus if s != InstanceStatus.RUNNING])
    def test_an_instance_that_is_not_running(self, cloud, status):
        instance = an_instance(cloud, status=status)

        cloud.refuses("StopInstance", "IncorrectInstanceStatus", 403, InstanceId=instance.id)

    def test_a_locked_instance(self, cloud):
        instance = an_instance(cloud, lock_reason="security", status=InstanceStatus.RUNNING)

        cloud.refuses("StopInstance", "InstanceLockedForSecurity", 403, InstanceId=instance.id)

    def test_another_stopped_mode(self, cloud):
        instance = a_running_instance(cloud)

        cloud.refuses("StopInstance", "InvalidParameter", 400, InstanceId=instance, StoppedMode="Sleep")
