"""DescribeTasks, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.store.transfers import transfer_lanes
from tests.clouds import OTHER, REGION
from tests.operations.tasks.agenda import a_task
from tests.stock import an_instance


def listed(cloud, params=None, /, **more):
    """The IDs in the answer, in its order."""
    return [task["TaskId"] for task in cloud.call("DescribeTasks", params, **more)["TaskSet"]["Task"]]


class TestTheAnswer:
    def test_tells_all_of_a_task(self, cloud):
        task = a_task(cloud, created_at=1_795_000_000.0)

        answer = cloud.call("DescribeTasks")

        (one,) = answer.pop("TaskSet")["Task"]
        assert one == {
            "CreationTime": "2026-11-18T11:06Z", "FinishedTime": "", "ResourceId": task.resource,
            "SupportCancel": "true", "TaskAction": "ImportImage", "TaskId": task.id, "TaskStatus": "Processing",
        }  # fmt: skip
        assert answer == {"PageNumber": 1, "PageSize": 10, "RegionId": REGION, "TotalCount": 1}

    @pytest.mark.parametrize("status", ["Finished", "Failed"])
    def test_tells_when_a_task_ended(self, cloud, status):
        a_task(cloud, status=status, finished_at=1_795_000_060.0)

        (one,) = cloud.call("DescribeTasks")["TaskSet"]["Task"]

        assert (one["FinishedTime"], one["SupportCancel"]) == ("2026-11-18T11:07Z", "false")

    def test_is_an_empty_list_when_there_is_nothing(self, cloud):
        answer = cloud.call("DescribeTasks")

        assert answer["TaskSet"] == {"Task": []}
        assert answer["TotalCount"] == 0

    def test_shows_nothing_of_another_account_and_no_work_of_other_operations(self, cloud):
        task = a_task(cloud)
        cloud.call("CreateImage", InstanceId=an_instance(cloud).id)

        assert listed(cloud) == [task.id]
        assert listed(cloud, TaskIds=task.id, account=OTHER) == []

    def test_says_that_a_transfer_waits_for_room_on_a_full_disk(self, cloud, monkeypatch):
        lane, _ = transfer_lanes(cloud.account)
        begun = a_task(cloud, owner="worker", lease_until=cloud.clock() + 50, lane=lane)
        behind, other = a_task(cloud, lane=transfer_lanes(cloud.account)[1]), a_task(cloud)
        monkeypatch.setattr(cloud.ports.database, "is_room_given_up", lambda: True)

        shown = {one["TaskId"]: one["TaskStatus"] for one in cloud.call("DescribeTasks")["TaskSet"]["Task"]}

        assert shown == {begun.id: "Processing", behind.id: "Waiting", other.id: "Processing"}
        told = cloud.call("DescribeTaskAttribute", TaskId=behind.id)
        (disk,) = told["OperationProgressSet"]["OperationProgress"]
        assert (told["TaskStatus"], disk["OperationStatus"]) == ("Waiting", "Waiting")


class TestFilters:
    def test_takes_ids_separated_by_commas(self, cloud):
        one, _, three = a_task(cloud), a_task(cloud), a_task(cloud)

        assert listed(cloud, TaskIds=f"{one.id},{three.id},t-unknown") == [three.id, one.id]

    def test_takes_at_most_a_hundred_ids(self, cloud):
        cloud.refuses("DescribeTasks", "InvalidParameter", 400, TaskIds=",".join(f"t-{n}" for n in range(101)))

    def test_takes_an_action(self, cloud):
        task = a_task(cloud, action="ExportImage")
        a_task(cloud)

        assert listed(cloud, TaskAction="ExportImage") == [task.id]
        assert listed(cloud, TaskAction="RedeployInstance") == []

    def test_takes_a_status_and_makes_nothing_of_others(self, cloud):
        done, open_ = a_task(cloud, status="Finished"), a_task(cloud)

        assert listed(cloud, TaskStatus="Finished") == [done.id]
        assert listed(cloud, TaskStatus="Deleted") == [open_.id, done.id]

    def test_takes_times_of_creation(self, cloud):
        old, new = a_task(cloud, created_at=1_794_000_000.0), a_task(cloud, created_at=1_796_000_000.0)

        assert listed(cloud, StartTime="2026-11-18T11:06:40Z") == [new.id]
        assert listed(cloud, EndTime="2026-11-18T11:06:40Z") == [old.id]
        assert listed(cloud, StartTime="2026-11-18T11:06Z", EndTime="2026-11-18T11:07Z") == []

    @pytest.mark.parametrize("parameter", ["StartTime", "EndTime"])
    def test_refuses_what_is_no_time(self, cloud, parameter):
        cloud.refuses("DescribeTasks", "InvalidParameter", 400, {parameter: "yesterday"})

    def test_takes_resources(self, cloud):
        one, two = a_task(cloud, resource="m-one"), a_task(cloud, resource="m-two")
        a_task(cloud)

        assert listed(cloud, {"ResourceIds.1": "m-one", "ResourceIds.2": "m-two"}) == [two.id, one.id]


def test_comes_in_pages_newest_first(cloud):
    ids = [a_task(cloud).id for _ in range(3)][::-1]

    pages = [cloud.call("DescribeTasks", PageNumber=n, PageSize=2) for n in (1, 2)]

    assert [[task["TaskId"] for task in page["TaskSet"]["Task"]] for page in pages] == [ids[:2], ids[2:]]
    assert [page["TotalCount"] for page in pages] == [3, 3]


@pytest.mark.parametrize(
    ("code", "given"),
    [("MissingParameter", {"RegionId": ""}), ("InvalidRegionId.NotFound", {"RegionId": "cn-nowhere"})],
)
def test_needs_a_region_that_there_is(cloud, code, given):
    cloud.refuses("DescribeTasks", code, 400, given)
