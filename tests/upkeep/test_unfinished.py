"""Tasks that nobody can carry out: each ends what it had begun, and loses nothing."""

from __future__ import annotations

import pytest

from kiln.calls.call import NotYet
from kiln.declare.errors import InternalError
from kiln.declare.states import DiskStatus, ImageStatus, InstanceStatus, SnapshotStatus, TaskStatus
from kiln.machines.errors import MachineMissing, MachineSilent
from kiln.machines.none import NoMachines
from kiln.store.disks import disks
from kiln.store.images import images
from kiln.store.instances import instances
from kiln.store.snapshots import snapshots
from kiln.store.tasks import open_unknown, tasks
from kiln.store.volumes import volumes
from kiln.tasks.worker import Duty, Worker
from kiln.upkeep import unfinished
from kiln.upkeep.duties import DUTIES
from tests.beginnings import BEGINNINGS
from tests.clouds import Cloud
from tests.kill import checks
from tests.kill.kilns import keep, settle
from tests.kill.scenarios import DATA, LATER, MORE, SYSTEM, fill
from tests.reading import every, find, the

RUINS = {
    "an action that there is not": {"action": "Levitate"},
    "facts of a newer version": {"payload": '{"version": 99}'},
    "facts that are no JSON": {"payload": "{"},
}
by_action = pytest.mark.parametrize("action", BEGINNINGS)


def ruin(cloud: Cloud, **changes: str) -> str:
    """Have the one open task be one that nobody understands; its ID."""
    (task,) = cloud.open_tasks()
    cloud.ports.database.write(lambda tx: tasks.update(tx, changes, id=task.id))
    return task.id


def expect_rest(cloud: Cloud) -> None:
    keep(cloud)
    checks.nothing_is_halfway(cloud)
    checks.every_name_is_kept(cloud)
    checks.nothing_is_astray(cloud)


@by_action
@pytest.mark.parametrize("ruined", RUINS)
def test_ends_what_nobody_understands(cloud, action, ruined):
    BEGINNINGS[action](cloud)
    before = {disk.id: disk for disk in every(cloud, disks, status=DiskStatus.IN_USE)}
    task = ruin(cloud, **RUINS[ruined])

    cloud.settle()

    assert (the(cloud, tasks, id=task).status, the(cloud, tasks, id=task).error_code) == ("Failed", "TaskUnreadable")
    expect_rest(cloud)
    for disk in before.values():
        assert the(cloud, disks, id=disk.id).instance == disk.instance


def test_says_in_the_image_why_it_came_to_nothing(cloud):
    image = BEGINNINGS["CreateImage"](cloud)["ImageId"]
    ruin(cloud, payload='{"version": 99}')

    cloud.settle()

    row = the(cloud, images, id=image)
    assert (row.status, row.error_code) == (ImageStatus.CREATE_FAILED, "TaskUnreadable")
    assert "version 99" in row.error_message
    assert {one.status for one in every(cloud, snapshots)} == {SnapshotStatus.FAILED}


def test_completes_a_capture_that_may_have_happened(cloud):
    """A guest that has ended since may have written to the heirs."""
    facts = BEGINNINGS["CreateImage"](cloud)
    planned = every(cloud, volumes, state="planned")
    for heir in planned:
        cloud.ports.pool.clone(heir.parent, heir.id, heir.size_bytes)
    ruin(cloud, action="Levitate")

    cloud.settle()

    checks.image_holds(cloud, facts["ImageId"], [SYSTEM, DATA])
    assert {disk.volume for disk in every(cloud, disks)} == {heir.id for heir in planned}
    expect_rest(cloud)


@pytest.mark.parametrize("action", ["CreateImage", "CreateSnapshot"])
def test_a_capture_that_is_given_up_is_completed_where_it_may_have_happened(cloud, action):
    """The guest wrote to the heirs and has ended since; the database was full all that time."""
    facts = BEGINNINGS[action](cloud)
    planned = every(cloud, volumes, state="planned")
    for heir in planned:
        cloud.ports.pool.clone(heir.parent, heir.id, heir.size_bytes)
    duty = DUTIES[action]

    def fails(job) -> None:
        raise InternalError

    cloud.worker = Worker(cloud.ports, {action: Duty(fails, duty.give_up, facts=duty.facts)}, unfinished)
    settle_all(cloud)

    assert {disk.volume for disk in every(cloud, disks)} == {heir.id for heir in planned}
    checks.disk_holds(cloud, facts["disks"][0], SYSTEM)


