"""InvokeCommand, as a caller meets it; what becomes of an invocation is in test_run_command."""

from __future__ import annotations

import base64
import json

import pytest

from kiln.declare.states import InstanceStatus
from kiln.store.commands import commands
from kiln.store.invocations import invocations
from tests.attended import outcome
from tests.clouds import OTHER
from tests.operations.assistant.test_create_command import create
from tests.reading import the
from tests.stock import an_instance


def invoke(cloud, command, instance, **more):
    return cloud.call("InvokeCommand", {"InstanceId.1": instance, "CommandId": command} | more)["InvokeId"]


@pytest.mark.slow
def test_runs_the_command_that_is_kept(cloud, attended):
    command = create(cloud, EnableParameter=True)

    result = outcome(cloud, invoke(cloud, command, attended, Parameters=json.dumps({"name": "Jack"})))

    assert (result["Output"], result["CommandId"]) == ("Jack\n", command)
    assert the(cloud, commands, id=command).invoked == 1


def test_takes_directory_and_time_in_place_of_the_commands(cloud, running):
    command = create(cloud, WorkingDir="/srv", Timeout=600)

    own = the(cloud, invocations, id=invoke(cloud, command, running))
    asked = the(cloud, invocations, id=invoke(cloud, command, running, WorkingDir="/tmp", Timeout=20, Username="app"))

    assert (own.working_dir, own.timeout_s) == ("/srv", 600)
    assert (asked.working_dir, asked.timeout_s, asked.username) == ("/tmp", 20, "app")
    assert base64.b64decode(asked.content) == b"echo {{name}}"


@pytest.mark.parametrize(
    ("more", "code", "status"),
    [
        ({"CommandId": "c-none"}, "InvalidCmdId.NotFound", 404),
        ({"InstanceId.1": "i-none"}, "InvalidInstance.NotFound", 404),
        ({"InstanceId.1": ""}, "MissingParam.InstanceId", 400),
        ({"ResourceTag.1.Key": "a"}, "InvalidResourceTag.ConflictWithInstanceIds", 400),
        ({"InstanceId.1": "", "ResourceTag.1.Key": "a"}, "InvalidResourceTag.InstanceNotFound", 400),
        ({"InstanceId.1": "", "ResourceTag.1.Value": "a"}, "InvalidTag.Mismatch", 400),
        ({"RepeatMode": "NextRebootOnly"}, "InvalidRepeatMode.NotFound", 404),
        ({"Parameters": "{}x"}, "InvalidParameter.Parameters", 400),
        ({"Parameters": json.dumps({str(n): "" for n in range(11)})}, "ParameterCount.ExceedLimit", 403),
        ({"Parameters": json.dumps({"k" * 65: ""})}, "ParameterKey.ExceedLimit", 403),
        ({"Parameters": '{"name": "1", "NAME": "2"}'}, "ParameterKey.Duplicate", 403),
        ({"Parameters": '{"other": "1"}'}, "Parameter.NotMatched", 403),
        ({"Parameters": json.dumps({"name": "x" * 20_000})}, "CmdContent.ExceedLimit", 403),
        ({}, "Parameter.MissingValue", 400),
        ({"Parameters": '{"name": "1"}', "ResourceGroupId": "rg-none"}, "InvalidResourceGroup.NotFound", 404),
        ({"Tag.1.Value": "b"}, "InvalidTagKey.Malformed", 400),
        ({"Tag.1.Key": "a", "Tag.2.Key": "a"}, "Duplicate.TagKey", 400),
    ],
)
def test_refuses_what_is_wrong_with_it(cloud, running, more, code, status):
    command = create(cloud, EnableParameter=True)
    given = {"CommandId": command, "InstanceId.1": running} | more
    if "InstanceId.1" in more or "ResourceTag.1.Key" in more:
        given["Parameters"] = '{"name": "1"}'
    cloud.refuses("InvokeCommand", code, status, {name: value for name, value in given.items() if value})


def test_gives_no_parameters_to_a_command_without(cloud, running):
    command = create(cloud)

    cloud.refuses(
        "InvokeCommand", "Parameter.Disabled", 400, {"InstanceId.1": running}, CommandId=command, Parameters='{"a":"b"}'
    )


def test_needs_running_instances(cloud):
    command, stopped = create(cloud), an_instance(cloud).id
    windows = an_instance(cloud, status=InstanceStatus.RUNNING, os_type="windows").id

    for instance in (stopped, windows):
        cloud.refuses("InvokeCommand", "InvalidInstance.NotMatch", 400, {"InstanceId.1": instance}, CommandId=command)


def test_needs_a_command_of_the_caller(cloud, running):
    command = create(cloud)

    cloud.refuses(
        "InvokeCommand", "InvalidCmdId.NotFound", 404, {"InstanceId.1": running}, CommandId=command, account=OTHER
    )


def test_runs_at_most_on_a_hundred_instances(cloud):
    command = create(cloud)
    many = {f"InstanceId.{n}": f"i-{n}" for n in range(1, 102)}

    cloud.refuses("InvokeCommand", "InstanceIds.ExceedLimit", 403, many, CommandId=command)


def test_a_token_is_of_one_request(cloud, running):
    command, other = create(cloud), create(cloud, Name="other")
    assert invoke(cloud, command, running, ClientToken="t-1") == invoke(cloud, command, running, ClientToken="t-1")

    given = {"InstanceId.1": running, "CommandId": other, "ClientToken": "t-1"}
    cloud.refuses("InvokeCommand", "IdempotentParameterMismatch", 403, given)
