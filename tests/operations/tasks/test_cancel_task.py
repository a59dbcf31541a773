"""CancelTask, as a caller meets it; what cancelling does is told by the tests of what is cancelled."""

from __future__ import annotations

import pytest

from kiln.store.tasks import POSTPONED_AT_MOST_S, tasks
from tests.clouds import OTHER
from tests.operations.tasks.agenda import a_task


def test_asks_for_the_end_of_a_task_as_often_as_one_likes(cloud):
    task = a_task(cloud)

    assert cloud.call("CancelTask", TaskId=task.id) == {}
    assert cloud.call("CancelTask", TaskId=task.id) == {}

    with cloud.ports.database.read() as tx:
        assert tasks.find(tx, id=task.id).cancel_requested


def test_ends_the_waiting_of_a_task(cloud):
    first = a_task(cloud, lane="transfer-0")
    second = a_task(cloud, lane="transfer-0")
    third = a_task(cloud, not_before=cloud.clock() + POSTPONED_AT_MOST_S / 2)
    assert [task.id for task in cloud.worker.claim(cloud.clock())] == [first.id]

    cloud.call("CancelTask", TaskId=second.id)
    cloud.call("CancelTask", TaskId=third.id)

    assert [task.id for task in cloud.worker.claim(cloud.clock())] == [second.id, third.id]


@pytest.mark.parametrize("status", ["Finished", "Failed"])
def test_refuses_a_task_that_has_ended(cloud, status):
    task = a_task(cloud, status=status)

    cloud.refuses("CancelTask", "InvalidTaskId.IncorrectTaskStatus", 403, TaskId=task.id)


def test_refuses_a_task_that_there_is_not_for_the_caller(cloud):
    task, hidden = a_task(cloud), a_task(cloud, action="CreateImage", listed=False)

    cloud.refuses("CancelTask", "InvalidTaskId.NotFound", 400, TaskId="t-unknown")
    cloud.refuses("CancelTask", "InvalidTaskId.NotFound", 400, TaskId=hidden.id)
    cloud.refuses("CancelTask", "InvalidTaskId.NotFound", 400, TaskId=task.id, account=OTHER)


@pytest.mark.parametrize(
    ("code", "given"),
    [
        ("MissingParameter", {"RegionId": ""}),
        ("MissingParameter", {"TaskId": ""}),
        ("InvalidRegionId.NotFound", {"RegionId": "cn-nowhere"}),
    ],
)
def test_needs_a_region_and_a_task(cloud, code, given):
    cloud.refuses("CancelTask", code, 400, {"TaskId": "t-1", **given})
