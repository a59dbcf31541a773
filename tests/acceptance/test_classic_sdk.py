"""The classic SDK, as its makers publish it: ``aliyun-python-sdk-core`` and ``-ecs``, which sign in the RPC way."""

from __future__ import annotations

import importlib
import json
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from aliyunsdkcore.acs_exception.exceptions import ServerException
from aliyunsdkcore.client import AcsClient

from tests.waiting import wait_for

pytestmark = pytest.mark.sdk

EVERY_STATUS = "Creating,Waiting,Available,UnAvailable,CreateFailed"


class Classic:
    """The SDK's client, with the few lines that every user of it writes."""

    def __init__(self, kiln, **changes: str) -> None:
        known = {"ak": kiln.access_key_id, "secret": kiln.secret, "region_id": kiln.region}
        self.client = AcsClient(**(known | changes))
        self.client.add_endpoint(kiln.region, "Ecs", kiln.host)

    def request(self, action: str, **given: Any) -> Any:
        """The SDK's own request for *action*."""
        module = importlib.import_module(f"aliyunsdkecs.request.v20140526.{action}Request")
        request = getattr(module, f"{action}Request")()
        for name, value in given.items():
            getattr(request, f"set_{name}")(value)
        return request

    def ask_for_xml(self, action: str, **given: Any) -> tuple[int, ET.Element]:
        """Status and document of the answer. The SDK has one way to get at XML, which it would rather not have."""
        request = self.request(action, accept_format="XML", **given)
        with pytest.deprecated_call():
            status, headers, body = self.client.implementation_of_do_action(request)
        assert headers["Content-Type"] == "text/xml;charset=utf-8"
        return status, ET.fromstring(body)

    def ask(self, action: str, **given: Any) -> dict[str, Any]:
        """The members of the answer."""
        return json.loads(self.client.do_action_with_exception(self.request(action, **given)))

    def wait_for_image(self, image_id: str) -> dict[str, Any]:
        """The image, once it is Available."""

        def probe() -> dict[str, Any] | None:
            (image,) = self.ask("DescribeImages", ImageId=image_id, Status=EVERY_STATUS)["Images"]["Image"]
            assert image["Status"] in {"Creating", "Available"}
            return image if image["Status"] == "Available" else None

        return wait_for(probe)


@pytest.fixture(scope="module")
def classic(kiln) -> Classic:
    return Classic(kiln)


def test_a_disk_becomes_an_image_a_machine_and_an_image_again(classic, blank, name):
    bucket, key = blank
    mapping = {"Format": "qcow2", "OSSBucket": bucket, "OSSObject": key, "DiskImageSize": 1}
    begun = classic.ask("ImportImage", ImageName=f"{name}-in", DiskDeviceMappings=[mapping], Platform="Debian")
    wait_for(lambda: task_of(classic, begun["TaskId"])["TaskStatus"] == "Finished")
    imported = classic.wait_for_image(begun["ImageId"])
    assert (imported["Platform"], imported["OSType"]) == ("Debian", "linux")

    made = classic.ask(
        "RunInstances",
        ImageId=begun["ImageId"],
        InstanceType="ecs.t5-lc1m1.small",
        DataDisks=[{"Size": 20, "Category": "cloud_efficiency"}],
        Tags=[{"Key": "made-by", "Value": name}],
    )
    (instance_id,) = made["InstanceIdSets"]["InstanceIdSet"]
    wait_for(lambda: status_of(classic, instance_id) == "Running")
    classic.ask("StopInstance", InstanceId=instance_id)
    wait_for(lambda: status_of(classic, instance_id) == "Stopped")

    answer = classic.ask("CreateImage", InstanceId=instance_id, ImageName=name, Tags=[{"Key": "k", "Value": "v"}])
    image = classic.wait_for_image(answer["ImageId"])
    mappings = image["DiskDeviceMappings"]["DiskDeviceMapping"]
    assert image["Tags"]["Tag"] == [{"TagKey": "k", "TagValue": "v"}]
    assert [(m["Type"], m["Size"]) for m in mappings] == [("system", "1"), ("data", "20")]

    classic.ask("DeleteInstance", InstanceId=instance_id)
    wait_for(lambda: status_of(classic, instance_id) == "")
    classic.ask("DeleteImage", ImageId=answer["ImageId"])
    for mapping in mappings:
        classic.ask("DeleteSnapshot", SnapshotId=mapping["SnapshotId"])
    gone = classic.ask("DescribeImages", ImageId=answer["ImageId"], Status=EVERY_STATUS)
    assert (gone["TotalCount"], gone["Images"]["Image"]) == (0, [])


def test_makes_images_of_snapshots(classic, instance, name):
    found = classic.ask("DescribeDisks", InstanceId=instance)["Disks"]["Disk"]
    snapshots = {disk["Type"]: classic.ask("CreateSnapshot", DiskId=disk["DiskId"])["SnapshotId"] for disk in found}
    ids = json.dumps(list(snapshots.values()))

    def are_accomplished() -> bool:
        listed = classic.ask("DescribeSnapshots", SnapshotIds=ids)["Snapshots"]["Snapshot"]
        return [one["Status"] for one in listed] == ["accomplished"] * 2

    wait_for(are_accomplished)

    alone = classic.ask("CreateImage", SnapshotId=snapshots["system"], ImageName=f"{name}-1")
    mappings = [
        {"SnapshotId": snapshots["system"], "DiskType": "system", "Device": "/dev/xvda"},
        {"SnapshotId": snapshots["data"], "Size": 30},
    ]
    mapped = classic.ask("CreateImage", DiskDeviceMappings=mappings, ImageName=f"{name}-2")

    one, other = classic.wait_for_image(alone["ImageId"]), classic.wait_for_image(mapped["ImageId"])
    assert [m["SnapshotId"] for m in one["DiskDeviceMappings"]["DiskDeviceMapping"]] == [snapshots["system"]]
    assert [(m["Device"], m["Size"]) for m in other["DiskDeviceMappings"]["DiskDeviceMapping"]] == [
        ("/dev/xvda", "1"),
        ("/dev/xvdb", "30"),
    ]


