"""DescribeInvocations, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.declare.states import InvocationStatus as S
from kiln.store.invocations import summed
from tests.attended import outcome
from tests.clouds import OTHER
from tests.operations.assistant.test_run_command import run


def listed(cloud, params=None, **more):
    return cloud.call("DescribeInvocations", params, **more)["Invocations"]["Invocation"]


@pytest.mark.slow
def test_tells_what_was_run_and_how_it_went(cloud, attended):
    invoke = run(cloud, attended, "echo hi", Name="greet", Username="root")
    outcome(cloud, invoke)

    (told,) = listed(cloud, InvokeId=invoke, IncludeOutput=True, ContentEncoding="PlainText")

    assert (told["CommandContent"], told["CommandName"]) == ("echo hi", "greet")
    assert (told["InvocationStatus"], told["InvokeStatus"], told["RepeatMode"]) == ("Success", "Finished", "Once")
    (instance,) = told["InvokeInstances"]["InvokeInstance"]
    assert (instance["Output"], instance["ExitCode"], instance["InstanceInvokeStatus"]) == ("hi\n", 0, "Finished")


@pytest.mark.slow
def test_tells_outputs_only_when_asked_to(cloud, attended):
    invoke = run(cloud, attended, "echo hi")
    outcome(cloud, invoke)

    (told,) = listed(cloud, InvokeId=invoke)

    assert told["InvokeInstances"]["InvokeInstance"][0]["Output"] == ""


@pytest.mark.parametrize(
    ("params", "is_found"),
    [
        ({"CommandName": "gr*"}, True),
        ({"CommandName": "g"}, False),
        ({"CommandType": "RunShellScript"}, True),
        ({"CommandId": "c-other"}, False),
        ({"InstanceId": "i-other"}, False),
        ({"InvokeStatus": "Pending"}, True),
        ({"InvokeStatus": "Finished"}, False),
        ({"InvokeStatus": "Failed"}, False),
        ({"RepeatMode": "Once"}, True),
        ({"RepeatMode": "Period"}, False),
        ({"Timed": "true"}, False),
        ({"ResourceGroupId": "rg-tests"}, True),
        ({"ResourceGroupId": "rg-other"}, False),
        ({"Tag.1.Key": "a"}, True),
        ({"Tag.1.Key": "b"}, False),
    ],
)
def test_shows_what_meets_the_filters(cloud, running, params, is_found):
    invoke = run(cloud, running, "true", Name="greet", ResourceGroupId="rg-tests", **{"Tag.1.Key": "a"})

    assert [one["InvokeId"] for one in listed(cloud, params)] == ([invoke] if is_found else [])


def test_shows_those_on_an_instance(cloud, running):
    invoke = run(cloud, running, "true")

    assert [one["InvokeId"] for one in listed(cloud, InstanceId=running)] == [invoke]


def test_shows_no_files_and_nobody_elses(cloud, running):
    cloud.call("SendFile", {"InstanceId.1": running}, Name="a", TargetDir="/tmp", Content="x")
    run(cloud, running, "true")

    assert [one["CommandContent"] for one in listed(cloud, ContentEncoding="PlainText")] == ["true"]
    assert listed(cloud, account=OTHER) == []


def test_a_tag_to_look_for_needs_a_key(cloud):
    cloud.refuses("DescribeInvocations", "InvalidTag.Mismatch", 400, {"Tag.1.Value": "a"})


@pytest.mark.parametrize(
    ("statuses", "sum_"),
    [
        ([S.SUCCESS, S.SUCCESS], "Success"),
        ([S.SUCCESS, S.TERMINATED], "Success"),
        ([S.SUCCESS, S.FAILED], "PartialFailed"),
        ([S.ABORTED, S.TERMINATED], "Failed"),
        ([S.TERMINATED, S.CANCELLED], "Stopped"),
        ([S.SUCCESS, S.RUNNING], "Running"),
        ([S.PENDING, S.RUNNING], "Pending"),
        ([S.STOPPING, S.PENDING], "Stopping"),
    ],
)
def test_sums_up_the_instances(statuses, sum_):
    assert summed(statuses) == sum_