class Dying(NoMachines):
    """Machines that end while they are asked something: what they had open is closed then."""

    def guest(self, instance: str) -> Dying | None:
        self._asked = instance
        return self if self.is_running(instance) else None

    def is_alive(self) -> bool:
        return self.is_running(self._asked)

    def stands_above(self, node: str) -> bool:
        self.stop(self._asked, force=True)
        raise MachineMissing(node)


@pytest.mark.parametrize("action", ["CreateImage", "CreateSnapshot"])
def test_a_capture_is_completed_when_the_machine_ends_while_it_is_asked(cloud, action):
    """What the guest wrote to the heirs since it had gone over to them is not to be dropped as unused."""
    facts = BEGINNINGS[action](cloud)
    planned = every(cloud, volumes, state="planned")
    for heir in planned:
        cloud.ports.pool.clone(heir.parent, heir.id, heir.size_bytes)
        fill(cloud, heir.id, LATER)
    machines = Dying(cloud.folder / "run")
    marker = cloud.folder / "run" / facts["instance"] / "running"
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.touch()
    cloud.refit(machines=machines)
    duty = DUTIES[action]

    def fails(job) -> None:
        raise InternalError

    cloud.worker = Worker(cloud.ports, {action: Duty(fails, duty.give_up, facts=duty.facts)}, unfinished)
    settle_all(cloud)

    assert not machines.is_running(facts["instance"])
    assert {disk.volume for disk in every(cloud, disks)} == {heir.id for heir in planned}
    for disk in facts["disks"]:
        checks.disk_holds(cloud, disk, LATER)


def test_a_disk_that_was_to_grow_is_as_large_as_its_bytes(cloud):
    disk = BEGINNINGS["ResizeDisk"](cloud)["disk"]
    ruin(cloud, action="Levitate")

    cloud.settle()

    assert the(cloud, disks, id=disk).size_gib == 20
    checks.disk_holds(cloud, disk, DATA)


class Silent(NoMachines):
    """Machines that run and answer nothing."""

    def guest(self, instance: str) -> None:
        raise MachineSilent(instance)


@pytest.mark.parametrize("is_made", [True, False])
def test_a_disk_that_a_silent_machine_may_have_stays_if_it_was_made(cloud, is_made):
    """What was never made nobody can have: an instance would be left with a disk without bytes, and never start."""
    disk = BEGINNINGS["CreateDisk"](cloud)["DiskId"]
    (planned,) = every(cloud, volumes, state="planned")
    if is_made:
        cloud.ports.pool.clone(planned.parent, planned.id, planned.size_bytes)
    cloud.refit(machines=Silent(cloud.folder / "run"))
    ruin(cloud, payload="{")

    settle_all(cloud)

    assert [row.status for row in every(cloud, disks, id=disk)] == ([DiskStatus.IN_USE] if is_made else [])
    cloud.refit(machines=NoMachines(cloud.folder / "run"))
    expect_rest(cloud)
    if is_made:
        checks.disk_holds(cloud, disk, MORE)


def test_an_instance_is_what_its_machine_is(cloud):
    instance = BEGINNINGS["StopInstance"](cloud)["instance"]
    ruin(cloud, payload="[]")

    cloud.settle()

    assert the(cloud, instances, id=instance).status == InstanceStatus.RUNNING


def test_leaves_alone_what_another_task_is_about(cloud):
    facts = BEGINNINGS["DeleteInstance"](cloud)
    instance = facts["instance"]
    (task,) = cloud.open_tasks()
    disk = facts["disks"][1]
    cloud.ports.database.write(
        lambda tx: cloud.as_call(tx, "DetachDisk").enqueue(disk, region=task.region, lane=instance)
    )
    cloud.ports.database.write(lambda tx: tasks.update(tx, {"action": "Levitate"}, id=task.id))

    cloud.settle()

    assert the(cloud, disks, id=facts["disks"][0]).status == DiskStatus.IN_USE
    freed = the(cloud, disks, id=disk)
    assert (freed.status, freed.instance) == (DiskStatus.AVAILABLE, None)