def test_puts_tags_on_and_changes_attributes(classic, snapshot, name):
    image_id = classic.ask("CreateImage", SnapshotId=snapshot)["ImageId"]
    classic.wait_for_image(image_id)

    classic.ask("TagResources", ResourceType="image", ResourceIds=[image_id], Tags=[{"Key": "k", "Value": ""}])
    classic.ask("ModifyImageAttribute", ImageId=image_id, ImageName=name, Description="geändert")

    found = classic.ask("ListTagResources", ResourceType="image", ResourceIds=[image_id])
    tag = {"ResourceId": image_id, "ResourceType": "image", "TagKey": "k", "TagValue": ""}
    assert found["TagResources"]["TagResource"] == [tag]
    (image,) = classic.ask("DescribeImages", ImageName=name)["Images"]["Image"]
    assert (image["ImageId"], image["Description"]) == (image_id, "geändert")


def test_answers_in_xml_when_asked(classic, snapshot, name):
    given = {"SnapshotId": snapshot, "ImageName": name, "Description": "<a> & 中", "Tags": [{"Key": "k", "Value": "v"}]}
    _, made = classic.ask_for_xml("CreateImage", **given)
    classic.wait_for_image(made.findtext("ImageId"))

    status, listed = classic.ask_for_xml("DescribeImages", ImageName=name)

    assert (made.tag, listed.tag, status) == ("CreateImageResponse", "DescribeImagesResponse", 200)
    (image,) = listed.findall("Images/Image")
    assert (image.findtext("ImageId"), image.findtext("Description")) == (made.findtext("ImageId"), "<a> & 中")
    assert [d.findtext("Size") for d in image.findall("DiskDeviceMappings/DiskDeviceMapping")] == ["1"]
    assert [(t.findtext("TagKey"), t.findtext("TagValue")) for t in image.findall("Tags/Tag")] == [("k", "v")]
    assert (listed.findtext("TotalCount"), image.findtext("IsCopied")) == ("1", "false")


def test_refuses_in_xml_when_asked(classic, kiln):
    status, error = classic.ask_for_xml("DeleteSnapshot", SnapshotId="s-nobody")

    assert (status, error.tag) == (404, "Error")
    assert {child.tag for child in error} >= {"RequestId", "HostId", "Code", "Message"}
    assert (error.findtext("Code"), error.findtext("HostId")) == ("InvalidSnapshotId.NotFound", kiln.host)


def test_takes_get_as_well(classic, kiln):
    found = classic.ask("DescribeRegions", method="GET")

    assert kiln.region in [region["RegionId"] for region in found["Regions"]["Region"]]


def test_a_token_makes_one_thing_only(classic, snapshot, name):
    asked = {"SnapshotId": snapshot, "ImageName": name, "ClientToken": name}

    first, second = classic.ask("CreateImage", **asked), classic.ask("CreateImage", **asked)
    with pytest.raises(ServerException) as refused:
        classic.ask("CreateImage", **asked, Description="another")

    assert first["ImageId"] == second["ImageId"]
    assert refused.value.get_error_code() == "IdempotenceParamNotMatch"


def test_a_name_used_twice_is_an_error_with_code_and_request_id(classic, snapshot, name):
    classic.ask("CreateImage", SnapshotId=snapshot, ImageName=name)

    with pytest.raises(ServerException) as refused:
        classic.ask("CreateImage", SnapshotId=snapshot, ImageName=name)

    error = refused.value
    assert (error.get_http_status(), error.get_error_code()) == (400, "InvalidImageName.Duplicated")
    assert "already" in error.get_error_msg()
    assert error.get_request_id()


def test_a_wrong_secret_is_called_a_wrong_secret(kiln):
    """The SDK finds that out by the server's string to sign, which has to follow the message's one colon."""
    stranger = Classic(kiln, secret="another")

    with pytest.raises(ServerException) as refused:
        stranger.ask("DescribeImages", ImageName="a:b c")

    assert (refused.value.get_http_status(), refused.value.get_error_code()) == (400, "InvalidAccessKeySecret")


def test_an_unknown_key_is_an_error_of_its_own(kiln):
    with pytest.raises(ServerException) as refused:
        Classic(kiln, ak="nobody").ask("DescribeImages")

    assert (refused.value.get_http_status(), refused.value.get_error_code()) == (404, "InvalidAccessKeyId.NotFound")


def task_of(classic: Classic, task_id: str) -> dict[str, Any]:
    """The task, among all of the account."""
    (task,) = classic.ask("DescribeTasks", TaskIds=task_id)["TaskSet"]["Task"]
    return task


def status_of(classic: Classic, instance_id: str) -> str:
    """The instance's status, or nothing when it is gone."""
    found = classic.ask("DescribeInstances", InstanceIds=json.dumps([instance_id]))["Instances"]["Instance"]
    return found[0]["Status"] if found else ""
