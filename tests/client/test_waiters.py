from __future__ import annotations

import pytest

from kiln.client import waiters
from kiln.client.waiters import WaitFailed, WaitTooLong
from kiln.declare.states import MOVES, RESTING


def images(*states: str) -> list:
    """Answers of DescribeImages, one for each state; an empty one for no image."""
    return [
        (
            200,
            {
                "Images": {"Image": [{"ImageId": "m-1", "Status": s, "Progress": f"{n}0%"}] if s else []},
                "TotalCount": 1,
            },
        )
        for n, s in enumerate(states)
    ]


def instances(*states: str) -> list:
    return [(200, {"Instances": {"Instance": [{"InstanceId": "i-1", "Status": s}]}, "NextToken": ""}) for s in states]


def test_waits_for_a_state_and_shows_the_way(stage):
    stage.script = images("Creating", "Creating", "Available")
    seen = []

    found = waiters.wait(stage.client(), "image", "m-1", "Available", progress=lambda n, s: seen.append((n, s)))

    assert found is not None
    assert found["ImageId"] == "m-1"
    assert seen == [(0, "Creating"), (10, "Creating"), (20, "Available")]


def test_asks_for_images_in_every_state(stage):
    stage.script = images("Available")

    waiters.find(stage.client(), "image", "m-1")

    assert (stage.asked()[0]["ImageId"], stage.asked()[0]["Status"]) == ("m-1", "ALL")


def test_asks_for_an_instance_by_a_packed_list(stage):
    stage.script = instances("Running")

    waiters.find(stage.client(), "instance", "i-1")

    assert stage.asked()[0]["InstanceIds"] == '["i-1"]'


def test_ends_when_the_resource_has_failed(stage):
    stage.script = [*images("Creating", "CreateFailed"), (404, {"Code": "InvalidAction.NotFound", "Message": "no"})]

    with pytest.raises(WaitFailed, match="image m-1 is CreateFailed and will not be Available"):
        waiters.wait(stage.client(), "image", "m-1", "Available")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((200, {"Reasons": {"Reason": [{"State": "Failed", "Code": "ServiceUnavailable", "Message": "No QEMU."}]}}),
         ": ServiceUnavailable: No QEMU."),
        ((200, {"Reasons": {"Reason": [{"State": "Waiting", "Code": "", "Message": "It is about to begin."}]}}), ""),
        ((404, {"Code": "InvalidAction.NotFound", "Message": "no such action"}), ""),
        ((500, {"Code": "InternalError", "Message": "ours"}), ""),
    ],
)  # fmt: skip
def test_tells_why_where_the_service_can(stage, answer, told):
    stage.script = [*images("CreateFailed"), answer, *[answer] * 5]

    with pytest.raises(WaitFailed) as failed:
        waiters.wait(stage.client(), "image", "m-1", "Available")

    assert str(failed.value) == f"image m-1 is CreateFailed and will not be Available{told}"


def test_tells_what_to_do_about_what_no_action_declares(stage):
    reason = {"Action": "CreateImage", "State": "Failed", "Code": "ServiceUnavailable"}
    reason["Message"] = "There is no room left in the pool: v-1"
    stage.script = [*images("CreateFailed"), (200, {"Reasons": {"Reason": [reason]}})]

    with pytest.raises(WaitFailed) as failed:
        waiters.wait(stage.client(), "image", "m-1", "Available")

    assert "`kiln status`" in failed.value.hint


def test_ends_when_the_resource_is_gone(stage):
    stage.script = images("Creating", "")

    with pytest.raises(WaitFailed, match="image m-1 is gone"):
        waiters.wait(stage.client(), "image", "m-1", "Available")


def test_waits_until_a_resource_is_gone(stage):
    stage.script = images("Available", "Available", "")

    assert waiters.wait(stage.client(), "image", "m-1", None) is None


def test_ends_when_the_time_is_over(stage):
    stage.script = images("Creating")

    with pytest.raises(WaitTooLong, match="image m-1 is still Creating"):
        waiters.wait(stage.client(), "image", "m-1", "Available", timeout_s=-1)


def test_passes_through_a_state_in_which_a_resource_may_rest(stage):
    stage.script = instances("Pending", "Stopped", "Starting", "Running")

    found = waiters.wait(stage.client(), "instance", "i-1", "Running")

    assert found is not None
    assert found["Status"] == "Running"


def snapshots(*states: str) -> list:
    rows = [{"SnapshotId": "s-1", "Status": state, "Progress": "100%"} for state in states]
    return [(200, {"Snapshots": {"Snapshot": [row]}, "NextToken": ""}) for row in rows]


def tasks(*states: str) -> list:
    return [(200, {"TaskStatus": state, "TaskProcess": "100%"}) for state in states]


@pytest.mark.parametrize(
    ("noun", "answers", "until"),
    [
        ("image", images("Available", "Available"), "Creating"),
        ("image", images("Deprecated", "Deprecated"), "Available"),
        ("snapshot", snapshots("accomplished", "accomplished"), "progressing"),
        ("instance", instances("Stopped", "Stopped"), "Running"),
        ("task", tasks("Finished", "Finished"), "Failed"),
    ],
)
def test_ends_when_the_resource_rests_in_another_state(stage, monkeypatch, noun, answers, until):
    monkeypatch.setattr(waiters, "RESTING_S", 0.0)
    stage.script = [*answers, *[(404, {"Code": "InvalidAction.NotFound", "Message": "no"})] * 5]

    with pytest.raises(WaitFailed, match=f"and will not be {until}"):
        waiters.wait(stage.client(), noun, f"{noun[0]}-1", until)


@pytest.mark.parametrize("noun", waiters.NOUNS)
def test_knows_of_each_noun_where_it_rests(noun):
    known = {*waiters.NOUNS[noun].resting, *waiters.NOUNS[noun].failed}
    (status,) = (kind for kind in MOVES if kind.__name__.lower() == f"{noun}status")
    reached = {*MOVES[status], *(after for some in MOVES[status].values() for after in some)}

    assert known == reached & RESTING


def test_tells_why_a_task_failed(stage):
    step = {"ErrorCode": "InvalidImageFormat.Malformed", "ErrorMsg": "The file is cut short."}
    answer = {
        "TaskStatus": "Failed",
        "TaskAction": "ImportImage",
        "OperationProgressSet": {"OperationProgress": [step]},
    }
    stage.script = [(200, answer)]

    with pytest.raises(WaitFailed, match=r"InvalidImageFormat.Malformed: The file is cut short") as failed:
        waiters.wait(stage.client(), "task", "t-1", "Finished")

    assert failed.value.hint == stage.client().catalogue.hint("ImportImage", "InvalidImageFormat.Malformed", 0)
    assert failed.value.hint


def test_waits_until_what_has_failed_is_gone(stage):
    stage.script = images("CreateFailed", "CreateFailed", "")

    assert waiters.wait(stage.client(), "image", "m-1", None) is None
