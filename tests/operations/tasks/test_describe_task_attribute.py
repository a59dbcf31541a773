"""DescribeTaskAttribute, as a caller meets it."""

from __future__ import annotations

import pytest

from tests.clouds import OTHER, REGION
from tests.operations.tasks.agenda import a_task


def test_tells_how_far_a_task_is(cloud):
    task = a_task(cloud, objects=("system.raw", "data.raw"), progress=37, created_at=1_795_000_000.0)

    answer = cloud.call("DescribeTaskAttribute", TaskId=task.id)

    def progress(name):
        return {
            "ErrorCode": "", "ErrorMsg": "", "OperationStatus": "Processing",
            "RelatedItemSet": {"RelatedItem": [{"Name": "OSSObject", "Value": name}]},
        }  # fmt: skip

    assert answer == {
        "CreationTime": "2026-11-18T11:06Z", "FailedCount": 0, "FinishedTime": "", "RegionId": REGION,
        "OperationProgressSet": {"OperationProgress": [progress("system.raw"), progress("data.raw")]},
        "SuccessCount": 0, "SupportCancel": "true", "TaskAction": "ImportImage", "TaskId": task.id,
        "TaskProcess": "37%", "TaskStatus": "Processing", "TotalCount": 2,
    }  # fmt: skip


def test_tells_that_a_task_is_finished(cloud):
    task = a_task(cloud, status="Finished", progress=100, finished_at=1_795_000_060.0)

    answer = cloud.call("DescribeTaskAttribute", TaskId=task.id)

    assert (answer["TaskStatus"], answer["TaskProcess"], answer["SupportCancel"]) == ("Finished", "100%", "false")
    assert (answer["SuccessCount"], answer["FailedCount"]) == (1, 0)
    assert answer["FinishedTime"] == "2026-11-18T11:07Z"
    assert answer["OperationProgressSet"]["OperationProgress"][0]["OperationStatus"] == "Success"


def test_tells_why_a_task_failed(cloud):
    task = a_task(cloud, status="Failed", error_code="InvalidImageFormat.Malformed", error_message="It is an ISO.")

    answer = cloud.call("DescribeTaskAttribute", TaskId=task.id)

    (progress,) = answer["OperationProgressSet"]["OperationProgress"]
    assert (progress["ErrorCode"], progress["ErrorMsg"]) == ("InvalidImageFormat.Malformed", "It is an ISO.")
    assert (answer["SuccessCount"], answer["FailedCount"], progress["OperationStatus"]) == (0, 1, "Failed")


def test_refuses_a_task_that_there_is_not_for_the_caller(cloud):
    task, hidden = a_task(cloud), a_task(cloud, action="CreateImage", listed=False)

    cloud.refuses("DescribeTaskAttribute", "InvalidTaskId.NotFound", 400, TaskId="t-unknown")
    cloud.refuses("DescribeTaskAttribute", "InvalidTaskId.NotFound", 400, TaskId=hidden.id)
    cloud.refuses("DescribeTaskAttribute", "InvalidTaskId.NotFound", 400, TaskId=task.id, account=OTHER)


@pytest.mark.parametrize(
    ("code", "given"),
    [
        ("MissingParameter", {"RegionId": ""}),
        ("MissingParameter", {"TaskId": ""}),
        ("InvalidRegionId.NotFound", {"RegionId": "cn-nowhere"}),
    ],
)
def test_needs_a_region_and_a_task(cloud, code, given):
    cloud.refuses("DescribeTaskAttribute", code, 400, {"TaskId": "t-1", **given})
