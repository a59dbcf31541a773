"""The seed's own request, sent by hand to the seed's own path."""

from __future__ import annotations

import json
import re

import pytest

from tests.acceptance.xca_client import Refused, XCaClient

pytestmark = pytest.mark.sdk

ID = re.compile(r"m-[0-9a-z]{20}")
REQUEST_ID = re.compile(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}")


def test_makes_an_image_from_an_instance(kiln, xca, instance, name):
    form = {
        "regionId": kiln.region,
        "RegionId": kiln.region,
        "version": "2016-01-01",
        "InstanceId": instance,
        "ImageName": name,
        "Description": "ImageTestDescription 中文 *~+ a&b=c",
        "Tag.1.Key": "KeyTest",
        "Tag.1.Value": "ValueTest",
        "Tag.2.Key": "empty",
        "Tag.2.Value": "",
        "Platform": "CentOS",
        "Architecture": "x86_64",
        "ClientToken": "123e4567-e89b-12d3-a456-426655440000",
    }

    answer = xca.send("CreateImage", form)

    assert REQUEST_ID.fullmatch(answer["RequestID"])
    assert answer["RequestId"] == answer["RequestID"]
    assert ID.fullmatch(answer["ImageId"])
    xca.wait_for_image(answer["ImageId"])
    (image,) = xca.ask("DescribeImages", ImageId=answer["ImageId"])["Images"]["Image"]
    assert (image["ImageName"], image["Description"]) == (name, form["Description"])
    assert (image["Platform"], image["Architecture"]) == ("CentOS", "x86_64")
    tags = {tag["TagKey"]: tag["TagValue"] for tag in image["Tags"]["Tag"]}
    assert tags == {"KeyTest": "ValueTest", "empty": ""}
    disks = image["DiskDeviceMappings"]["DiskDeviceMapping"]
    assert [(d["Type"], d["Device"], d["Size"]) for d in disks] == [
        ("system", "/dev/xvda", "1"),
        ("data", "/dev/xvdb", "20"),
    ]
    assert all(disk["SnapshotId"].startswith("s-") for disk in disks)


def test_answers_the_same_to_the_same_token(xca, snapshot, name):
    form = {"SnapshotId": snapshot, "ImageName": name, "ClientToken": name}

    first, second = xca.ask("CreateImage", form), xca.ask("CreateImage", form)
    with pytest.raises(Refused) as refused:
        xca.ask("CreateImage", form, Description="another")

    assert first["ImageId"] == second["ImageId"]
    assert first["RequestId"] != second["RequestId"]
    assert (refused.value.status, refused.value.body["Code"]) == (400, "IdempotenceParamNotMatch")


def test_makes_an_image_from_a_snapshot(xca, snapshot, name):
    answer = xca.ask("CreateImage", SnapshotId=snapshot, ImageName=name)

    xca.wait_for_image(answer["ImageId"])
    (image,) = xca.ask("DescribeImages", ImageId=answer["ImageId"])["Images"]["Image"]
    assert [d["SnapshotId"] for d in image["DiskDeviceMappings"]["DiskDeviceMapping"]] == [snapshot]


def test_makes_an_image_from_mappings(xca, snapshot, name):
    mappings = {
        "DiskDeviceMapping.1.SnapshotId": snapshot,
        "DiskDeviceMapping.1.DiskType": "system",
        "DiskDeviceMapping.1.Device": "/dev/vda",
        "DiskDeviceMapping.1.Size": "40",
        "DiskDeviceMapping.2.DiskType": "data",
        "DiskDeviceMapping.2.Device": "/dev/vdb",
        "DiskDeviceMapping.2.Size": "2000",
        # An empty value is what clients send for what they do not use.
        "DiskDeviceMapping.2.SnapshotId": "",
    }

    answer = xca.ask("CreateImage", mappings, ImageName=name)

    xca.wait_for_image(answer["ImageId"])
    (image,) = xca.ask("DescribeImages", ImageId=answer["ImageId"])["Images"]["Image"]
    disks = image["DiskDeviceMappings"]["DiskDeviceMapping"]
    assert [(d["Type"], d["Device"], d["Size"]) for d in disks] == [
        ("system", "/dev/xvda", "40"),
        ("data", "/dev/xvdb", "2000"),
    ]


def test_a_name_used_twice_fails_as_the_page_shows(kiln, xca, snapshot, name):
    xca.ask("CreateImage", SnapshotId=snapshot, ImageName=name)

    with pytest.raises(Refused) as refused:
        xca.ask("CreateImage", SnapshotId=snapshot, ImageName=name)

    body, headers = refused.value.body, refused.value.headers
    assert refused.value.status == 400
    assert body["errorSample"] == {"resultCode": -1, "resultMsg": body["Message"], "result": None}
    assert (body["resultCode"], body["resultMsg"], body["result"]) == (-1, body["Message"], None)
    assert body["Code"] == "InvalidImageName.Duplicated"
    assert body["HostId"] == kiln.host
    assert body["RequestID"] == body["RequestId"] == headers["X-Ca-Request-Id"]
    # Empty means that the gateway itself had nothing to refuse.
    assert not headers["X-Ca-Error-Code"]


def test_a_wrong_secret_is_refused_by_the_gateway(kiln):
    stranger = XCaClient(kiln.endpoint, kiln.app_key, "another", kiln.region)

    with pytest.raises(Refused) as refused:
        stranger.ask("CreateImage", SnapshotId="s-1")

    body, headers = refused.value.body, refused.value.headers
    assert (refused.value.status, body["Code"]) == (400, "SignatureDoesNotMatch")
    assert body["errorSample"]["resultCode"] == -1
    assert headers["X-Ca-Error-Code"]
    assert headers["X-Ca-Error-Message"].startswith("Specified signature is not matched")
    # The server's string, in one line, is what tells a developer which part was signed otherwise.
    assert "#/apsara/route/Ecs/CreateImage?RegionId=" in headers["X-Ca-Error-Message"]


def test_either_region_is_enough_and_two_that_differ_are_too_many(kiln, xca, snapshot, name):
    form = {"SnapshotId": snapshot, "ImageName": name, "DryRun": "true"}

    codes = [
        code(xca, form | {"regionId": kiln.region}),
        code(xca, form | {"RegionId": kiln.region}),
        code(xca, form | {"RegionId": kiln.region, "regionId": "elsewhere"}),
        code(xca, form),
    ]

    assert codes == ["DryRunOperation", "DryRunOperation", "InvalidParameter", "MissingParameter"]


def test_a_time_long_past_is_refused(xca, snapshot):
    form = {"RegionId": xca.region, "SnapshotId": snapshot}

    with pytest.raises(Refused) as refused:
        xca.send("CreateImage", form, X_Ca_Timestamp="1")

    assert refused.value.body["Code"] == "InvalidTimeStamp.Expired"


def code(xca: XCaClient, form: dict[str, str]) -> str:
    """The code with which a CreateImage is refused."""
    with pytest.raises(Refused) as refused:
        xca.send("CreateImage", form)
    return json.dumps(refused.value.body["Code"]).strip('"')
