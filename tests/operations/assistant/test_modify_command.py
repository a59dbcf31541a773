"""ModifyCommand, as a caller meets it."""

from __future__ import annotations

from kiln.store.commands import commands
from tests.clouds import OTHER
from tests.operations.assistant.test_create_command import CONTENT, create
from tests.reading import the


def test_changes_what_is_given_alone(cloud):
    made = create(cloud, Description="of disks", WorkingDir="/srv")

    cloud.call("ModifyCommand", CommandId=made, Name="other", Timeout=120, WorkingDir="")

    row = the(cloud, commands, id=made)
    assert (row.name, row.timeout_s, row.working_dir, row.description) == ("other", 120, "", "of disks")
    assert row.content == CONTENT


def test_changes_nothing_when_nothing_is_given(cloud):
    made = create(cloud)
    before = the(cloud, commands, id=made)

    cloud.call("ModifyCommand", CommandId=made)

    assert the(cloud, commands, id=made) == before


def test_does_not_drop_a_new_content_unsaid(cloud):
    made = create(cloud)

    cloud.refuses("ModifyCommand", "InvalidParameter", 400, CommandId=made, CommandContent="ZWNobw==")


def test_needs_a_command_of_the_caller(cloud):
    made = create(cloud)

    cloud.refuses("ModifyCommand", "InvalidCmdId.NotFound", 404, CommandId="c-none", Name="other")
    cloud.refuses("ModifyCommand", "InvalidCmdId.NotFound", 404, CommandId=made, Name="other", account=OTHER)
