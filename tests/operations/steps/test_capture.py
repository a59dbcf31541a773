"""Captures of machines that fall silent in the middle: callers are answered, and no byte that a guest wrote is lost."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack

import pytest

from kiln.declare.states import ImageStatus, SnapshotStatus
from kiln.machines.errors import MachineSilent
from kiln.machines.none import NoMachines
from kiln.store.disks import disks
from kiln.store.images import images
from kiln.store.snapshots import snapshots
from kiln.store.volumes import volumes
from kiln.tasks.worker import Duty, Worker
from kiln.upkeep import unfinished
from kiln.upkeep.duties import DUTIES
from tests.beginnings import BEGINNINGS
from tests.kill import checks
from tests.kill.kilns import keep
from tests.kill.scenarios import LATER, fill
from tests.reading import every, the
from tests.tools import needs


class FallsSilent(NoMachines):
    """A machine that opens its new disks, as QEMU does, and says nothing more."""

    def __init__(self, folder, opened: ExitStack) -> None:
        super().__init__(folder)
        self._opened = opened
        self.answers = False

    def is_running(self, instance: str) -> bool:
        return True

    def guest(self, instance: str):
        return self

    def is_alive(self) -> bool:
        return True

    def stands_above(self, node: str) -> bool:
        raise MachineSilent(node)

    def switch(self, nodes, settle, opened, leads_home) -> bool:
        if self.answers:
            return False
        for _, overlay in nodes:
            self._open(overlay["file"]["filename"])
        raise MachineSilent("no answer")

    def _open(self, path: str) -> None:
        command = ["qemu-io", "-f", "qcow2", path]
        holder = self._opened.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        # It has opened the file when it asks for a command.
        assert holder.stdout.read(8) == b"qemu-io>"


@pytest.fixture
def silent(cloud):
    """A machine that falls silent when it was told to switch, and what keeps its new disks open."""
    needs("qemu-io")
    with ExitStack() as opened:
        yield FallsSilent(cloud.folder / "run", opened), opened


def begin(cloud, action, machines):
    begun = BEGINNINGS[action](cloud)
    cloud.refit(machines=machines)
    duty = DUTIES[action]
    cloud.worker = Worker(
        cloud.ports, {action: Duty(duty.carry_out, duty.give_up, facts=duty.facts, tries=1)}, unfinished
    )
    (task,) = cloud.worker.claim(cloud.clock())
    cloud.worker.attempt(task)
    return begun


def test_an_image_of_a_machine_that_fell_silent_fails_while_its_disks_wait(cloud, silent):
    machines, _ = silent
    begun = begin(cloud, "CreateImage", machines)

    assert the(cloud, images, id=begun["ImageId"]).status == ImageStatus.CREATE_FAILED
    assert {one.status for one in every(cloud, snapshots, made_for=begun["ImageId"])} == {SnapshotStatus.FAILED}
    assert len(cloud.open_tasks()) == 1
    assert all(cloud.ports.pool.exists(heir.id) for heir in every(cloud, volumes, state="planned"))


def test_a_snapshot_of_a_machine_that_fell_silent_fails_too(cloud, silent):
    begun = begin(cloud, "CreateSnapshot", silent[0])

    assert the(cloud, snapshots, id=begun["SnapshotId"]).status == SnapshotStatus.FAILED
    assert len(cloud.open_tasks()) == 1


@pytest.mark.qcow2
@pytest.mark.parametrize("end", ["answers", "dies"])
def test_what_was_written_meanwhile_is_kept_when_it_answers_or_ends(cloud, silent, end):
    machines, opened = silent
    begun = begin(cloud, "CreateImage", machines)
    planned = every(cloud, volumes, state="planned")
    opened.close()
    for heir in planned:
        fill(cloud, heir.id, LATER)
    if end == "answers":
        machines.answers = True
    else:
        cloud.refit(machines=NoMachines(cloud.folder / "run"))

    cloud.worker = Worker(cloud.ports, DUTIES, unfinished)
    cloud.clock.now += 60
    cloud.settle()

    assert cloud.open_tasks() == []
    assert the(cloud, images, id=begun["ImageId"]).status == ImageStatus.CREATE_FAILED
    assert {heir.id for heir in planned} <= {disk.volume for disk in every(cloud, disks)}
    for disk in begun["disks"]:
        checks.disk_holds(cloud, disk, LATER)
    cloud.refit(machines=NoMachines(cloud.folder / "run"))
    keep(cloud)
    checks.nothing_is_halfway(cloud)
    checks.nothing_is_astray(cloud)
