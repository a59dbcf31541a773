"""What a restart or a start leaves behind that was cut short: a guest goes on, or its machine is ended."""

from __future__ import annotations

import pytest

from kiln.machines.qmp import open_session
from tests.dying import killed_at
from tests.machines.disks import a_machine
from tests.waiting import wait_for

pytestmark = [pytest.mark.vm, pytest.mark.usefixtures("patient")]


def state_of(machines):
    with open_session(machines.folder("i-1").qmp) as qmp:
        return qmp.execute("query-status")["status"]


def power_off(machines):
    """Have the guest do what one does that powers off: QEMU takes a reset for that where it is told to."""
    with open_session(machines.folder("i-1").qmp) as qmp:
        qmp.execute("set-action", {"reboot": "shutdown"})
        qmp.execute("system_reset")


def reset_as_before(machines):
    with open_session(machines.folder("i-1").qmp) as qmp:
        qmp.execute("set-action", {"reboot": "reset"})


@pytest.mark.parametrize("point", ["machines.reboot_prepared", "machines.reset"])
def test_a_guest_whose_restart_was_cut_short_runs_and_ends_with_its_power(bare, point):
    with killed_at(point):
        bare.reboot("i-1", force=True)

    bare.wake("i-1")

    assert state_of(bare) == "running"
    assert not bare.folder("i-1").restarting.exists()
    power_off(bare)
    wait_for(lambda: not bare.is_running("i-1"))


def test_a_guest_that_has_powered_off_for_a_restart_is_restarted(bare):
    with killed_at("machines.reboot_prepared"):
        bare.reboot("i-1", force=True)
    power_off(bare)
    wait_for(lambda: state_of(bare) == "shutdown")
    reset_as_before(bare)

    assert bare.wake("i-1") is True

    assert state_of(bare) == "running"
    assert bare.wake("i-1") is False


def test_nothing_is_done_with_a_machine_that_somebody_restarts_just_now(bare):
    with killed_at("machines.reboot_prepared"):
        bare.reboot("i-1", force=True)

    with bare.folder("i-1").held():
        assert bare.wake("i-1") is False

    assert bare.folder("i-1").restarting.exists()


def test_a_machine_whose_guest_never_began_is_ended(machines, disks):
    drive = disks.drive(disks.blank("a0", uid=machines.uid("i-1")), "a")
    with killed_at("machines.opened"):
        machines.start(a_machine(drives=[drive]))
    assert state_of(machines) == "prelaunch"

    assert machines.wake("i-1") is True

    assert not machines.is_running("i-1")
    assert b"never begun" in machines.console("i-1")


def test_a_stop_lets_no_guest_begin_that_never_did(machines, disks, guest_image):
    disks.bring_in("system", guest_image)
    drive = disks.drive(disks.above("s0", "system", machines.uid("i-1")), "a")
    # As long as a guest takes to come up that was let begin: one that was not is waited for by nobody.
    machines = type(machines)(machines.run, accel="tcg", patience_s=120.0)
    with killed_at("machines.opened"):
        machines.start(a_machine(drives=[drive]))

    machines.stop("i-1", force=False)

    assert not machines.is_running("i-1")
    assert machines.console("i-1") == b""
