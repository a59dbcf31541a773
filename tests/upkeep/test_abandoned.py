"""What is on its way by its row, and whose task is not there, is said and comes to an end."""

from __future__ import annotations

import pytest

from kiln.declare.states import DiskStatus, ImageStatus, InstanceStatus, SnapshotStatus
from kiln.store.disks import disks
from kiln.store.instances import instances
from kiln.store.invocations import invocations, results
from kiln.store.snapshots import snapshots
from kiln.store.tasks import tasks
from kiln.upkeep.findings import is_well
from kiln.upkeep.fsck import fsck
from tests.operations.images.gallery import an_image
from tests.reading import every, the
from tests.stock import a_disk, a_snapshot, an_instance


def look(cloud, *, repair=True):
    return fsck(cloud.ports, repair=repair, say=lambda _: None)


def lose_tasks(cloud):
    cloud.ports.database.write(tasks.delete)


def run_something(cloud, more=()):
    instance = an_instance(cloud, status=InstanceStatus.RUNNING, host="local")
    given = {"InstanceId.1": instance.id, "Type": "RunShellScript", "CommandContent": "ZGF0ZQ==", **dict(more)}
    return instance.id, cloud.call("RunCommand", given)["InvokeId"]


@pytest.mark.parametrize("status", ["Pending", "Running", "Stopping"])
def test_a_command_comes_to_an_end(cloud, status):
    _, invoke = run_something(cloud)
    cloud.ports.database.write(lambda tx: results.update(tx, {"status": status}, invocation=invoke))
    assert [one.sort for one in look(cloud)] == ["pending"]
    lose_tasks(cloud)
    before = cloud.contents()

    assert [(one.sort, one.subject) for one in look(cloud, repair=False)] == [("repairable", invoke)]
    assert cloud.contents() == before
    assert [(one.sort, one.subject) for one in look(cloud)] == [("repaired", invoke)]

    (told,) = cloud.call("DescribeInvocationResults", InvokeId=invoke)["Invocation"]["InvocationResults"][
        "InvocationResult"
    ]
    assert (told["InvocationStatus"], told["ErrorCode"]) == ("Error", "ExecutionInterrupted")
    assert told["FinishedTime"]
    assert the(cloud, invocations, id=invoke).status == "Failed"
    assert look(cloud) == []


@pytest.mark.parametrize(
    ("before", "after"), [("Starting", "Stopped"), ("Stopping", "Stopped"), ("Pending", None)], ids=str
)
def test_an_instance_is_what_its_machine_is(cloud, before, after):
    instance = an_instance(cloud, status=InstanceStatus(before))

    assert [(one.sort, one.subject) for one in look(cloud, repair=False)] == [("repairable", instance.id)]
    assert is_well(look(cloud))
    cloud.settle()

    assert [one.status for one in every(cloud, instances)] == ([after] if after else [])
    assert look(cloud) == []


@pytest.mark.parametrize(
    ("before", "after"), [("Attaching", "Available"), ("Detaching", "In_use"), ("ReIniting", "In_use")]
)
def test_a_disk_is_where_its_machine_has_it(cloud, before, after):
    instance = an_instance(cloud)
    disk = a_disk(cloud, type="data", instance=instance.id, device="/dev/xvdb", status=DiskStatus(before))

    assert [(one.sort, one.subject) for one in look(cloud, repair=False)] == [("repairable", disk.id)]
    assert is_well(look(cloud))
    cloud.settle()

    assert the(cloud, disks, id=disk.id).status == after
    assert look(cloud) == []


def test_an_image_fails(cloud):
    image = an_image(cloud, status=ImageStatus.CREATING).id

    assert [(one.sort, one.subject) for one in look(cloud, repair=False)] == [("repairable", image)]
    assert [(one.sort, one.subject) for one in look(cloud)] == [("repaired", image)]

    (shown,) = cloud.call("DescribeImages", ImageId=image, Status="CreateFailed")["Images"]["Image"]
    assert shown["ImageId"] == image
    assert look(cloud) == []


def test_a_snapshot_fails(cloud):
    snapshot = a_snapshot(cloud, volume=None, status=SnapshotStatus.PROGRESSING).id

    assert [(one.sort, one.subject) for one in look(cloud, repair=False)] == [("repairable", snapshot)]
    assert [(one.sort, one.subject) for one in look(cloud)] == [("repaired", snapshot)]

    assert the(cloud, snapshots, id=snapshot).status == SnapshotStatus.FAILED
    assert look(cloud) == []


def test_what_is_worked_on_is_left_alone(cloud):
    instance = an_instance(cloud)
    cloud.call("StartInstance", InstanceId=instance.id)

    assert [one.sort for one in look(cloud)] == ["pending"]

    cloud.settle()
    assert the(cloud, instances, id=instance.id).status == InstanceStatus.RUNNING
