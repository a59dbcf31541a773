"""SendFile, as a caller meets it; the files are put by a real agent."""

from __future__ import annotations

import base64

import pytest

from tests.attended import outcome
from tests.clouds import OTHER
from tests.stock import an_instance


def send(cloud, instance, folder, **more):
    given = {"Name": "it", "TargetDir": str(folder), "Content": "hello\n", "InstanceId.1": instance}
    return cloud.call("SendFile", given | more)["InvokeId"]


def sent(cloud, invoke):
    return outcome(cloud, invoke, "DescribeSendFileResults")


@pytest.mark.slow
def test_puts_a_file_into_the_guest(cloud, attended, tmp_path):
    result = sent(cloud, send(cloud, attended, tmp_path / "new", FileMode="0600"))

    assert (result["InvocationStatus"], result["ErrorCode"]) == ("Success", "")
    assert (tmp_path / "new/it").read_text() == "hello\n"
    assert (tmp_path / "new/it").stat().st_mode & 0o777 == 0o600


@pytest.mark.slow
def test_takes_a_content_in_base64(cloud, attended, tmp_path):
    content = base64.b64encode(b"\0\xff").decode()

    sent(cloud, send(cloud, attended, tmp_path, Content=content, ContentType="Base64"))

    assert (tmp_path / "it").read_bytes() == b"\0\xff"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({}, "FileAlreadyExists"),
        ({"Name": "other", "FileOwner": "nobody-has-this-name"}, "AccountNotExists"),
        ({"Name": "other", "FileGroup": "nobody-has-this-name"}, "UserGroupNotExists"),
        ({"TargetDir": "/dev/null/place"}, "FilePathInvalid"),
    ],
)
def test_tells_why_it_could_not(cloud, attended, tmp_path, more, code):
    (tmp_path / "it").write_text("before")

    result = sent(cloud, send(cloud, attended, tmp_path, **more))

    assert (result["InvocationStatus"], result["ErrorCode"]) == ("Invalid", code)
    assert (tmp_path / "it").read_text() == "before"


@pytest.mark.slow
def test_replaces_a_file_when_it_is_to(cloud, attended, tmp_path):
    (tmp_path / "it").write_text("before")

    sent(cloud, send(cloud, attended, tmp_path, Overwrite=True))

    assert (tmp_path / "it").read_text() == "hello\n"


def test_is_aborted_where_no_agent_is(cloud, running):
    result = sent(cloud, send(cloud, running, "/tmp"))

    assert (result["InvocationStatus"], result["ErrorCode"]) == ("Aborted", "ClientNotRunning")


@pytest.mark.parametrize(
    ("more", "code", "status"),
    [
        ({"Content": "x" * (24 * 1024 + 1)}, "FileContent.ExceedLimit", 403),
        ({"Content": "no base64!", "ContentType": "Base64"}, "FileContent.DecodeError", 400),
        ({"Name": "../it"}, "InvalidParameter", 400),
        ({"Name": ".."}, "InvalidParameter", 400),
        ({"TargetDir": "tmp"}, "InvalidParameter", 400),
        ({"FileMode": "u+x"}, "InvalidParameter", 400),
        ({"FileOwner": "-x"}, "InvalidParameter", 400),
        ({"InstanceId.1": ""}, "MissingParam.InstanceId", 400),
        ({"InstanceId.1": "i-none"}, "InvalidInstance.NotFound", 404),
        ({"ResourceGroupId": "rg-none"}, "InvalidResourceGroup.NotFound", 404),
        ({"Tag.1.Value": "b"}, "InvalidTagKey.Malformed", 400),
        ({"Tag.1.Key": "a", "Tag.2.Key": "a"}, "Duplicate.TagKey", 400),
        ({f"InstanceId.{n}": f"i-{n}" for n in range(1, 52)}, "InstanceIds.ExceedLimit", 403),
    ],
)
def test_refuses_what_is_wrong_with_it(cloud, running, more, code, status):
    given = {"Name": "it", "TargetDir": "/tmp", "Content": "hello", "InstanceId.1": running} | more
    cloud.refuses("SendFile", code, status, given)


def test_needs_running_instances_of_the_caller(cloud, running):
    given = {"Name": "it", "TargetDir": "/tmp", "Content": "hello"}
    stopped = an_instance(cloud).id

    cloud.refuses("SendFile", "InvalidInstance.NotMatch", 400, given | {"InstanceId.1": stopped})
    cloud.refuses("SendFile", "InvalidInstance.NotFound", 404, given | {"InstanceId.1": running}, account=OTHER)


def test_a_token_is_of_one_request(cloud, running):
    assert len({send(cloud, running, "/tmp", ClientToken="t-1") for _ in range(2)}) == 1

    given = {"Name": "other", "TargetDir": "/tmp", "Content": "a", "InstanceId.1": running, "ClientToken": "t-1"}
    cloud.refuses("SendFile", "IdempotentParameterMismatch", 403, given)
