"""StopInvocation, as a caller meets it."""

from __future__ import annotations

import threading

import pytest

from kiln.store.invocations import results
from tests.attended import outcome
from tests.clouds import OTHER
from tests.operations.assistant.test_run_command import run
from tests.reading import the


def test_cancels_what_has_not_begun(cloud, running):
    invoke = run(cloud, running, "true")

    cloud.call("StopInvocation", InvokeId=invoke)
    stopping = the(cloud, results, invocation=invoke).status
    result = outcome(cloud, invoke)

    assert stopping == "Stopping"
    assert (result["InvocationStatus"], result["InvokeRecordStatus"]) == ("Cancelled", "Stopped")
    assert result["StopTime"] != ""


def test_stops_nothing_by_an_empty_list(cloud, running):
    invoke = run(cloud, running, "true")

    cloud.call("StopInvocation", {"InstanceId": "[]"}, InvokeId=invoke)

    assert the(cloud, results, invocation=invoke).status == "Pending"


@pytest.mark.slow
def test_ends_what_runs(cloud, attended):
    invoke = run(cloud, attended, "echo begun; sleep 3000")
    (task,) = cloud.worker.claim(cloud.clock())
    attending = threading.Thread(target=cloud.worker.attempt, args=[task])
    attending.start()
    while the(cloud, results, invocation=invoke).status == "Pending":
        attending.join(0.02)

    cloud.call("StopInvocation", {"InstanceId.1": attended}, InvokeId=invoke)
    attending.join()
    result = outcome(cloud, invoke)

    assert (result["InvocationStatus"], result["InvokeRecordStatus"]) == ("Terminated", "Stopped")
    assert result["ErrorCode"] == ""
    assert "ExitCode" not in result


def test_leaves_alone_what_has_ended(cloud, running):
    invoke = run(cloud, running, "true")
    outcome(cloud, invoke)
    before = the(cloud, results, invocation=invoke)

    cloud.call("StopInvocation", InvokeId=invoke)

    assert the(cloud, results, invocation=invoke) == before


def test_needs_an_invocation_of_the_caller(cloud, running):
    invoke = run(cloud, running, "true")

    cloud.refuses("StopInvocation", "InvalidInvokeId.NotFound", 404, InvokeId="t-none")
    cloud.refuses("StopInvocation", "InvalidInvokeId.NotFound", 404, InvokeId=invoke, account=OTHER)
    cloud.refuses("StopInvocation", "InvalidInstanceId.NotFound", 404, {"InstanceId.1": "i-other"}, InvokeId=invoke)


def test_stops_no_file(cloud, running):
    sent = cloud.call("SendFile", {"InstanceId.1": running}, Name="a", TargetDir="/tmp", Content="x")["InvokeId"]

    cloud.refuses("StopInvocation", "InvalidInvokeId.NotFound", 404, InvokeId=sent)
