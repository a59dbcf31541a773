"""DeleteCommand, as a caller meets it."""

from __future__ import annotations

from kiln.store.commands import commands
from kiln.store.tags import tags
from tests.clouds import OTHER
from tests.operations.assistant.test_create_command import create
from tests.reading import every, find


def test_removes_the_command_with_its_tags(cloud):
    made = create(cloud, **{"Tag.1.Key": "a"})

    cloud.call("DeleteCommand", CommandId=made)

    assert find(cloud, commands, id=made) is None
    assert every(cloud, tags, resource=made) == []


def test_leaves_what_was_invoked(cloud, running):
    made = create(cloud)
    invoke = cloud.call("InvokeCommand", {"InstanceId.1": running}, CommandId=made)["InvokeId"]

    cloud.call("DeleteCommand", CommandId=made)

    (told,) = cloud.call("DescribeInvocations", InvokeId=invoke)["Invocations"]["Invocation"]
    assert told["CommandId"] == made


def test_needs_a_command_of_the_caller(cloud):
    made = create(cloud)

    cloud.refuses("DeleteCommand", "InvalidCmdId.NotFound", 404, CommandId="c-none")
    cloud.refuses("DeleteCommand", "InvalidCmdId.NotFound", 404, CommandId=made, account=OTHER)
