"""CreateCommand, as a caller meets it."""

from __future__ import annotations

import base64
import unicodedata
from dataclasses import replace

import pytest

from kiln.store.commands import commands
from kiln.store.documents import document, restore
from tests.reading import find, the

CONTENT = base64.b64encode(b"echo {{name}}").decode()


def create(cloud, **more):
    given = {"Name": "check", "Type": "RunShellScript", "CommandContent": CONTENT} | more
    return cloud.call("CreateCommand", given)["CommandId"]


def in_it(*names):
    """A content in which these parameters stand."""
    content = base64.b64encode("".join(f"{{{{{name}}}}}" for name in names).encode()).decode()
    return {"EnableParameter": True, "CommandContent": content}


def test_keeps_what_is_given(cloud):
    made = create(cloud, Description="of disks", WorkingDir="/srv", Timeout=600, EnableParameter=True)

    row = the(cloud, commands, id=made)
    assert made.startswith("c-")
    assert (row.name, row.description, row.working_dir, row.timeout_s) == ("check", "of disks", "/srv", 600)
    assert (row.content, row.enable_parameter, row.invoked) == (CONTENT, True, 0)


def test_takes_plain_text_when_told_so(cloud):
    made = create(cloud, CommandContent="echo {{name}}", ContentEncoding="plaintext")

    assert the(cloud, commands, id=made).content == CONTENT


@pytest.mark.parametrize("kind", ["RunBatScript", "RunPowerShellScript", "Perl"])
def test_keeps_no_commands_of_other_systems(cloud, kind):
    cloud.refuses("CreateCommand", "InvalidCmdType.NotFound", 404, Name="check", Type=kind, CommandContent=CONTENT)


@pytest.mark.parametrize(
    ("more", "code", "status"),
    [
        ({"CommandContent": "echo it!"}, "CmdContent.DecodeError", 400),
        ({"CommandContent": "QUJD" * 6145}, "CmdContent.ExceedLimit", 403),
        ({"EnableParameter": True, "CommandContent": "e3t9fQ=="}, "CmdParam.EmptyKey", 400),
        (in_it("a b"), "CmdParam.InvalidParamName", 400),
        (in_it("a" * 65), "CmdParamName.ExceedLimit", 403),
        (in_it(*(f"a{n}" for n in range(21))), "CmdParamCount.ExceedLimit", 403),
        ({"Timeout": 9}, "InvalidTimeout.ExceedLimit", 403),
        ({"Timeout": 86_401}, "InvalidTimeout.ExceedLimit", 403),
        ({"WorkingDir": "/a\nb"}, "InvalidParameter.WorkingDir", 400),
        ({"Name": "x" * 129}, "CmdName.ExceedLimit", 403),
        ({"Description": "x" * 513}, "CmdDesc.ExceedLimit", 403),
        ({"ResourceGroupId": "rg-none"}, "InvalidResourceGroup.NotFound", 404),
        ({"Tag.1.Value": "b"}, "InvalidTagKey.Malformed", 400),
        ({"Tag.1.Key": "a", "Tag.2.Key": "a"}, "Duplicate.TagKey", 400),
    ],
)
def test_refuses_what_is_wrong_with_it(cloud, more, code, status):
    given = {"Name": "check", "Type": "RunShellScript", "CommandContent": CONTENT}
    cloud.refuses("CreateCommand", code, status, given | more)


def test_keeps_no_more_than_the_account_may_have(cloud):
    deployment = cloud.ports.deployment
    cloud.refit(deployment=replace(deployment, quotas=replace(deployment.quotas, commands=1)))
    create(cloud)

    cloud.refuses("CreateCommand", "CmdCount.ExceedQuota", 403, Name="b", Type="RunShellScript", CommandContent=CONTENT)


def test_is_there_again_after_the_database_was_lost(cloud):
    made = create(cloud, **{"Tag.1.Key": "a", "Tag.1.Value": "b"})
    with cloud.ports.database.read() as tx:
        kept = document(tx, "command", made)
    cloud.call("DeleteCommand", CommandId=made)
    gone = find(cloud, commands, id=made)

    cloud.ports.database.write(lambda tx: restore(tx, "command", made, kept))

    (told,) = cloud.call("DescribeCommands", CommandId=made)["Commands"]["Command"]
    assert gone is None
    assert told["CommandContent"] == CONTENT
    assert told["Tags"]["Tag"] == [{"TagKey": "a", "TagValue": "b"}]


def test_reads_a_content_that_ends_within_a_parameter(cloud):
    """It took hours, in which nobody else was answered."""
    made = create(cloud, CommandContent="{{" + " " * 18_000, ContentEncoding="PlainText", EnableParameter=True)

    (shown,) = cloud.call("DescribeCommands", CommandId=made)["Commands"]["Command"]
    assert shown["ParameterNames"]["ParameterName"] == []


def test_is_found_by_its_name_however_its_letters_are_composed(cloud):
    name = unicodedata.normalize("NFD", "Bücher")
    made = create(cloud, Name=name)

    (shown,) = cloud.call("DescribeCommands", Name=name)["Commands"]["Command"]
    assert shown["CommandId"] == made


def test_a_token_is_of_one_request(cloud):
    assert create(cloud, ClientToken="t-1") == create(cloud, ClientToken="t-1")

    given = {"Name": "other", "Type": "RunShellScript", "CommandContent": CONTENT, "ClientToken": "t-1"}
    cloud.refuses("CreateCommand", "IdempotentParameterMismatch", 403, given)
