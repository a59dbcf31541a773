"""The power cut of everything: processes, machines, PostgreSQL and Ceph are killed at once, and all come back."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

import pytest

from tests.ceph import POOL, start_ceph
from tests.cluster.deployments import deployment
from tests.cluster.test_on_ceph import a_host, an_image, an_instance, ask
from tests.guests import guest_image, reachable  # noqa: F401 - fixtures
from tests.postgresql import server_made
from tests.tools import needs
from tests.waiting import wait_for

pytestmark = [pytest.mark.postgresql, pytest.mark.ceph, pytest.mark.vm]

_ANOTHER = "00000000-0000-0000-0000-000000000000"  #: No boot of any host.


@pytest.fixture
def engines():
    """A PostgreSQL and a Ceph that keep what they have said is kept."""
    needs("qemu-system-x86_64")
    with server_made({}) as server, start_ceph(keeps=True) as ceph:
        server.start()
        yield server, ceph


def kill(*numbers):
    for number in numbers:
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)


def machines(deployed):
    """The machines of all hosts: the files that have their numbers."""
    return list(deployed.folder.glob("*/run/*/pid"))


def test_every_machine_that_ran_starts_by_itself(engines, reachable, guest_image):  # noqa: F811 - the fixtures.
    """The locks and watches of the dead are in nobody's way, and what a guest had synced is there."""
    server, ceph = engines
    settings = {"pool": f"rbd:{POOL}/power", "ceph_conf": ceph.configuration, "grace": "0"}
    with deployment(reachable, server.address, **settings) as deployed:
        served = [deployed.start("api", "api"), a_host(deployed, "one")]
        caller = deployed.caller(served[0])
        image = an_image(deployed, caller, guest_image)
        first, off = an_instance(caller, image), an_instance(caller, image)
        caller.ask("StopInstance", InstanceId=off, ForceStop=True)
        caller.instance_is(off, "Stopped")
        served[1].stop()
        served.append(a_host(deployed, "two"))
        second = an_instance(caller, image)
        served[1].start()
        for instance in (first, second):
            ask(deployed, instance, f"write /data0/note {instance}", "sync")

        kill(*(int(file.read_text()) for file in machines(deployed)))
        server.kill9()
        ceph.lose_power()
        for one in served:
            one.kill9()
        for file in machines(deployed):
            file.with_name("boot").write_text(_ANOTHER)  # The host has been booted since.
        server.start()
        ceph.have_power()
        for one in served:
            one.start()

        wait_for(lambda: deployed.ask(_STARTED) == [(2,)], within_s=300)
        for instance in (first, second):
            caller.instance_is(instance, "Running")
            assert ask(deployed, instance, "read /data0/note") == instance
        caller.instance_is(off, "Stopped")


_STARTED = "SELECT count(*) FROM tasks WHERE action = 'StartInstance' AND status = 'Finished'"
