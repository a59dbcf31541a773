"""Promises that every list keeps: what an empty filter means, and in which order rows come."""

from __future__ import annotations

from typing import Any

import pytest

from kiln.declare.states import InstanceStatus
from kiln.operations import ALL
from tests.clouds import Cloud
from tests.nets import a_group, an_eip, the_default_vpc
from tests.operations.images.gallery import a_disk_of, an_image
from tests.operations.launch_templates.shelf import a_template
from tests.operations.tasks.agenda import a_task
from tests.stock import a_disk, a_key_pair, a_policy, a_snapshot, a_snapshot_group, an_instance

#: A list that narrows what comes, and the operation that takes it.
FILTERS = [
    (operation, field.wire)
    for operation in ALL
    if operation.is_read and operation.name.startswith(("Describe", "List"))
    for field in operation.parameters
    if field.repeated and not field.accepted
]


def rows(answer: Any) -> list[Any]:
    """The elements of the one list that an answer has."""
    if isinstance(answer, list):
        return answer
    inner = [value for value in answer.values() if isinstance(value, dict | list)]
    return rows(inner[0]) if inner else []


def things_of_assistant(cloud: Cloud) -> None:
    running = {"InstanceId.1": an_instance(cloud, system_disk=False, status=InstanceStatus.RUNNING).id}
    command = {"Type": "RunShellScript", "CommandContent": "dHJ1ZQ=="}
    cloud.call("CreateCommand", command, Name="a")
    cloud.call("RunCommand", running | command)
    cloud.call("SendFile", running, Name="a", TargetDir="/tmp", Content="b")


@pytest.mark.parametrize(("operation", "name"), FILTERS, ids=lambda one: getattr(one, "name", one))
def test_nothing_passes_a_filter_by_an_empty_list(cloud: Cloud, operation, name):
    image = an_image(cloud)
    a_disk(cloud)
    instance = an_instance(cloud, system_disk=False)
    a_task(cloud, resource=image.id)
    a_key_pair(cloud)
    an_eip(cloud)
    a_group(cloud, the_default_vpc(cloud))
    cloud.call("TagResources", {"Tag.1.Key": "a", "ResourceId.1": instance.id}, ResourceType="instance")
    things_of_assistant(cloud)
    a_template(cloud)
    a_snapshot_group(cloud)
    a_policy(cloud)
    beside = {}
    if operation.name == "DescribeLaunchTemplateVersions":
        beside = {"LaunchTemplateName": "web"}
    if operation.name == "DescribeInstanceRamRole":
        cloud.call("AttachInstanceRamRole", InstanceIds=f'["{instance.id}"]', RamRoleName="build")
        beside = {"RamRoleName": "build"}
    if operation.name == "ListTagResources":
        beside = {"ResourceType": "instance", "ResourceId.1": instance.id}
    assert rows(cloud.call(operation.name, beside))

    beside.pop(f"{name}.1", None)
    if operation.name == "ListTagResources" and name == "ResourceId":
        beside["Tag.1.Key"] = "a"

    assert rows(cloud.call(operation.name, beside | {name: "[]"})) == []
    assert rows(cloud.call(operation.name, beside | {f"{name}.[]": ""})) == []


def test_nothing_passes_a_tag_filter_without_values(cloud: Cloud):
    instance = an_instance(cloud, system_disk=False)
    cloud.call("TagResources", {"Tag.1.Key": "a", "ResourceId.1": instance.id}, ResourceType="instance")

    for values, found in [({}, 1), ({"TagFilter.1.TagValues": "[]"}, 0)]:
        answer = cloud.call("ListTagResources", {"TagFilter.1.TagKey": "a"} | values, ResourceType="instance")
        assert len(rows(answer)) == found


MOMENT = 1_795_000_000.0
DEVICES = ["/dev/xvda", "/dev/xvdb", "/dev/xvdc", "/dev/xvdz"]


def disks_of(cloud: Cloud, instance: str | None, devices: list[str]) -> None:
    for device in devices:
        kind = "system" if device == DEVICES[0] else "data"
        a_disk(cloud, volume=None, created_at=MOMENT, instance=instance, device=device, type=kind)


