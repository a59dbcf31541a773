"""DescribeReasons, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.declare.deployment import Deployment
from kiln.declare.states import ImageStatus, InstanceStatus
from kiln.machines.none import NoMachines
from kiln.store import tasks, transfers
from kiln.upkeep.watch import watch
from tests.clouds import OTHER, REGION, make_cloud
from tests.operations.disks.watched import run
from tests.operations.images.gallery import an_image
from tests.operations.instances.things import watched
from tests.operations.tasks.agenda import a_task
from tests.stock import a_disk, a_snapshot, an_instance


def why(cloud, resource, **more):
    return cloud.call("DescribeReasons", ResourceId=resource, **more)["Reasons"]["Reason"]


@pytest.mark.parametrize("make", [an_instance, a_disk, a_snapshot])
def test_has_nothing_to_say_where_all_is_as_it_should_be(cloud, make):
    assert why(cloud, make(cloud).id) == []


def test_tells_why_an_instance_did_not_start(cloud):
    watched(cloud).refusal = "no room for 512 MiB"
    instance = an_instance(cloud)
    cloud.call("StartInstance", InstanceId=instance.id)
    cloud.settle()

    (reason,) = why(cloud, instance.id)

    assert (reason["Action"], reason["State"], reason["Code"]) == ("StartInstance", "Failed", "ServiceUnavailable")
    assert "no room for 512 MiB" in reason["Message"]
    assert reason["Since"].startswith("2026-")
    assert why(cloud, reason["TaskId"]) == [reason]


def test_forgets_what_failed_when_it_succeeds(cloud):
    machines = watched(cloud)
    machines.refusal = "no room"
    instance = an_instance(cloud)
    cloud.call("StartInstance", InstanceId=instance.id)
    cloud.settle()
    machines.refusal = ""
    cloud.call("StartInstance", InstanceId=instance.id)
    cloud.settle()

    assert why(cloud, instance.id) == []


def test_tells_that_a_guest_does_not_go_on_though_its_machine_is_on(cloud):
    class Still(NoMachines):
        def why_still(self, instance):
            return "Its guest stands still for good. QEMU calls it internal-error."

    cloud.refit(machines=Still(cloud.folder / "run"))
    instance = an_instance(cloud, status=InstanceStatus.RUNNING, started_at=cloud.clock())
    assert why(cloud, instance.id) == []
    run(cloud, instance.id)

    (reason,) = why(cloud, instance.id)

    assert (reason["Action"], reason["State"]) == ("GuestStandsStill", "Failed")
    assert reason["Message"].endswith("QEMU calls it internal-error.")


def test_tells_that_a_machine_ended_by_itself(cloud):
    instance = an_instance(cloud, status=InstanceStatus.RUNNING, started_at=cloud.clock())
    run(cloud, instance.id)
    cloud.ports.machines.stop(instance.id, force=True)
    watch(cloud.ports)

    (reason,) = why(cloud, instance.id)

    assert (reason["Action"], reason["State"]) == ("MachineGone", "Failed")
    assert "ended by itself" in reason["Message"]


def test_tells_why_an_image_is_create_failed(cloud):
    image = cloud.call("CreateImage", InstanceId=an_instance(cloud).id)["ImageId"]
    cloud.ports.database.write(
        lambda tx: tx.execute(
            tasks.tasks.table.update().values(status="Failed", error_code="InternalError", error_message="A reason.")
        )
    )

    reasons = [one for one in why(cloud, image) if one["State"] == "Failed"]

    assert [(one["Action"], one["Code"], one["Message"]) for one in reasons] == [
        ("CreateImage", "InternalError", "A reason.")
    ]


def test_tells_why_an_image_is_create_failed_whose_task_nobody_has_any_more(cloud):
    image = an_image(cloud, status=ImageStatus.CREATE_FAILED, error_code="Gone", error_message="It is.").id

    (reason,) = why(cloud, image)

    assert (reason["TaskId"], reason["State"], reason["Code"], reason["Message"]) == ("", "Failed", "Gone", "It is.")


@pytest.mark.parametrize("consistency", ["quiesced", "crash-consistent", ""])
def test_tells_how_what_an_image_and_a_snapshot_hold_was_captured(cloud, consistency):
    image, snapshot = an_image(cloud, consistency=consistency), a_snapshot(cloud, consistency=consistency)

    for row in (image, snapshot):
        assert cloud.call("DescribeReasons", ResourceId=row.id)["Consistency"] == consistency


def test_tells_what_comes_first(cloud):
    instance = an_instance(cloud)
    first = a_task(cloud, action="StopInstance", resource=instance.id, lane=instance.id, listed=False)
    second = a_task(cloud, action="StartInstance", resource=instance.id, lane=instance.id, listed=False)

    waiting, begins = why(cloud, instance.id)

    assert (waiting["TaskId"], waiting["State"]) == (second.id, "Waiting")
    assert waiting["Message"] == f"StopInstance of {instance.id} ({first.id}) comes first."
    assert (begins["State"], begins["Message"]) == ("Waiting", "It is about to begin.")


def test_tells_what_is_waited_for_and_until_when(cloud):
    task = a_task(cloud)
    until = cloud.clock() + 30

    cloud.ports.database.write(lambda tx: tasks.postpone(tx, task, until, failed=True, message="It was in use."))

    (reason,) = why(cloud, task.resource)
    assert (reason["State"], reason["Message"], reason["Attempts"]) == ("Waiting", "It was in use.", 1)
    assert reason["NextAttempt"] > reason["Since"]
    shown = cloud.call("DescribeTaskAttribute", TaskId=task.id)["OperationProgressSet"]["OperationProgress"][0]
    assert (shown["ErrorCode"], shown["ErrorMsg"]) == ("", "")


def test_tells_how_far_a_task_is(cloud):
    task = a_task(cloud, owner="worker", lease_until=2e9, progress=37)

    (reason,) = why(cloud, task.id)

    assert (reason["State"], reason["Message"]) == ("Processing", "It is being done, and 37% is.")


def test_tells_that_transfers_wait_for_those_of_others(cloud):
    for n in range(transfers.TRANSFERS_AT_ONCE):
        a_task(cloud, lane=f"transfer:{n}:0", owner="worker", account=str(n), lease_until=cloud.clock() + 50)
    task = a_task(cloud, lane="transfer:mine:0")

    (reason,) = why(cloud, task.id)

    assert reason["Message"] == "As many imports and exports are under way as may be at once."


def test_tells_that_transfers_wait_for_room_on_a_full_disk(cloud, monkeypatch):
    transfer, other = a_task(cloud, lane=transfers.transfer_lanes(cloud.account)[0]), a_task(cloud)
    monkeypatch.setattr(cloud.ports.database, "is_room_given_up", lambda: True)

    ((transferring,), (doing,)) = why(cloud, transfer.id), why(cloud, other.id)

    assert transferring["State"] == "Waiting"
    assert transferring["Message"].startswith("The disk is full: it begins when there is room.")
    assert "disk is full" not in doing["Message"]


def test_tells_of_a_task_that_only_remembers_the_resource(cloud):
    disk = a_disk(cloud)
    a_task(cloud, action="CreateImage", objects=(disk.id,), listed=False)

    (reason,) = why(cloud, disk.id)

    assert reason["Action"] == "CreateImage"


@pytest.mark.parametrize("resource", ["%", "i-", "i-unknown", "d-bp131n0q38u3a4zi9p2k", "t-unknown"])
def test_refuses_what_there_is_not(cloud, resource):
    a_task(cloud)

    cloud.refuses("DescribeReasons", "InvalidResourceId.NotFound", 404, ResourceId=resource)


def test_tells_nothing_of_what_is_somebody_elses_or_elsewhere(tmp_path, sqlite):
    cloud = make_cloud(tmp_path, sqlite, deployment=Deployment(regions=(REGION, "cn-hangzhou")))
    task, disk = a_task(cloud), a_disk(cloud)

    for resource in (task.id, task.resource, disk.id):
        assert why(cloud, resource, RegionId=None) is not None
        cloud.refuses("DescribeReasons", "InvalidResourceId.NotFound", 404, ResourceId=resource, account=OTHER)
        elsewhere = {"ResourceId": resource, "RegionId": "cn-hangzhou"}
        cloud.refuses("DescribeReasons", "InvalidResourceId.NotFound", 404, elsewhere)