def test_a_lane_goes_on_behind_it(cloud):
    instance = BEGINNINGS["CreateImage"](cloud)["instance"]
    ruin(cloud, action="Levitate")
    cloud.call("StartInstance", InstanceId=instance)

    cloud.settle()

    assert cloud.open_tasks() == []
    assert the(cloud, instances, id=instance).status == InstanceStatus.RUNNING


@by_action
def test_ends_a_task_whose_give_up_never_can(cloud, action):
    BEGINNINGS[action](cloud)
    duty = DUTIES[action]

    def fails(job, error=None) -> None:
        raise RuntimeError("a bug")

    cloud.worker = Worker(cloud.ports, {action: Duty(fails, fails, facts=duty.facts)}, unfinished)
    settle_all(cloud)

    assert [task.error_code for task in every(cloud, tasks, action=action, status="Failed")] == ["InternalError"]
    cloud.worker = Worker(cloud.ports, DUTIES, unfinished)
    settle(cloud)
    expect_rest(cloud)


#: They take back nothing in the rows: carried out again, they find what they found before.
_LEAVE_ALL = {"EmptyTrash", "ExportImage", "GivePassword", "Merge", "RestoreTrash"}


@pytest.mark.parametrize("action", sorted(DUTIES.keys() - _LEAVE_ALL))
def test_what_is_taken_back_ends_the_task(cloud, action):
    """Were its end another transaction, a worker that dies between the two would have it carried out again."""
    BEGINNINGS[action](cloud)
    duty, ends = DUTIES[action], []

    def fails(job) -> None:
        raise InternalError

    def give_up(job, error) -> None:
        duty.give_up(job, error)
        ends.append(the(cloud, tasks, id=job.task.id).status)

    cloud.worker = Worker(cloud.ports, {action: Duty(fails, give_up, facts=duty.facts)}, unfinished)
    settle_all(cloud)

    assert ends == [TaskStatus.FAILED]


def test_waits_without_end_for_a_give_up_that_is_not_yet_possible(cloud):
    def fails(job) -> None:
        raise InternalError

    def waits(job, error) -> None:
        raise NotYet(5.0, "The test says so.")

    cloud.worker = Worker(cloud.ports, {"Test": Duty(fails, waits)}, unfinished)
    task = cloud.ports.database.write(lambda tx: cloud.as_call(tx).enqueue("r-1"))
    for _ in range(30):
        cloud.settle()
        cloud.clock.now += 60

    assert the(cloud, tasks, id=task).status == TaskStatus.PROCESSING


def test_ends_a_task_of_a_status_that_there_is_not(cloud):
    """Nobody would take it up; its image stayed Creating, and to describe it was an error."""
    answer = BEGINNINGS["ImportImage"](cloud)
    ruin(cloud, status="Paused")

    assert cloud.call("DescribeTaskAttribute", TaskId=answer["TaskId"])["TaskId"] == answer["TaskId"]
    assert cloud.ports.database.write(open_unknown) == 1
    cloud.settle()

    assert the(cloud, tasks, id=answer["TaskId"]).error_code == "TaskUnreadable"
    assert find(cloud, images, id=answer["ImageId"]).error_code == "TaskUnreadable"
    expect_rest(cloud)


def test_is_told_of_an_import_that_nobody_understands(cloud):
    answer = BEGINNINGS["ImportImage"](cloud)
    ruin(cloud, payload="[]")
    cloud.settle()

    told = cloud.call("DescribeTaskAttribute", TaskId=answer["TaskId"])

    assert (told["TaskStatus"], told["TotalCount"]) == ("Failed", 0)
    assert find(cloud, images, id=answer["ImageId"]).error_code == "TaskUnreadable"


def settle_all(cloud: Cloud) -> None:
    """Carry out what there is, and let all pauses pass."""
    for _ in range(30):
        cloud.settle()
        cloud.clock.now += 60
        if not cloud.open_tasks():
            return
    raise AssertionError(f"left undone: {cloud.open_tasks()}")
