"""RunInstances with a launch template: what the request says wins, and the whole is checked as one request."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kiln.declare.errors import DryRunOperation
from kiln.store.disks import disks
from kiln.store.instances import Instance, instances
from kiln.store.tags import tags
from tests.clouds import Cloud
from tests.operations.instances.things import TYPE, image_with
from tests.operations.launch_templates.shelf import NO_VERSION, NOT_FOUND, a_template, a_version
from tests.reading import every, find
from tests.stock import a_key_pair


@pytest.fixture
def image(cloud):
    return image_with(cloud).id


def run(cloud: Cloud, params: dict[str, Any] | None = None, **more: Any) -> Instance:
    given = {"LaunchTemplateName": "web", **more}
    (made,) = cloud.call("RunInstances", params, **given)["InstanceIdSets"]["InstanceIdSet"]
    row = find(cloud, instances, id=made)
    assert row is not None
    return row


def test_says_all_that_the_request_leaves_out(cloud, image):
    a_key_pair(cloud)
    said = {
        "SystemDisk.Size": 30,
        "SystemDisk.DiskName": "root",
        "SystemDisk.DeleteWithInstance": False,
        "SystemDisk.Iops": 100,
        "DataDisk.1.Size": 21,
        "DataDisk.1.DeleteWithInstance": False,
        "Tag.1.Key": "use",
        "Tag.1.Value": "test",
        "ImageOptions.LoginAsNonRoot": True,
        "SpotPriceLimit": 0.97,
        "NetworkType": "vpc",
    }
    a_template(
        cloud, said, ImageId=image, InstanceType=TYPE, HostName="web-1", KeyPairName="ops", HttpTokens="required"
    )

    row = run(cloud)

    assert (row.host_name, row.key_pair, row.http_tokens) == ("web-1", "ops", "required")
    assert (row.asked.login_as_non_root, row.asked.spot_price_limit) == (True, 0.97)
    system, data = sorted(every(cloud, disks, instance=row.id), key=lambda disk: disk.device)
    assert (system.size_gib, system.name, system.delete_with_instance) == (30, "root", False)
    assert (data.size_gib, data.delete_with_instance) == (21, False)
    assert [(tag.resource, tag.key, tag.value) for tag in every(cloud, tags)] == [(row.id, "use", "test")]


def test_what_the_request_says_wins_also_where_it_is_the_default(cloud, image):
    said = {"SystemDisk.Size": 30, "SystemDisk.DiskName": "root", "Tag.1.Key": "a", "Tag.2.Key": "b"}
    a_template(cloud, said, ImageId="m-nowhere", InstanceType=TYPE, DeletionProtection=True, HostName="web")

    row = run(cloud, {"SystemDisk.Size": 40, "Tag.1.Key": "c"}, ImageId=image, DeletionProtection=False, HostName="")

    assert (row.deletion_protection, row.host_name) == (False, "web")
    (system,) = every(cloud, disks, instance=row.id)
    assert (system.size_gib, system.name) == (40, "root")
    assert [tag.key for tag in every(cloud, tags)] == ["c"]


def test_what_the_request_says_wins_however_it_is_spelled(cloud, image):
    given = {"SystemDisk.Size": 30, "SystemDisk.DiskName": "root", "Tag.1.Key": "a", "DataDisk.1.Size": 20}
    a_template(cloud, given, ImageId=image, InstanceType=TYPE)
    said = {"SystemDisk": '{"Size":"40"}', "Tag": '[{"Key":"b"}]', "DataDisk.[]": ""}

    row = run(cloud, said)

    (system,) = every(cloud, disks, instance=row.id)
    assert (system.size_gib, system.name) == (40, "root")
    assert [tag.key for tag in every(cloud, tags)] == ["b"]


@pytest.mark.parametrize("says", ["ImageId", "ImageFamily"])
def test_takes_one_way_to_say_a_thing_in_place_of_the_other(cloud, says):
    image = image_with(cloud, family="web")
    ways = {"ImageId": image.id, "ImageFamily": "web"}
    other = next(way for way in ways if way != says)
    a_template(cloud, {other: "nothing-of-that-name"}, InstanceType=TYPE)

    assert run(cloud, {says: ways[says]}).image == image.id


def test_takes_the_version_that_is_named_else_the_default(cloud, image):
    template = a_template(cloud, ImageId=image, InstanceType=TYPE, HostName="first")
    a_version(cloud, ImageId=image, InstanceType=TYPE, HostName="second")

    assert run(cloud).host_name == "first"
    assert run(cloud, LaunchTemplateVersion=2).host_name == "second"
    cloud.call("ModifyLaunchTemplateDefaultVersion", LaunchTemplateName="web", DefaultVersionNumber=2)
    assert run(cloud, LaunchTemplateName="", LaunchTemplateId=template, LaunchTemplateVersion=0).host_name == "second"


def test_a_token_gives_the_same_instance_whatever_the_template_says_by_then(cloud, image):
    a_template(cloud, ImageId=image, InstanceType=TYPE)
    first = run(cloud, ClientToken="once")
    a_version(cloud, ImageId="m-nowhere")
    cloud.call("ModifyLaunchTemplateDefaultVersion", LaunchTemplateName="web", DefaultVersionNumber=2)

    assert run(cloud, ClientToken="once").id == first.id
    cloud.refuses(
        "RunInstances", "IdempotentParameterMismatch", 400, ClientToken="once", LaunchTemplateName="web", HostName="b"
    )


def test_a_dry_run_checks_the_whole(cloud, image):
    a_template(cloud, ImageId=image, InstanceType=TYPE)

    refused = cloud.refuses("RunInstances", DryRunOperation.code, 400, LaunchTemplateName="web", DryRun=True)
    assert isinstance(refused, DryRunOperation)
    cloud.refuses("RunInstances", "InvalidImageId.NotFound", 404, LaunchTemplateName="web", DryRun=True, ImageId="m-x")


@pytest.mark.parametrize(
    ("says", "asks", "code", "status"),
    [
        ({}, {}, "MissingParameter", 400),
        ({"InstanceType": "ecs.none"}, {}, "InvalidInstanceType.ValueNotSupported", 400),
        ({"InstanceType": TYPE, "ImageId": "m-nowhere"}, {}, "InvalidImageId.NotFound", 404),
        (
            {"InstanceType": TYPE, "AutoReleaseTime": "2020-01-01T00:00:00Z"},
            {},
            "InvalidAutoReleaseTime.Malformed",
            400,
        ),
        ({"InstanceType": TYPE, "SecurityGroupId": "sg-nowhere"}, {}, "InvalidSecurityGroupId.NotFound", 404),
        (
            {"InstanceType": TYPE, "NetworkInterface.1.InstanceType": "Primary"},
            {"VSwitchId": "vsw-1"},
            "InvalidParameter",
            400,
        ),
        ({"InstanceType": TYPE}, {"SystemDisk": "big"}, "InvalidParameter", 400),
        ({"InstanceType": TYPE}, {"LaunchTemplateVersion": 2}, NO_VERSION, 404),
        ({"InstanceType": TYPE}, {"LaunchTemplateName": "nothing"}, NOT_FOUND, 404),
        ({"InstanceType": TYPE}, {"LaunchTemplateName": "", "LaunchTemplateVersion": 1}, "MissingParameter", 400),
    ],
)
def test_the_whole_is_refused_as_one_request_would_be(cloud, says, asks, code, status):
    a_template(cloud, {"ImageId": image_with(cloud).id, **says})

    cloud.refuses("RunInstances", code, status, {"LaunchTemplateName": "web", **asks})


def test_boots_an_image_that_was_made_of_what_it_ran(cloud, image):
    a_template(cloud, ImageId=image, InstanceType=TYPE)
    instance = run(cloud)
    cloud.settle()
    baked = cloud.call("CreateImage", InstanceId=instance.id, ImageName="baked")["ImageId"]
    cloud.settle()

    number = a_version(cloud, ImageId=baked, InstanceType=TYPE)

    assert run(cloud, LaunchTemplateVersion=number).image == baked


def test_a_row_of_another_version_of_kiln_is_read_as_far_as_it_is_understood(cloud, image):
    from kiln.store.launch_templates import launch_template_versions  # noqa: PLC0415 - this test alone writes rows.

    a_template(cloud)
    said = json.dumps({"ImageId": image, "InstanceType": TYPE, "NotYetKnown": {"A": 1}, "SystemDisk": {"Later": "x"}})
    cloud.ports.database.write(lambda tx: launch_template_versions.update(tx, {"data": said}, number=1))

    assert run(cloud).image == image
