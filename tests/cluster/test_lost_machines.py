"""Machines that run on a host that was given up: no second one runs on their disks, on a pool of files."""

from __future__ import annotations

import os
import signal

import pytest

from kiln.machines import process
from kiln.machines.runfolder import RunFolder
from tests.cluster.deployments import deployment, says, wait_until_says
from tests.cluster.lines import line
from tests.cluster.test_lost_hosts import GRACE, an_instance_of_one, is_given_up, start_again, why
from tests.guests import open_reachable
from tests.tools import needs
from tests.waiting import wait_for

pytestmark = [pytest.mark.postgresql, pytest.mark.vm, pytest.mark.slow_vm]


@pytest.fixture
def deployed(postgresql_address):
    needs("qemu-system-x86_64", "qemu-img")
    told = {"machines": "qemu", "accel": "tcg", "host_grace": GRACE}
    with open_reachable() as folder, deployment(folder, postgresql_address, **told) as it:
        yield it


def pid_of(kiln, instance):
    """The machine's process on that host, while it lives."""
    return process.find(RunFolder(kiln.data / "run" / instance))


def is_refused(deployed, caller, instance):
    """Whether a start is refused as its disks are open elsewhere, and the instance says so."""
    caller.ask("StartInstance", InstanceId=instance)
    caller.instance_is(instance, "Stopped")
    (reason,) = [
        one
        for one in caller.ask("DescribeReasons", ResourceId=instance)["Reasons"]["Reason"]
        if one["Action"] == "StartInstance"
    ]
    assert deployed.host_of(instance) == ""
    return "On a host that was given up its machine may run still" in reason["Message"]


def test_a_machine_whose_kiln_was_killed_keeps_its_disks_until_it_has_ended(deployed):
    caller = deployed.caller(deployed.start("api", "api"))
    one = deployed.start("one", "worker")
    instance = deployed.an_instance(caller, deployed.an_image(caller))
    two = deployed.start("two", "worker")
    one.kill9()
    wait_for(lambda: is_given_up(deployed), within_s=300)
    caller.instance_is(instance, "Stopped")
    assert "HostLost" in why(caller, instance)
    machine = pid_of(one, instance)
    assert machine is not None

    assert is_refused(deployed, caller, instance)
    assert (pid_of(one, instance), pid_of(two, instance)) == (machine, None)

    os.kill(machine, signal.SIGKILL)
    wait_for(lambda: pid_of(one, instance) is None)
    assert start_again(deployed, caller, instance) == "two"
    assert pid_of(two, instance) is not None


def test_one_that_was_cut_off_ends_its_machine_and_then_it_runs_again(deployed):
    caller = deployed.caller(deployed.start("api", "api"))
    with line(deployed.folder / "line", deployed.address) as to_server:
        one, two, instance = an_instance_of_one(deployed, caller, database=to_server.address)
        to_server.cut()
        wait_for(lambda: is_given_up(deployed), within_s=300)
        assert is_refused(deployed, caller, instance)
        assert pid_of(one, instance) is not None

        to_server.mend()
        wait_until_says(one, "joined_again")

        assert says(one, "machine_given_up_ended")
        caller.instance_is(instance, "Running")
        there = {"one": one, "two": two}[deployed.host_of(instance)]
        assert [pid_of(kiln, instance) is not None for kiln in (one, two)] == [there is one, there is two]
        one.stop()
