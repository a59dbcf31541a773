"""Living machines are found whatever became of their folders, and no other is taken for one of them."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from kiln.machines import process
from kiln.machines.errors import MachineRefused
from kiln.machines.qemu import QemuMachines
from tests.machines.disks import Disks, a_machine
from tests.machines.patience import LIMIT_S
from tests.tools import needs

pytestmark = [pytest.mark.vm, pytest.mark.usefixtures("patient")]


def folder_of(machines, instance="i-1"):
    return machines.folder(instance)


def at(home):
    """The machines of the Kiln whose folder that is."""
    return QemuMachines(home / "run", disks=home / "disks", accel="tcg", patience_s=0.5, end_timeout_s=LIMIT_S)


def disks_of(home):
    """The disks of ``home`` under the folder's other name."""
    disks = Disks(home / "disks")
    disks.below["a0"] = None
    return disks


def machines_below(folder):
    """The processes of QEMU that were started with files below *folder*: other tests have an ``i-1`` as well."""
    numbers = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [one for one in numbers if str(folder).encode() in b" ".join(process._arguments(one))]


@pytest.fixture
def home(reachable):
    """A Kiln's folder with a machine's disk in it; no machine of it is left running."""
    needs("qemu-system-x86_64", "qemu-img")
    machines, disks = at(reachable / "home"), Disks(reachable / "home" / "disks")
    drive = disks.drive(disks.blank("a0", uid=machines.uid("i-1")), "a")
    machines.start(a_machine(drives=[drive]))
    number = process.find(folder_of(machines))
    yield reachable / "home"
    with contextlib.suppress(ProcessLookupError):
        os.kill(number, signal.SIGKILL)


def test_takes_up_a_machine_whose_folder_was_lost_after_all_was_moved(home):
    number = process.find(folder_of(at(home)))
    there = home.with_name("there")
    home.rename(there)
    shutil.rmtree(there / "run")

    assert at(there).adopt() == ["i-1"]
    assert at(there).adopt() == []

    assert process.find(folder_of(at(there))) == number
    assert list(at(there).running()) == ["i-1"]
    at(there).stop("i-1", force=True)
    assert not any(process._arguments(number))  # Whoever has it for a child may not have looked yet.
    assert not at(there).is_running("i-1")


def test_ends_a_machine_that_was_moved_and_lost_and_that_nobody_took_up(home):
    number = process.find(folder_of(at(home)))
    there = home.with_name("there")
    home.rename(there)
    shutil.rmtree(there / "run")

    at(there).stop("i-1", force=True)

    assert not any(process._arguments(number))  # Whoever has it for a child may not have looked yet.


def test_starts_no_second_machine_beside_one_that_was_moved_and_lost(home, reachable):
    number = process.find(folder_of(at(home)))
    there = home.with_name("there")
    home.rename(there)
    shutil.rmtree(there / "run")

    with pytest.raises(MachineRefused):
        at(there).start(a_machine(drives=[disks_of(there).drive("a0", "a")]))

    assert process.search(folder_of(at(there))) == number
    assert machines_below(reachable) == [number]


def test_takes_up_no_machine_of_which_it_has_a_copy(home):
    copy = home.with_name("copy")
    subprocess.run(["cp", "-a", "--sparse=always", str(home), str(copy)], check=True)
    shutil.rmtree(copy / "run")

    assert at(copy).adopt() == []

    assert list(at(copy).running()) == []
    assert at(home).is_running("i-1")


def test_takes_up_no_machine_of_which_a_copy_was_put_in_its_place(home):
    there = home.with_name("there")
    subprocess.run(["cp", "-a", "--sparse=always", str(home), str(there)], check=True)
    home.rename(home.with_name("moved"))
    there.rename(home)

    assert not at(home).is_running("i-1")
    folder_of(at(home)).pid_file.unlink()
    assert at(home).adopt() == []
    assert not at(home).is_running("i-1")

    assert at(home.with_name("moved")).is_running("i-1")


def test_takes_up_a_machine_whose_pid_file_is_an_old_one(home):
    number = process.find(folder_of(at(home)))
    there = home.with_name("there")
    home.rename(there)
    folder_of(at(there)).pid_file.unlink()
    folder_of(at(there)).pid_file.write_text(f"{os.getpid()}\n")

    assert not at(there).is_running("i-1")
    assert at(there).adopt() == ["i-1"]

    assert process.find(folder_of(at(there))) == number
    assert at(there).guest("i-1").has_node("a0"), "its sockets are there yet"


def test_a_machine_that_was_told_once_is_told_by_one_look(home, monkeypatch):
    folder = folder_of(at(home))
    number = process.find(folder)

    with monkeypatch.context() as without:
        for lists in ("listdir", "scandir"):  # Which of them a Path uses is its Python's affair.
            without.setattr(os, lists, lambda path: pytest.fail(f"all of {path} was looked through"))
        assert process.find(folder) == number

    home.rename(home.with_name("there"))
    folder.path.mkdir(parents=True)
    shutil.copy(home.with_name("there") / "run" / "i-1" / "pid", folder.pid_file)
    shutil.copytree(home.with_name("there") / "disks", home / "disks")
    assert process.find(folder) is None


def test_takes_no_machine_of_another_kiln_whose_disks_are_its_own_too(home, reachable):
    other = QemuMachines(reachable / "other" / "run", disks=home / "disks", accel="tcg", patience_s=0.5)

    assert not other.is_running("i-1")
    assert other.adopt() == []
    assert list(other.running()) == []
    with pytest.raises(MachineRefused):
        other.start(a_machine(drives=[disks_of(home).drive("a0", "a")]))
    other.stop("i-1", force=True)

    assert at(home).is_running("i-1")


def test_takes_up_a_machine_whose_run_folder_was_put_aside(home):
    (home / "run").rename(home / "run.old")

    assert at(home).adopt() == ["i-1"]