@pytest.mark.parametrize("devices", [DEVICES, DEVICES[::-1], DEVICES[2:] + DEVICES[:2]])
@pytest.mark.parametrize("asked", ["of an instance", "all", "by token"])
def test_disks_come_system_disk_first_and_then_by_device(cloud: Cloud, devices, asked):
    disks_of(cloud, an_instance(cloud, id="i-1", system_disk=False).id, devices)
    disks_of(cloud, an_instance(cloud, id="i-2", system_disk=False).id, devices)
    if asked == "of an instance":
        # Attached later, and the newest: among the disks of its instance it stands in its place all the same.
        a_disk(cloud, volume=None, instance="i-1", device="/dev/xvdd", created_at=MOMENT + 9)

    if asked == "of an instance":
        found = rows(cloud.call("DescribeDisks", InstanceId="i-1"))
    elif asked == "all":
        found = rows(cloud.call("DescribeDisks"))
    else:
        found, token = [], ""
        for _ in range(8):
            answer = cloud.call("DescribeDisks", PageSize=1, NextToken=token)
            found, token = found + rows(answer), answer["NextToken"]

    expected = [(instance, device) for instance in ("i-1", "i-2") for device in DEVICES]
    if asked == "of an instance":
        expected = [("i-1", device) for device in sorted([*DEVICES, "/dev/xvdd"])]
    assert [(one["InstanceId"], one["Device"]) for one in found] == expected


def one_of_each(cloud: Cloud, action: str, word: str) -> None:
    """A row of the list, which is told from others by *word* alone."""
    if action == "DescribeSnapshots":
        kind = "system" if word == "a" else "data"
        a_snapshot(
            cloud, volume=None, created_at=MOMENT, name=f"n-{word}", device=f"/dev/xvd{word}", source_disk_type=kind
        )
    elif action in ("DescribeInstances", "DescribeInstanceStatus"):
        an_instance(cloud, created_at=MOMENT, name=f"n-{word}", id=f"i-{word}", system_disk=False)
    elif action == "DescribeTasks":
        a_task(cloud, created_at=MOMENT, id=f"t-{word}", seq=1000 - ord(word))
    elif action == "DescribeImages":
        an_image(cloud, created_at=MOMENT, id=f"m-{word}", disks=())
    else:
        kind = "system" if word == "a" else "data"
        a_disk(cloud, volume=None, created_at=MOMENT, name=f"n-{word}", device=f"/dev/xvd{word}", type=kind)


@pytest.mark.parametrize("words", ["abcd", "dcba", "bdac"])
@pytest.mark.parametrize(
    ("action", "field", "expected"),
    [
        ("DescribeDisks", "DiskName", "abcd"),
        ("DescribeSnapshots", "SnapshotName", "abcd"),
        ("DescribeInstances", "InstanceName", "abcd"),
        ("DescribeInstanceStatus", "InstanceId", "abcd"),
        ("DescribeTasks", "TaskId", "abcd"),
        ("DescribeImages", "ImageId", "dcba"),
    ],
)
def test_what_was_made_in_one_moment_comes_in_one_order(cloud: Cloud, action, field, expected, words):
    for word in words:
        one_of_each(cloud, action, word)

    assert "".join(one[field][-1] for one in rows(cloud.call(action))) == expected


@pytest.mark.parametrize("words", ["abcZ\u00e9\u4e2d", "\u4e2d\u00e9Zcba"])
def test_tags_come_by_key_wherever_they_are_shown(cloud: Cloud, words):
    instance, image = an_instance(cloud, system_disk=False), an_image(cloud)
    for word in words:
        for kind, resource in (("instance", instance.id), ("image", image.id)):
            cloud.call("TagResources", {"Tag.1.Key": word, "ResourceId.1": resource}, ResourceType=kind)

    shown = [
        rows(cloud.call("DescribeInstances"))[0],
        rows(cloud.call("DescribeImages"))[0],
        rows(cloud.call("DescribeImages", ImageId=image.id))[0],
    ]

    assert {"".join(tag["TagKey"] for tag in one["Tags"]["Tag"]) for one in shown} == {"Zabc\u00e9\u4e2d"}


@pytest.mark.parametrize("positions", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_disks_of_an_image_come_system_disk_first(cloud: Cloud, positions):
    snapshot = a_snapshot(cloud, volume=None).id
    image = an_image(cloud, disks=tuple(a_disk_of(None, snapshot, position) for position in positions))

    for answer in (cloud.call("DescribeImages"), cloud.call("DescribeImages", ImageId=image.id)):
        mappings = rows(answer)[0]["DiskDeviceMappings"]["DiskDeviceMapping"]
        assert [(one["Type"], one["Device"]) for one in mappings] == [
            ("system", "/dev/xvda"), ("data", "/dev/xvdb"), ("data", "/dev/xvdc")
        ]  # fmt: skip
