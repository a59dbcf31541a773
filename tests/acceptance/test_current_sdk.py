"""The current SDK, as its makers publish it: Alibaba Cloud's ``alibabacloud_ecs20140526``, which signs with ACS3."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest
from alibabacloud_ecs20140526 import models
from alibabacloud_ecs20140526.client import Client
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.utils import Utils
from alibabacloud_tea_openapi.utils_models import OpenApiRequest, Params
from darabonba.runtime import RuntimeOptions

from kiln.testing import connect
from tests.waiting import wait_for

pytestmark = pytest.mark.sdk


@pytest.fixture
def client(kiln_ecs):
    return kiln_ecs


def test_a_disk_becomes_an_image_a_machine_and_an_image_again(kiln, client, blank, name):
    region = {"region_id": kiln.region}
    imported = import_image(client, kiln.region, blank, f"{name}-imported")
    (instance_id,) = client.run_instances(
        models.RunInstancesRequest(
            **region,
            image_id=imported,
            instance_type="ecs.t5-lc1m1.small",
            instance_name=name,
            data_disk=[models.RunInstancesRequestDataDisk(size=20, category="cloud_ssd")],
            tag=[models.RunInstancesRequestTag(key="made-by", value=name)],
        )
    ).body.instance_id_sets.instance_id_set
    wait_for(lambda: find_instance(client, kiln.region, instance_id).status == "Running")

    made = client.create_image(
        models.CreateImageRequest(
            **region,
            instance_id=instance_id,
            image_name=name,
            description="of a running instance",
            tag=[models.CreateImageRequestTag(key="k", value="v")],
            features=models.CreateImageRequestFeatures(imds_support="v2"),
        )
    ).body.image_id
    wait_for_image(client, kiln.region, made)

    image = find_image(client, kiln.region, made)
    check_types(image)
    assert (image.image_name, image.description, image.status) == (name, "of a running instance", "Available")
    assert (image.progress, image.size, image.image_owner_alias) == ("100%", 1, "self")
    assert (image.usable, image.is_copied, image.features.imds_support) == (True, False, "v2")
    assert [(t.tag_key, t.tag_value) for t in image.tags.tag] == [("k", "v")]
    disks = image.disk_device_mappings.disk_device_mapping
    assert [(d.type, d.device, d.size) for d in disks] == [("system", "/dev/xvda", "1"), ("data", "/dev/xvdb", "20")]

    client.delete_instance(models.DeleteInstanceRequest(instance_id=instance_id, force=True))
    wait_for(lambda: find_instance(client, kiln.region, instance_id) is None)
    with pytest.raises(ClientException) as refused:
        client.delete_snapshot(models.DeleteSnapshotRequest(snapshot_id=disks[0].snapshot_id))
    assert refused.value.code == "SnapshotCreatedImage"
    client.delete_image(models.DeleteImageRequest(**region, image_id=made))
    for disk in disks:
        client.delete_snapshot(models.DeleteSnapshotRequest(snapshot_id=disk.snapshot_id))
    assert find_image(client, kiln.region, made) is None
    ids = json.dumps([disk.snapshot_id for disk in disks])
    left = client.describe_snapshots(models.DescribeSnapshotsRequest(**region, snapshot_ids=ids)).body
    assert left.total_count == 0


def test_makes_images_of_snapshots(kiln, client, instance, name):
    region = {"region_id": kiln.region}
    found = client.describe_disks(models.DescribeDisksRequest(**region, instance_id=instance)).body.disks.disk
    snapshots = {}
    for disk in found:
        check_types(disk)
        taken = client.create_snapshot(models.CreateSnapshotRequest(disk_id=disk.disk_id, snapshot_name=name)).body
        snapshots[disk.type] = wait_for_snapshot(client, kiln.region, taken.snapshot_id)

    alone = client.create_image(models.CreateImageRequest(**region, snapshot_id=snapshots["system"])).body.image_id
    mapped = client.create_image(
        models.CreateImageRequest(
            **region,
            image_name=name,
            platform="Debian",
            architecture="x86_64",
            disk_device_mapping=[
                models.CreateImageRequestDiskDeviceMapping(snapshot_id=snapshots["data"], disk_type="system"),
                models.CreateImageRequestDiskDeviceMapping(size=100, device="/dev/xvdc"),
            ],
        )
    ).body.image_id

    for image_id in (alone, mapped):
        wait_for_image(client, kiln.region, image_id)
    one, other = find_image(client, kiln.region, alone), find_image(client, kiln.region, mapped)
    assert [d.snapshot_id for d in one.disk_device_mappings.disk_device_mapping] == [snapshots["system"]]
    assert [(d.type, d.size) for d in other.disk_device_mappings.disk_device_mapping] == [
        ("system", "20"),
        ("data", "100"),
    ]
    assert other.platform == "Debian"


def test_copies_an_image_to_another_region_and_shares_the_copy_at_once(kiln, client, snapshot, name):
    region, far = {"region_id": kiln.region}, {"region_id": "cn-hangzhou"}
    source = client.create_image(models.CreateImageRequest(**region, snapshot_id=snapshot)).body.image_id

    copy = client.copy_image(
        models.CopyImageRequest(
            **region, image_id=source, destination_region_id="cn-hangzhou", destination_image_name=name
        )
    ).body.image_id
    client.modify_image_share_permission(models.ModifyImageSharePermissionRequest(**far, image_id=copy))

    client.delete_image(models.DeleteImageRequest(**region, image_id=source))
    wait_for_image(client, "cn-hangzhou", copy)
    image = find_image(client, "cn-hangzhou", copy)
    check_types(image)
    assert (image.image_name, image.is_copied, image.image_owner_alias, image.usable) == (name, True, "self", True)
    shares = client.describe_image_share_permission(
        models.DescribeImageSharePermissionRequest(**far, image_id=copy)
    ).body
    check_types(shares)
    assert (shares.total_count, shares.accounts.account) == (0, [])
    with pytest.raises(ClientException) as refused:
        client.cancel_copy_image(models.CancelCopyImageRequest(**far, image_id=copy))
    assert refused.value.code == "IncorrectImageStatus"
    types = client.describe_image_support_instance_types(
        models.DescribeImageSupportInstanceTypesRequest(**far, image_id=copy)
    ).body
    assert "ecs.t5-lc1m1.small" in [one.instance_type_id for one in types.instance_types.instance_type]
    client.delete_image(models.DeleteImageRequest(**far, image_id=copy))
    assert find_image(client, "cn-hangzhou", copy) is None


def test_describes_by_pages_names_and_tags(kiln, client, snapshot, name):
    region = {"region_id": kiln.region}
    for number in range(3):
        client.create_image(
            models.CreateImageRequest(
                **region,
                snapshot_id=snapshot,
                image_name=f"{name}-{number}",
                tag=[models.CreateImageRequestTag(key=name, value=str(number))],
            )
        )
    wanted = [models.DescribeImagesRequestTag(key=name)]
    every = "Creating,Waiting,Available,UnAvailable,CreateFailed"

    pages = [
        client.describe_images(
            models.DescribeImagesRequest(**region, tag=wanted, status=every, page_number=number, page_size=2)
        ).body
        for number in (1, 2, 3)
    ]
    by_name = client.describe_images(
        models.DescribeImagesRequest(**region, image_name=f"{name}-1", status=every)
    ).body.images.image
    unknown = client.describe_images(models.DescribeImagesRequest(**region, image_id="m-unknown")).body
    marketplace = client.describe_images(
        models.DescribeImagesRequest(**region, image_owner_alias="marketplace", image_id=by_name[0].image_id)
    ).body

    assert [(p.total_count, p.page_number, p.page_size, len(p.images.image)) for p in pages] == [
        (3, 1, 2, 2),
        (3, 2, 2, 1),
        (3, 3, 2, 0),
    ]
    assert [i.image_name for i in by_name] == [f"{name}-1"]
    assert (unknown.total_count, unknown.images.image) == (0, [])
    assert (marketplace.total_count, marketplace.images.image) == (0, [])


def test_puts_tags_on_and_changes_attributes(kiln, client, snapshot, name):
    region = {"region_id": kiln.region}
    image_id = client.create_image(models.CreateImageRequest(**region, snapshot_id=snapshot)).body.image_id
    wait_for_image(client, kiln.region, image_id)
    on = {"resource_type": "image", "resource_id": [image_id]}

    client.tag_resources(
        models.TagResourcesRequest(**region, **on, tag=[models.TagResourcesRequestTag(key="k", value="v")])
    )
    client.modify_image_attribute(
        models.ModifyImageAttributeRequest(**region, image_id=image_id, image_name=name, description="changed")
    )

    found = client.list_tag_resources(models.ListTagResourcesRequest(**region, **on)).body
    assert [(t.resource_id, t.tag_key, t.tag_value) for t in found.tag_resources.tag_resource] == [(image_id, "k", "v")]
    image = find_image(client, kiln.region, image_id)
    assert (image.image_name, image.description) == (name, "changed")
    client.untag_resources(models.UntagResourcesRequest(**region, **on, all=True))
    assert (
        client.list_tag_resources(models.ListTagResourcesRequest(**region, **on)).body.tag_resources.tag_resource == []
    )


def test_a_token_makes_one_thing_only(kiln, client, snapshot, name):
    asked = {"region_id": kiln.region, "snapshot_id": snapshot, "image_name": name, "client_token": name}

    first = client.create_image(models.CreateImageRequest(**asked)).body
    second = client.create_image(models.CreateImageRequest(**asked)).body
    with pytest.raises(ClientException) as refused:
        client.create_image(models.CreateImageRequest(**(asked | {"image_name": f"{name}-other"})))

    assert first.image_id == second.image_id
    assert refused.value.code == "IdempotenceParamNotMatch"


def test_a_name_used_twice_is_an_error_with_code_and_request_id(kiln, client, snapshot, name):
    asked = models.CreateImageRequest(region_id=kiln.region, snapshot_id=snapshot, image_name=name)
    client.create_image(asked)

    with pytest.raises(ClientException) as refused:
        client.create_image(asked)

    assert (refused.value.status_code, refused.value.code) == (400, "InvalidImageName.Duplicated")
    assert "already" in refused.value.message
    assert refused.value.request_id


def test_what_is_not_there_is_an_error_of_its_own(kiln, client):
    with pytest.raises(ClientException) as refused:
        client.create_image(models.CreateImageRequest(region_id=kiln.region, instance_id="i-nobody"))

    assert (refused.value.status_code, refused.value.code) == (404, "InvalidInstanceId.NotFound")


def test_a_rehearsal_says_so_and_makes_nothing(kiln, client, snapshot, name):
    with pytest.raises(ClientException) as refused:
        client.create_image(
            models.CreateImageRequest(region_id=kiln.region, snapshot_id=snapshot, image_name=name, dry_run=True)
        )

    assert refused.value.code == "DryRunOperation"
    every = "Creating,Waiting,Available,UnAvailable,CreateFailed"
    asked = models.DescribeImagesRequest(region_id=kiln.region, image_name=name, status=every)
    assert client.describe_images(asked).body.total_count == 0


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"access_key_secret": "another"}, 400, "SignatureDoesNotMatch"),
        ({"access_key_id": "nobody"}, 404, "InvalidAccessKeyId.NotFound"),
    ],
)
def test_strangers_are_told_why(kiln, changes, status, code):
    with pytest.raises(ClientException) as refused:
        connect(kiln, **changes).describe_images(models.DescribeImagesRequest(region_id=kiln.region))

    assert (refused.value.status_code, refused.value.code) == (status, code)


def test_signs_in_the_old_way_too(kiln):
    client = connect(kiln, signature_version="v2")

    found = client.describe_regions(models.DescribeRegionsRequest()).body

    assert kiln.region in [region.region_id for region in found.regions.region]


def import_image(client: Client, region: str, blank: tuple[str, str], name: str) -> str:
    """The ID of an image of the object *blank*, Available."""
    bucket, key = blank
    begun = client.import_image(
        models.ImportImageRequest(
            region_id=region,
            image_name=name,
            architecture="x86_64",
            platform="Others Linux",
            disk_device_mapping=[
                models.ImportImageRequestDiskDeviceMapping(format="qcow2", ossbucket=bucket, ossobject=key)
            ],
        )
    ).body

    def probe() -> Any:
        found = client.describe_tasks(models.DescribeTasksRequest(region_id=region, task_ids=begun.task_id)).body
        (task,) = found.task_set.task
        check_types(task)
        assert task.task_status != "Failed"
        return task.task_status == "Finished"

    wait_for(probe)
    return wait_for_image(client, region, begun.image_id)


def find_image(client: Client, region: str, image_id: str) -> Any:
    """The image, when it is Available."""
    found = client.describe_images(models.DescribeImagesRequest(region_id=region, image_id=image_id)).body.images.image
    return found[0] if found else None


def find_instance(client: Client, region: str, instance_id: str) -> Any:
    """The instance, or None."""
    asked = models.DescribeInstancesRequest(region_id=region, instance_ids=json.dumps([instance_id]))
    found = client.describe_instances(asked).body.instances.instance
    for one in found:
        check_types(one)
    return found[0] if found else None


def wait_for_image(client: Client, region: str, image_id: str) -> str:
    wait_for(lambda: find_image(client, region, image_id))
    return image_id


def wait_for_snapshot(client: Client, region: str, snapshot_id: str) -> str:
    def probe() -> bool:
        asked = models.DescribeSnapshotsRequest(region_id=region, snapshot_ids=json.dumps([snapshot_id]))
        (snapshot,) = client.describe_snapshots(asked).body.snapshots.snapshot
        check_types(snapshot)
        return snapshot.status == "accomplished"

    wait_for(probe)
    return snapshot_id


def check_types(model: Any) -> None:
    """That everything in *model*, which the SDK fills without looking, is what the SDK says that it is."""
    for name, parameter in inspect.signature(type(model).__init__).parameters.items():
        value, declared = getattr(model, name, None), str(parameter.annotation)
        if value is None or name == "self":
            continue
        values, kind = (value, declared[5:-1]) if declared.startswith("List[") else ([value], declared)
        for one in values:
            if kind in _SCALARS:
                assert type(one) in _SCALARS[kind], f"{type(model).__name__}.{name} is {one!r}, not a {kind}"
            else:
                check_types(one)


_SCALARS = {"str": (str,), "int": (int,), "bool": (bool,), "float": (float, int)}


def test_tells_who_changed_what_as_the_sdk_of_actiontrail_asks(kiln, client, name):
    """That SDK hands the same to the same ``call_api`` of the core that both stand on."""
    region = kiln.region
    disk = client.create_disk(
        models.CreateDiskRequest(region_id=region, zone_id=f"{region}-a", size=20, disk_name=name)
    ).body.disk_id
    asked = {"LookupAttribute": [{"Key": "ResourceName", "Value": disk}], "MaxResults": "1"}

    answer = client.call_api(
        Params(
            action="LookupEvents",
            version="2020-07-06",
            protocol="HTTPS",
            pathname="/",
            method="POST",
            auth_type="AK",
            style="RPC",
            req_body_type="formData",
            body_type="json",
        ),
        OpenApiRequest(query=Utils.query(asked)),
        RuntimeOptions(),
    )

    (event,) = answer["body"]["Events"]
    assert (event["eventName"], event["userIdentity"]["accessKeyId"]) == ("CreateDisk", kiln.access_key_id)
    assert event["requestParameters"]["DiskName"] == name
    assert event["userAgent"].startswith("AlibabaCloud")
