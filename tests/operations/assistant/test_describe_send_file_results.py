"""DescribeSendFileResults, as a caller meets it; how files are sent is in test_send_file."""

from __future__ import annotations

import pytest

from tests.clouds import OTHER
from tests.operations.assistant.test_run_command import run
from tests.operations.assistant.test_send_file import send, sent


def listed(cloud, params=None, **more):
    return cloud.call("DescribeSendFileResults", params, **more)["Invocations"]["Invocation"]


def test_tells_what_was_sent(cloud, running):
    invoke = send(cloud, running, "/etc/app", Description="settings", Overwrite=True)

    (told,) = listed(cloud)

    assert (told["InvokeId"], told["Name"], told["TargetDir"]) == (invoke, "it", "/etc/app")
    assert (told["Content"], told["ContentType"], told["Overwrite"]) == ("hello\n", "PlainText", "true")
    assert (told["FileOwner"], told["FileMode"], told["VmCount"]) == ("root", "0644", 1)
    assert told["InvocationStatus"] == "Pending"


@pytest.mark.parametrize(
    ("params", "is_found"),
    [
        ({"Name": "i*"}, True),
        ({"Name": "x*"}, False),
        ({"InvokeId": "t-other"}, False),
        ({"InstanceId": "i-other"}, False),
        ({"InvocationStatus": "Failed"}, True),
        ({"InvocationStatus": "Finished"}, True),
        ({"InvocationStatus": "Success"}, False),
        ({"ResourceGroupId": "rg-tests"}, True),
        ({"ResourceGroupId": "rg-other"}, False),
        ({"Tag.1.Key": "a"}, True),
        ({"Tag.1.Key": "b"}, False),
    ],
)
def test_shows_what_meets_the_filters(cloud, running, params, is_found):
    invoke = send(cloud, running, "/tmp", ResourceGroupId="rg-tests", **{"Tag.1.Key": "a"})
    sent(cloud, invoke)

    assert [one["InvokeId"] for one in listed(cloud, params)] == ([invoke] if is_found else [])


def test_shows_no_commands_and_nobody_elses(cloud, running):
    run(cloud, running, "true")
    send(cloud, running, "/tmp")

    assert [one["Name"] for one in listed(cloud)] == ["it"]
    assert listed(cloud, account=OTHER) == []


def test_a_tag_to_look_for_needs_a_key(cloud):
    cloud.refuses("DescribeSendFileResults", "InvalidTag.Mismatch", 400, {"Tag.1.Value": "a"})
