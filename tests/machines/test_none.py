from __future__ import annotations

import pytest

from kiln.machines.errors import MachineMissing, MachineRefused
from kiln.machines.none import NoMachines
from tests.machines.disks import a_machine


@pytest.fixture
def machines(tmp_path):
    return NoMachines(tmp_path / "run")


def test_starts_and_stops(machines):
    machines.start(a_machine("i-1"))
    machines.start(a_machine("i-2"))
    machines.stop("i-1", force=False)

    assert [machines.is_running(i) for i in ("i-1", "i-2", "i-3")] == [False, True, False]
    assert list(machines.running()) == ["i-2"]


def test_remembers_states_after_a_restart(machines, tmp_path):
    machines.start(a_machine("i-1"))

    assert NoMachines(tmp_path / "run").is_running("i-1")


def test_remembers_who_has_a_cable(machines, tmp_path):
    machines.start(a_machine("i-1", cable=tmp_path))
    machines.start(a_machine("i-2"))
    machines.start(a_machine("i-2", cable=tmp_path))

    assert [machines.is_cabled(i) for i in ("i-1", "i-2", "i-3")] == [True, False, False]
    machines.stop("i-1", force=False)
    assert not machines.is_cabled("i-1")


def test_stops_what_does_not_run(machines):
    machines.stop("i-1", force=True)

    assert not machines.is_running("i-1")


def test_has_no_guest_and_no_user(machines):
    machines.start(a_machine("i-1"))

    assert machines.guest("i-1") is None
    assert machines.uid("i-1") is None


def test_console_says_that_nothing_runs(machines):
    before = machines.console("i-1")
    machines.start(a_machine("i-1"))

    assert before == b""
    assert b"No guest runs" in machines.console("i-1")


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.reboot("i-1", force=False),
        lambda m: m.attach("i-1", None),
        lambda m: m.detach("i-1", "v"),
    ],
    ids=["reboot", "attach", "detach"],
)
def test_changes_only_machines_that_run(machines, change):
    with pytest.raises(MachineMissing):
        change(machines)

    machines.start(a_machine("i-1"))
    change(machines)


def test_forgets_only_what_does_not_run(machines):
    machines.start(a_machine("i-1"))

    with pytest.raises(MachineRefused):
        machines.forget("i-1")
    machines.stop("i-1", force=False)
    machines.forget("i-1")
    machines.forget("i-1")

    assert machines.console("i-1") == b""


def test_a_state_goes_to_another_host_and_runs_in_one_of_the_two(machines, tmp_path):
    there = NoMachines(tmp_path / "there")
    machines.start(a_machine("i-1"))
    there.receive(a_machine("i-1"), machines.make("i-1"))

    machines.migrate("i-1", lambda: there.entrance("i-1"))
    there.take_over("i-1")
    machines.stop("i-1", force=True)

    assert [one.is_running("i-1") for one in (machines, there)] == [False, True]


def test_a_state_that_ended_before_it_ran_is_told_from_one_that_ran(machines, tmp_path):
    there = NoMachines(tmp_path / "there")
    machines.start(a_machine("i-1"))
    there.receive(a_machine("i-1"), machines.make("i-1"))
    machines.migrate("i-1", lambda: there.entrance("i-1"))
    there.stop("i-1", force=True)

    with pytest.raises(MachineRefused):
        there.take_over("i-1")
    machines.recall("i-1")
    assert machines.is_running("i-1")
    with pytest.raises(MachineMissing):
        machines.take_over("i-2")
