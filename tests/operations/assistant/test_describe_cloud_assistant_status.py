"""DescribeCloudAssistantStatus, as a caller meets it."""

from __future__ import annotations

import queue

import pytest

from kiln.declare.products import ECS, ActionKey
from kiln.machines import sockets
from kiln.store.line import Hands
from tests.attended import Attended, Unseen
from tests.clouds import ACCOUNT, OTHER, REGION
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
    assert told[running]["SupportSessionManager"] is True


@pytest.fixture
def silent(cloud, running, place):
    """A running instance in which something listens, and says nothing."""
    listener = sockets.listen(place / "agent")
    cloud.refit(machines=Attended(cloud.folder / "run", {running: place}))
    assert Unseen(place).is_there()
    yield running
    listener.close()


class Asked:
    """DescribeCloudAssistantStatus as a server asks it, which does not wait: the jobs that it leaves, and what came."""

    def __init__(self, cloud):
        self.soon, self.later, self.answers = queue.SimpleQueue(), [], []
        hands = Hands(self.soon.put, later=lambda _, job: self.later.append(job))
        action = ActionKey(ECS, "DescribeCloudAssistantStatus")
        cloud.dispatcher.hand_in(ACCOUNT, action, {"RegionId": REGION}, self._tell, hands)

    def _tell(self, outcome_of):
        (told,) = outcome_of()["InstanceCloudAssistantStatusSet"]["InstanceCloudAssistantStatus"]
        self.answers.append(told["CloudAssistantStatus"])


@pytest.mark.slow
def test_waits_once_for_a_guest_that_does_not_answer(cloud, silent):
    """Each time it held one of the few threads of all requests for seconds."""
    (told,) = listed(cloud)

    assert told["CloudAssistantStatus"] == "false"
    assert Asked(cloud).answers == ["false"]  # Which is remembered, so nobody was waited for.


def test_holds_no_thread_while_a_guest_is_silent(cloud, silent):
    asked = Asked(cloud)
    assert asked.answers == []

    (moment,) = asked.later
    moment()

    assert asked.answers == ["false"]


@pytest.mark.slow
def test_is_answered_once_the_agent_has(cloud, attended):
    asked = Asked(cloud)
    assert asked.answers == []

    asked.soon.get(timeout=300)()
    for moment in asked.later:
        moment()

    assert asked.answers == ["true"]


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


@pytest.mark.parametrize("pages", [{}, {"MaxResults": 2}])
def test_tells_of_all_that_are_named_in_one_answer(cloud, pages):
    ids = [an_instance(cloud, system_disk=False).id for _ in range(12)]

    answer = cloud.call(
        "DescribeCloudAssistantStatus", {f"InstanceId.{n}": one for n, one in enumerate(ids, 1)}, **pages
    )

    told = answer["InstanceCloudAssistantStatusSet"]["InstanceCloudAssistantStatus"]
    assert {one["InstanceId"] for one in told} == set(ids)
    assert (answer["TotalCount"], answer["PageSize"], answer["NextToken"]) == (12, 12, "")
    assert len(listed(cloud, **pages)) == pages.get("MaxResults", 10)


def test_takes_no_more_instances_than_documented(cloud):
    many = {f"InstanceId.{n}": f"i-{n}" for n in range(1, 102)}

    cloud.refuses("DescribeCloudAssistantStatus", "InstanceIds.ExceedLimit", 403, many)
