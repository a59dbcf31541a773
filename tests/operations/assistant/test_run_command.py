"""RunCommand, as a caller meets it; the commands run by a real agent."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest

from kiln.declare.states import InstanceStatus, InvocationStatus
from kiln.operations.assistant.parts import running as steps
from kiln.store.commands import commands
from kiln.store.instances import instances
from kiln.store.invocations import results
from tests.attended import outcome
from tests.clouds import OTHER
from tests.dying import killed_at
from tests.reading import every, the
from tests.stock import an_instance


def run(cloud, instance, content, **more):
    given = {"Type": "RunShellScript", "CommandContent": content, "InstanceId.1": instance}
    return cloud.call("RunCommand", given | more)["InvokeId"]


def refused(cloud, code, status, params, **more):
    given = {"Type": "RunShellScript", "CommandContent": "true"}
    return cloud.refuses("RunCommand", code, status, given | params, **more)


@pytest.mark.slow
def test_runs_and_tells_how_it_ended(cloud, attended):
    result = outcome(cloud, run(cloud, attended, "echo out; echo err >&2"))

    assert (result["InvocationStatus"], result["InvokeRecordStatus"]) == ("Success", "Finished")
    assert (result["Output"], result["ExitCode"], result["Dropped"]) == ("out\nerr\n", 0, 0)
    assert (result["ErrorCode"], result["Repeats"], result["Username"]) == ("", 1, "root")
    assert result["StartTime"] <= result["FinishedTime"] != ""


@pytest.mark.slow
def test_tells_of_a_command_that_fails(cloud, attended):
    result = outcome(cloud, run(cloud, attended, "exit 5"))

    assert (result["InvocationStatus"], result["InvokeRecordStatus"]) == ("Failed", "Finished")
    assert (result["ExitCode"], result["ErrorCode"]) == (5, "ExitCodeNonzero")


@pytest.mark.slow
def test_takes_a_content_in_base64(cloud, attended):
    content = base64.b64encode(b"printf '\\377\\0'").decode()

    invoke = run(cloud, attended, content, ContentEncoding="Base64")

    outcome(cloud, invoke)
    assert base64.b64decode(the(cloud, results, invocation=invoke).output) == b"\xff\0"


@pytest.mark.slow
def test_puts_parameters_into_the_content(cloud, attended):
    content = "echo {{ Name }} {{ACS::InstanceId}} {{ACS::InvokeId}}"

    invoke = run(cloud, attended, content, EnableParameter=True, Parameters=json.dumps({"name": "Jack"}))

    assert outcome(cloud, invoke)["Output"] == f"Jack {attended} {invoke}\n"


@pytest.mark.slow
def test_is_invalid_where_the_guest_lacks_what_is_named(cloud, attended):
    user = outcome(cloud, run(cloud, attended, "true", Username="nobody-has-this-name"))
    directory = outcome(cloud, run(cloud, attended, "true", WorkingDir="/no/such/directory"))

    assert (user["InvocationStatus"], user["ErrorCode"]) == ("Invalid", "AccountNotExists")
    assert (directory["InvocationStatus"], directory["ErrorCode"]) == ("Invalid", "DirectoryNotExists")
    assert user["InvokeRecordStatus"] == "Failed"
    assert "ExitCode" not in user


@pytest.mark.slow
@pytest.mark.parametrize("point", ["noted", "begun", "recorded"])
def test_runs_once_and_tells_how_it_ended_over_a_kill(cloud, attended, tmp_path, point):
    invoke = run(cloud, attended, f"echo once >>{tmp_path}/count; sleep 1; echo done")
    (task,) = cloud.worker.claim(cloud.clock())
    _, job = cloud.worker.understand(task)

    with killed_at(f"errand.{point}"):
        steps.carry_out(job)
    cloud.clock.now += 100
    result = outcome(cloud, invoke)

    assert (result["InvocationStatus"], result["Output"]) == ("Success", "done\n")
    assert (tmp_path / "count").read_text() == "once\n"


@pytest.mark.slow
def test_is_interrupted_by_a_boot_of_the_guest(cloud, attended):
    invoke = run(cloud, attended, "sleep 3000")
    (task,) = cloud.worker.claim(cloud.clock())
    _, job = cloud.worker.understand(task)
    job.note(replace(job.facts, boot="of another day"))
    cloud.clock.now += 100

    result = outcome(cloud, invoke)

    assert (result["InvocationStatus"], result["ErrorCode"]) == ("Error", "ExecutionInterrupted")


def test_is_aborted_where_no_agent_is(cloud, running):
    result = outcome(cloud, run(cloud, running, "true"))

    assert (result["InvocationStatus"], result["ErrorCode"]) == ("Aborted", "ClientNotRunning")
    assert result["StartTime"] == ""


def test_is_aborted_where_the_machine_is_off_by_then(cloud, running):
    invoke = run(cloud, running, "true")
    (cloud.folder / "run" / running / "running").unlink()

    assert outcome(cloud, invoke)["ErrorCode"] == "InstanceNotRunning"


def test_is_aborted_where_the_instance_is_gone_by_then(cloud, running):
    invoke = run(cloud, running, "true")
    (cloud.folder / "run" / running / "running").unlink()
    cloud.ports.database.write(lambda tx: instances.delete(tx, id=running))

    assert outcome(cloud, invoke)["ErrorCode"] == "InstanceReleased"


def test_keeps_the_command_only_when_asked_to(cloud, running):
    run(cloud, running, "true")
    before = every(cloud, commands)
    given = {"Type": "RunShellScript", "CommandContent": "true", "InstanceId.1": running, "KeepCommand": True}

    answer = cloud.call("RunCommand", given, Name="kept")

    assert before == []
    assert the(cloud, commands, id=answer["CommandId"]).name == "kept"


def test_finds_instances_by_their_tags(cloud, running):
    cloud.call(
        "TagResources", {"ResourceType": "instance", "ResourceId.1": running, "Tag.1.Key": "a", "Tag.1.Value": "b"}
    )
    given = {"ResourceTag.1.Key": "a", "ResourceTag.1.Value": "b"}

    invoke = cloud.call("RunCommand", {"Type": "RunShellScript", "CommandContent": "true"} | given)["InvokeId"]

    assert [row.instance for row in every(cloud, results, invocation=invoke)] == [running]
    refused(cloud, "InvalidResourceTag.InstanceNotFound", 400, {"ResourceTag.1.Key": "c"})
    refused(cloud, "InvalidTag.Mismatch", 400, {"ResourceTag.1.Value": "c"})
    refused(cloud, "InvalidResourceTag.ConflictWithInstanceIds", 400, given | {"InstanceId.1": running})


def test_needs_running_instances_of_the_caller(cloud, running):
    stopped = an_instance(cloud).id
    theirs = an_instance(cloud, account=OTHER, status=InstanceStatus.RUNNING).id

    refused(cloud, "MissingParam.InstanceId", 400, {})
    refused(cloud, "InvalidInstance.NotMatch", 400, {"InstanceId.1": running, "InstanceId.2": stopped})
    refused(cloud, "InvalidInstance.NotFound", 404, {"InstanceId.1": theirs})
    refused(cloud, "InvalidInstance.NotFound", 404, {"InstanceId.1": "i-none"})


def test_runs_at_most_on_a_hundred_instances(cloud, running):
    cloud.call(
        "TagResources", {"ResourceType": "instance", "ResourceId.1": running, "Tag.1.Key": "a", "Tag.1.Value": "b"}
    )

    refused(cloud, "InstanceIds.ExceedLimit", 403, {f"InstanceId.{n}": f"i-{n}" for n in range(1, 102)})


@pytest.mark.parametrize("more", [{"RepeatMode": "Period"}, {"RepeatMode": "EveryReboot"}, {"RepeatMode": "DryRun"}])
def test_refuses_to_repeat(cloud, running, more):
    refused(cloud, "InvalidRepeatMode.NotFound", 404, {"InstanceId.1": running} | more)


@pytest.mark.parametrize(
    "more",
    [
        {"Frequency": "rate(5m)"},
        {"Timed": True},
        {"ContainerName": "web"},
        {"Launcher": "python3 -u"},
        {"OssOutputDelivery": "oss://bucket"},
        {"WindowsPasswordName": "secret"},
    ],
)
def test_refuses_by_name_what_it_does_not_do(cloud, running, more):
    error = refused(cloud, "InvalidParameter", 400, {"InstanceId.1": running} | more)

    assert next(iter(more)).lower() in str(error).lower()


@pytest.mark.parametrize(
    ("params", "code", "status"),
    [
        ({"CommandContent": "x" * (18 * 1024 + 1)}, "CmdContent.ExceedLimit", 403),
        ({"CommandContent": "no base64!", "ContentEncoding": "Base64"}, "CmdContent.DecodeError", 400),
        ({"Parameters": '{"a": "b"}'}, "Parameter.Disabled", 400),
        ({"EnableParameter": True, "Parameters": "[]"}, "InvalidParameter.Parameters", 400),
        ({"EnableParameter": True, "Parameters": "{"}, "InvalidParameter.Parameters", 400),
        ({"EnableParameter": True, "Parameters": '{"a": "1", "a": "2"}'}, "InvalidParameter.Parameters", 400),
        ({"EnableParameter": True, "Parameters": '{"a": NaN}'}, "InvalidParameter.Parameters", 400),
        ({"EnableParameter": True, "Parameters": '{"": "b"}'}, "InvalidParameter.Parameters", 400),
        ({"EnableParameter": True, "Parameters": '{"a": "b"}'}, "Parameter.NotMatched", 403),
        ({"EnableParameter": True, "CommandContent": "{{a}}"}, "Parameter.MissingValue", 400),
        (
            {"EnableParameter": True, "CommandContent": "{{a}}", "Parameters": '{"a": "1", "A": "2"}'},
            "ParameterKey.Duplicate",
            403,
        ),
        (
            {"EnableParameter": True, "Parameters": json.dumps({str(n): "" for n in range(11)})},
            "ParameterCount.ExceedLimit",
            403,
        ),
        ({"EnableParameter": True, "Parameters": json.dumps({"k" * 65: ""})}, "ParameterKey.ExceedLimit", 403),
        (
            {"EnableParameter": True, "CommandContent": "{{a}}", "Parameters": json.dumps({"a": "x" * 20_000})},
            "CmdContent.ExceedLimit",
            403,
        ),
        ({"EnableParameter": True, "CommandContent": "{{}}"}, "CmdParam.EmptyKey", 400),
        ({"EnableParameter": True, "CommandContent": "{{a b}}"}, "CmdParam.InvalidParamName", 400),
        ({"EnableParameter": True, "CommandContent": "{{acs::none}}"}, "CmdParam.InvalidParamName", 400),
        ({"EnableParameter": True, "CommandContent": "{{" + "a" * 65 + "}}"}, "CmdParamName.ExceedLimit", 403),
        (
            {"EnableParameter": True, "CommandContent": "".join(f"{{{{a{n}}}}}" for n in range(21))},
            "CmdParamCount.ExceedLimit",
            403,
        ),
        ({"ResourceGroupId": "rg-none"}, "InvalidResourceGroup.NotFound", 404),
        ({"Tag.1.Value": "b"}, "InvalidTagKey.Malformed", 400),
        ({"Tag.1.Key": "a", "Tag.2.Key": "a"}, "Duplicate.TagKey", 400),
    ],
)
def test_refuses_what_is_wrong_with_a_command(cloud, running, params, code, status):
    refused(cloud, code, status, {"InstanceId.1": running} | params)


def test_keeps_no_more_commands_than_it_may(cloud, running):
    deployment = cloud.ports.deployment
    cloud.refit(deployment=replace(deployment, quotas=replace(deployment.quotas, commands=0)))

    refused(cloud, "CmdCount.ExceedQuota", 403, {"InstanceId.1": running, "KeepCommand": True})


def test_is_told_of_as_pending_until_it_begins(cloud, running):
    invoke = run(cloud, running, "true")

    assert the(cloud, results, invocation=invoke).status == InvocationStatus.PENDING


def test_says_nothing_of_the_content_in_its_task(cloud, running):
    run(cloud, running, "echo secret-word")

    (task,) = cloud.open_tasks()
    assert "secret-word" not in repr(task)
    assert base64.b64encode(b"echo secret-word").decode() not in repr(task)


def test_a_token_is_of_one_request(cloud, running):
    assert len({run(cloud, running, "true", ClientToken="t-1") for _ in range(2)}) == 1

    given = {"Type": "RunShellScript", "CommandContent": "ZmFsc2U=", "InstanceId.1": running, "ClientToken": "t-1"}
    cloud.refuses("RunCommand", "IdempotentParameterMismatch", 403, given)
