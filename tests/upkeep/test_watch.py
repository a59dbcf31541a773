"""The watch: machines that are gone are noticed, and no task is disturbed."""

from __future__ import annotations

import shutil
import threading
from dataclasses import replace

from kiln.declare.states import InstanceStatus
from kiln.machines.errors import MachineSilent
from kiln.machines.none import NoMachines
from kiln.store.instances import instances
from kiln.upkeep.watch import Waker, watch
from tests.clouds import Cloud
from tests.operations.disks.watched import run
from tests.reading import the
from tests.stock import an_instance


def a_running_instance(cloud: Cloud, **more: str) -> str:
    instance = an_instance(cloud, status=InstanceStatus.RUNNING, started_at=cloud.clock(), **more)
    run(cloud, instance.id)
    return instance.id


def status_of(cloud: Cloud, instance: str) -> str:
    return the(cloud, instances, id=instance).status


def test_records_that_a_guest_powered_off(cloud):
    gone, alive = a_running_instance(cloud), a_running_instance(cloud)
    cloud.ports.machines.stop(gone, force=True)

    assert watch(cloud.ports) == [gone]

    assert status_of(cloud, gone) == InstanceStatus.STOPPED
    assert status_of(cloud, alive) == InstanceStatus.RUNNING


def test_leaves_one_that_is_found_again(cloud):
    class Found(NoMachines):
        def adopt(self):
            self._marker(lost).parent.mkdir(parents=True)
            self._marker(lost).touch()
            return [lost]

    lost, gone = a_running_instance(cloud), a_running_instance(cloud)
    cloud.ports.machines.stop(gone, force=True)
    shutil.rmtree(cloud.ports.machines._folder / lost)

    assert watch(replace(cloud.ports, machines=Found(cloud.ports.machines._folder))) == [gone]

    assert status_of(cloud, lost) == InstanceStatus.RUNNING


def test_says_it_once(cloud):
    gone = a_running_instance(cloud)
    cloud.ports.machines.stop(gone, force=True)
    watch(cloud.ports)

    assert watch(cloud.ports) == []


def test_leaves_instances_alone_that_are_not_said_to_run(cloud):
    for status in InstanceStatus:
        if status != InstanceStatus.RUNNING:
            an_instance(cloud, status=status)

    assert watch(cloud.ports) == []


def test_leaves_an_instance_to_the_task_in_its_lane(cloud):
    instance = a_running_instance(cloud)
    cloud.call("CreateImage", InstanceId=instance)
    cloud.ports.machines.stop(instance, force=True)

    assert watch(cloud.ports) == []

    cloud.settle()
    assert watch(cloud.ports) == [instance]


class Delayed(NoMachines):
    """Machines of which something happens just after they were looked at."""

    def __init__(self, folder, then):
        super().__init__(folder)
        self._then = then

    def is_running(self, instance):
        is_on = super().is_running(instance)
        self._then()
        return is_on


def test_does_not_stop_an_instance_that_was_started_meanwhile(cloud):
    instance = a_running_instance(cloud)
    cloud.ports.machines.stop(instance, force=True)

    def start_again():
        cloud.ports.database.write(lambda tx: instances.update(tx, {"started_at": cloud.clock()}, id=instance))

    ports = replace(cloud.ports, machines=Delayed(cloud.folder / "run", start_again))

    assert watch(ports) == []
    assert status_of(cloud, instance) == InstanceStatus.RUNNING


def test_does_not_stop_an_instance_that_got_a_task_meanwhile(cloud):
    instance = a_running_instance(cloud)
    cloud.ports.machines.stop(instance, force=True)

    def enqueue():
        cloud.ports.database.write(lambda tx: cloud.as_call(tx).enqueue(instance, lane=instance))

    ports = replace(cloud.ports, machines=Delayed(cloud.folder / "run", enqueue))

    assert watch(ports) == []
    assert status_of(cloud, instance) == InstanceStatus.RUNNING


def test_lets_an_instance_be_started_again(cloud):
    gone = a_running_instance(cloud)
    cloud.ports.machines.stop(gone, force=True)
    watch(cloud.ports)

    cloud.call("StartInstance", InstanceId=gone)
    cloud.settle()

    assert status_of(cloud, gone) == InstanceStatus.RUNNING
    assert watch(cloud.ports) == []


class Stalled(NoMachines):
    """Machines of which one stands still because a disk has no room, and one does not answer at all."""

    def __init__(self, folder, still, deaf):
        super().__init__(folder)
        self._still, self._deaf = still, deaf

    def wake(self, instance):
        if instance == self._deaf:
            raise MachineSilent(instance)
        return instance == self._still


def test_wakes_machines_that_stand_still(cloud):
    still, deaf, lively = (a_running_instance(cloud) for _ in range(3))
    assert lively

    ports = replace(cloud.ports, machines=Stalled(cloud.folder / "run", still, deaf))

    assert Waker()(ports) == [still]


def test_wakes_no_machine_that_is_a_state_alone(cloud):
    a_running_instance(cloud)

    assert Waker()(cloud.ports) == []


class Silent(NoMachines):
    """Machines that say nothing until they are let, but for one."""

    def __init__(self, folder, lively):
        super().__init__(folder)
        self._lively, self.is_over = lively, threading.Event()

    def wake(self, instance):
        return instance == self._lively or (self.is_over.wait(300) and False)


def test_wakes_one_beside_a_hundred_that_are_silent_and_asks_those_once(cloud):
    lively, *_ = [a_running_instance(cloud) for _ in range(101)]
    machines = Silent(cloud.folder / "run", lively)
    waker, ports = Waker(), replace(cloud.ports, machines=machines)
    # A waker of an earlier test may still have a thread that waits for nothing.
    earlier = set(threading.enumerate())

    first, again = waker(ports), waker(ports)
    threads = [t for t in threading.enumerate() if t.name.startswith("wake") and t not in earlier]
    machines.is_over.set()

    assert (first, again) == ([lively], [lively])
    assert len(threads) <= 101


def test_wakes_the_others_when_one_question_fails_in_a_way_that_nobody_foresaw(cloud):
    odd, still = a_running_instance(cloud), a_running_instance(cloud)

    class Odd(Stalled):
        def wake(self, instance):
            if instance == odd:
                raise RecursionError
            return super().wake(instance)

    assert Waker()(replace(cloud.ports, machines=Odd(cloud.folder / "run", still, ""))) == [still]


class WithHost(NoMachines):
    """Machines of a host that was switched off."""

    def went_with_host(self, instance):
        return not self.is_running(instance)


def test_starts_again_what_ran_when_the_host_lost_its_power(cloud):
    cloud.refit(machines=WithHost(cloud.folder / "run"), host="one")
    ran, locked = a_running_instance(cloud, host="one"), a_running_instance(cloud, host="one", lock_reason="security")
    off = an_instance(cloud, status=InstanceStatus.STOPPED).id
    for instance in (ran, locked):
        cloud.ports.machines.stop(instance, force=True)

    assert set(watch(cloud.ports)) == {ran, locked}
    assert [status_of(cloud, one) for one in (ran, locked, off)] == ["Starting", "Stopped", "Stopped"]
    assert watch(cloud.ports) == []
    (task,) = cloud.open_tasks()
    assert (task.action, task.resource, task.host) == ("StartInstance", ran, "one")
    cloud.settle()

    assert [status_of(cloud, one) for one in (ran, locked, off)] == ["Running", "Stopped", "Stopped"]
