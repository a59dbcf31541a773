"""DescribeCloudAssistantStatus, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.machines import sockets
from tests.attended import Attended, Unseen
from tests.clouds import OTHER
from tests.operations.assistant.test_run_command import run
from tests.stock import an_instance


def listed(cloud, params=None, **more):
    answer = cloud.call("DescribeCloudAssistantStatus", params, **more)
    return answer["InstanceCloudAssistantStatusSet"]["InstanceCloudAssistantStatus"]


@pytest.mark.slow
def test_is_what_the_agent_says(cloud, attended):
    (told,) = listed(cloud)

    assert (told["InstanceId"], told["CloudAssistantStatus"]) == (attended, "true")
    assert told["CloudAssistantVersion"][0].isdigit()
    assert told["LastHeartbeatTime"] != ""


def test_is_false_where_no_agent_is(cloud, running):
    stopped = an_instance(cloud).id

    told = {one["InstanceId"]: one for one in listed(cloud)}

    assert {one["CloudAssistantStatus"] for one in told.values()} == {"false"}
    assert told.keys() == {running, stopped}
    assert told[running]["CloudAssistantVersion"] == ""


@pytest.mark.slow
def test_waits_for_nobody_who_does_not_answer(cloud, running, place):
    listener = sockets.listen(place / "agent")
    cloud.refit(machines=Attended(cloud.folder / "run", {running: place}))

    (told,) = listed(cloud)
    listener.close()

    assert Unseen(place).is_there()
    assert told["CloudAssistantStatus"] == "false"


def test_tells_how_much_was_asked(cloud, running):
    run(cloud, running, "true")

    (told,) = listed(cloud)

    assert (told["InvocationCount"], told["ActiveTaskCount"]) == (1, 1)
    assert told["LastInvokedTime"] != ""


def test_shows_what_meets_the_filters(cloud, running):
    windows = an_instance(cloud, os_type="windows").id

    assert [one["InstanceId"] for one in listed(cloud, OSType="Linux")] == [running]
    assert [(one["InstanceId"], one["OSType"]) for one in listed(cloud, OSType="Windows")] == [(windows, "Windows")]
    assert [one["InstanceId"] for one in listed(cloud, {"InstanceId.1": running})] == [running]
    assert listed(cloud, account=OTHER) == []


def test_takes_no_more_instances_than_documented(cloud):
    many = {f"InstanceId.{n}": f"i-{n}" for n in range(1, 102)}

    cloud.refuses("DescribeCloudAssistantStatus", "InstanceIds.ExceedLimit", 403, many)
