"""Hosts that are lost, and those that only seemed to be: their instances go on elsewhere, and run nowhere twice."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path

import pytest

from tests.cluster.deployments import says, wait_until_says
from tests.cluster.lines import line
from tests.waiting import wait_for

pytestmark = [pytest.mark.postgresql, pytest.mark.slow]

GRACE = "10s"
LONG_GRACE = "1h"  #: Longer than a host takes that is started again at once, however busy the computer is.


@pytest.fixture
def short_folder():
    """A folder of whose path a socket's name may be made."""
    with tempfile.TemporaryDirectory(prefix="kiln-line-") as made:
        yield Path(made)


def an_instance_of_one(deployed, caller, *, gives_up_after=GRACE, **settings):
    """The worker ``one``, with an instance whose machine it has, and ``two``, which came after that.

    That has the duties. Who has lost those to another ends, as the program that watches it begins it again.
    """
    one = deployed.start("one", "worker", host_grace=GRACE, **settings)
    instance = deployed.an_instance(caller, deployed.an_image(caller))
    one.stop()
    two = deployed.start("two", "worker", host_grace=gives_up_after)
    wait_until_says(two, "duties_begun")
    one.start()
    return one, two, instance


def is_given_up(deployed):
    return deployed.ask("SELECT lost_at FROM hosts WHERE name = 'one' AND lost_at IS NOT NULL") != []


def machines_of(kiln):
    return sorted(path.parent.name for path in (kiln.data / "run").glob("*/running"))


def start_again(deployed, caller, instance):
    caller.ask("StartInstance", InstanceId=instance)
    caller.instance_is(instance, "Running")
    return deployed.host_of(instance)


def why(caller, instance):
    return {one["Action"] for one in caller.ask("DescribeReasons", ResourceId=instance)["Reasons"]["Reason"]}


def test_what_ran_on_a_host_that_was_killed_goes_on_elsewhere(deployed):
    """Its machine lives, and ends when its process is back and finds out; that is a host as any other then."""
    caller = deployed.caller(deployed.start("api", "api"))
    one, two, instance = an_instance_of_one(deployed, caller)
    one.kill9()
    wait_for(lambda: is_given_up(deployed), within_s=300)
    caller.instance_is(instance, "Stopped")
    assert why(caller, instance) == {"HostLost"}
    assert start_again(deployed, caller, instance) == "two"
    assert machines_of(one) == machines_of(two) == [instance]

    one.start()

    assert says(one, "machine_given_up_ended")
    assert machines_of(one) == []
    assert deployed.host_of(instance) == "two"
    assert not is_given_up(deployed)
    caller.ask("StopInstance", InstanceId=instance)
    caller.instance_is(instance, "Stopped")


def test_what_was_not_started_elsewhere_starts_again_when_its_host_is_back(deployed):
    caller = deployed.caller(deployed.start("api", "api"))
    one, two, instance = an_instance_of_one(deployed, caller)
    one.kill9()
    wait_for(lambda: is_given_up(deployed), within_s=300)
    caller.instance_is(instance, "Stopped")

    one.start()

    caller.instance_is(instance, "Running")
    assert says(one, "machine_given_up_ended")
    assert says(one, "started_again_with_its_host")
    assert sorted(machines_of(one) + machines_of(two)) == [instance]
    assert why(caller, instance) == set()


def test_one_whose_network_is_cut_ends_its_machines_when_it_hears_of_others_again(deployed, short_folder):
    caller = deployed.caller(deployed.start("api", "api"))
    with line(short_folder / "line", deployed.address) as to_server:
        one, two, instance = an_instance_of_one(deployed, caller, database=to_server.address)
        to_server.cut()
        wait_for(lambda: is_given_up(deployed), within_s=300)
        assert start_again(deployed, caller, instance) == "two"
        assert machines_of(one) == [instance]  # It does not know, and no guest dies because a database is away.

        to_server.mend()

        wait_until_says(one, "joined_again")
        assert says(one, "machine_given_up_ended")
        assert (machines_of(one), machines_of(two)) == ([], [instance])
        assert deployed.host_of(instance) == "two"
        one.stop()


def test_one_that_stood_still_does_the_same_when_it_wakes(deployed):
    caller = deployed.caller(deployed.start("api", "api"))
    one, two, instance = an_instance_of_one(deployed, caller)
    os.kill(one.process.pid, signal.SIGSTOP)
    try:
        # What the server does once the host does not answer any more. One of which the process alone stands still
        # holds its lock, and is not given up.
        deployed.ask(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND classid = 8788 "
            "AND objid = hashtext('one')::bigint & 4294967295"
        )
        wait_for(lambda: is_given_up(deployed), within_s=300)
        assert start_again(deployed, caller, instance) == "two"
    finally:
        os.kill(one.process.pid, signal.SIGCONT)

    wait_until_says(one, "joined_again")
    assert says(one, "machine_given_up_ended")
    assert (machines_of(one), machines_of(two)) == ([], [instance])
    assert deployed.host_of(instance) == "two"


def test_nothing_changes_for_guests_of_one_that_is_started_again_or_ended_in_order(deployed):
    caller = deployed.caller(deployed.start("api", "api"))
    one, two, instance = an_instance_of_one(deployed, caller, gives_up_after=LONG_GRACE)
    one.kill9()
    one.start()
    assert (machines_of(one), deployed.host_of(instance)) == ([instance], "one")

    one.stop()
    # Another host that is given up meanwhile shows that there was time for it.
    three, four = (deployed.start(name, "worker", host_grace=GRACE) for name in ("three", "four"))
    three.kill9()
    wait_for(lambda: deployed.ask("SELECT 1 FROM hosts WHERE name = 'three' AND lost_at IS NOT NULL"), within_s=300)

    assert not is_given_up(deployed)
    one.start()
    assert not [kiln for kiln in (two, four) if says(kiln, "host_given_up one")]
    assert (machines_of(one), deployed.host_of(instance)) == ([instance], "one")


def test_a_capture_goes_on_elsewhere_when_its_host_is_lost(deployed):
    caller = deployed.caller(deployed.start("api", "api"))
    one, _, instance = an_instance_of_one(deployed, caller, kill_at="capture.frozen")
    image = caller.ask("CreateImage", InstanceId=instance, ImageName="taken")["ImageId"]
    assert one.process.wait(300) == 137

    caller.image_comes(image)
    caller.instance_is(instance, "Stopped")
