"""DescribeCommands, as a caller meets it."""

from __future__ import annotations

import pytest

from tests.clouds import OTHER
from tests.operations.assistant.test_create_command import CONTENT, create


def listed(cloud, params=None, **more):
    return [one["CommandId"] for one in cloud.call("DescribeCommands", params, **more)["Commands"]["Command"]]


def test_lists_the_newest_first(cloud):
    first, second = create(cloud), create(cloud)

    assert listed(cloud) == [second, first]


def test_tells_all_that_is_kept(cloud):
    create(cloud, EnableParameter=True, Description="of disks")

    (told,) = cloud.call("DescribeCommands", ContentEncoding="PlainText")["Commands"]["Command"]
    assert told["CommandContent"] == "echo {{name}}"
    assert told["ParameterNames"]["ParameterName"] == ["name"]
    assert (told["Timeout"], told["InvokeTimes"], told["Description"]) == (60, 0, "of disks")


def test_tells_contents_in_base64_unless_told_otherwise(cloud):
    create(cloud)

    assert cloud.call("DescribeCommands")["Commands"]["Command"][0]["CommandContent"] == CONTENT


@pytest.mark.parametrize(
    ("params", "is_found"),
    [
        ({"Name": "che*"}, True),
        ({"Name": "che"}, False),
        ({"Description": "*disks"}, True),
        ({"Description": "disks"}, False),
        ({"Type": "RunShellScript"}, True),
        ({"Provider": "AlibabaCloud"}, False),
        ({"ResourceGroupId": "rg-tests"}, True),
        ({"ResourceGroupId": "rg-other"}, False),
        ({"Tag.1.Key": "a"}, True),
        ({"Tag.1.Key": "b"}, False),
        ({"CommandId": "c-other"}, False),
    ],
)
def test_shows_what_meets_the_filters(cloud, params, is_found):
    made = create(cloud, Description="of disks", ResourceGroupId="rg-tests", **{"Tag.1.Key": "a"})

    assert listed(cloud, params) == ([made] if is_found else [])


def test_shows_nobody_elses(cloud):
    create(cloud)

    assert listed(cloud, account=OTHER) == []


def test_a_tag_to_look_for_needs_a_key(cloud):
    cloud.refuses("DescribeCommands", "InvalidTag.Mismatch", 400, {"Tag.1.Value": "a"})
