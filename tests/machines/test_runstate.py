"""What is told of a guest that does not go on though its machine is on, and what is not told of one that does."""

from __future__ import annotations

import pytest

from kiln.machines import readiness
from kiln.machines.qemu import QemuMachines
from kiln.machines.qmp import execute
from kiln.machines.runstate import why_still
from tests.machines.hostile import posing

pytestmark = pytest.mark.usefixtures("patient")


@pytest.mark.parametrize(
    "status", ["internal-error", "io-error", "guest-panicked", "watchdog", "suspended", "paused", "debug", "a new one"]
)
def test_a_guest_that_cannot_go_on_is_told_of_by_what_qemu_calls_it(status):
    assert f"QEMU calls it {status}." in why_still(status)


@pytest.mark.parametrize("status", ["running", "prelaunch", "shutdown", "inmigrate", "postmigrate"])
def test_one_that_does_or_is_about_to_is_not(status):
    assert why_still(status) == ""


def test_what_is_so_twice_in_a_row_is_told(tmp_path):
    machines = QemuMachines(tmp_path, confined=False)
    with posing(tmp_path, ["i-1"], "state: internal-error"):
        machines.wake("i-1")
        assert machines.why_still("i-1") == ""

        machines.wake("i-1")

        assert machines.why_still("i-1").startswith("QEMU or KVM cannot carry on its guest")
    assert machines.why_still("i-1") == ""


def test_one_that_is_held_still_for_a_moment_is_not_told_of(tmp_path):
    machines = QemuMachines(tmp_path, confined=False)
    with posing(tmp_path, ["i-1"], "state: paused"):
        machines.folder("i-1").mark_leaving()
        for _ in range(3):
            machines.wake("i-1")
        assert machines.why_still("i-1") == ""


@pytest.mark.vm
def test_one_that_somebody_else_has_stopped_is_told_of_until_it_is_restarted(bare):
    execute(bare.folder("i-1").qmp, "stop")
    for _ in range(2):
        bare.wake("i-1")
    assert "Something other than Kiln has its guest stand still" in bare.why_still("i-1")

    bare.reboot("i-1", force=True)

    bare.wake("i-1")
    assert bare.why_still("i-1") == ""


def test_a_start_begins_anew_a_first_conversation_that_is_not_answered(tmp_path):
    machines = QemuMachines(tmp_path, confined=False)
    with posing(tmp_path, ["i-1"], "greets the second"):
        readiness.await_ready(machines.folder("i-1"), [], None, [])
