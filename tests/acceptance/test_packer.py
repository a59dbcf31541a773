"""What users of Packer build, by Debian's own: how each build ends, and that nothing else stays in Kiln.

No machine runs, so nothing here logs in: that is seen in ``kiln demo packer``.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from kiln.client import waiters
from kiln.client.client import Client
from kiln.ground.units import GiB
from tests.acceptance.packer import FAR, REGION, Packer
from tests.tools import needs
from tests.warm import start_kiln

pytestmark = pytest.mark.sdk

#: Written with the spelling that Packer has.
COPYING = "Coping image"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A Kiln of two regions, which says in its log what is asked of it."""
    needs("packer", "qemu-img")
    data = tmp_path_factory.mktemp("packer") / "data"
    with start_kiln(data, regions=f"{REGION},{FAR}", log="info") as kiln:
        yield kiln


@pytest.fixture(scope="module")
def client(served):
    made = Client(served.endpoint, served.access_key_id, served.secret, REGION)
    yield made
    made.close()


@pytest.fixture(scope="module")
def packer(served, client, tmp_path_factory):
    disk = served.buckets / "packer" / "blank.raw"
    disk.parent.mkdir()
    with disk.open("wb") as file:
        os.truncate(file.fileno(), GiB)
    mapping = {"Format": "RAW", "OSSBucket": disk.parent.name, "OSSObject": disk.name}
    asked = {f"DiskDeviceMapping.1.{name}": value for name, value in mapping.items()}
    source = client.call("ImportImage", {"ImageName": "blank", **asked})["ImageId"]
    waiters.wait(client, "image", source, until="Available")
    return Packer(served, client, source, tmp_path_factory.mktemp("templates"))


@pytest.fixture
def name(request):
    """The name of an image that no other test makes."""
    return re.sub(r"\W", "-", request.node.name.removeprefix("test_"))[:60]


@pytest.fixture(scope="module")
def others(served):
    """Two more accounts."""
    words = [sys.executable, "-P", "-m", "kiln.cli.main", "account", "add", "--json", "--data", str(served.data)]
    return [json.loads(subprocess.check_output([*words, one]))["Account"] for one in ("first", "second")]


def of_mappings(image):
    """An image's disks by their device: type and size."""
    return {one["Device"]: (one["Type"], one["Size"]) for one in image["DiskDeviceMappings"]["DiskDeviceMapping"]}


def snapshots_of(*images):
    return {one["SnapshotId"] for image in images for one in image["DiskDeviceMappings"]["DiskDeviceMapping"]}


def test_bakes_with_all_that_a_template_may_say(packer, name, others, client):
    build = packer.build(
        name,
        user_data="#!/bin/sh\necho baked\n",
        vpc_name="packer",
        vpc_cidr_block="10.3.0.0/16",
        vswitch_name="packer",
        instance_name="packer",
        io_optimized=True,
        associate_public_ip_address=True,
        internet_charge_type="PayByTraffic",
        internet_max_bandwidth_out=5,
        system_disk_mapping={"disk_category": "cloud_essd", "disk_size": 40, "disk_name": "system"},
        image_disk_mappings=[{"disk_size": 20, "disk_device": "/dev/xvdb", "disk_delete_with_instance": True}],
        image_version="1.0",
        image_description="Baked by Packer.",
        tags={"role": "web"},
        image_copy_regions=[FAR],
        image_copy_names=[f"{name}-far"],
        image_share_account=[others[0]],
        image_unshare_account=[others[1]],
    )

    assert (build.code, build.refused) == (0, []), build.said
    image, copy = build.images.pop((REGION, name)), build.images.pop((FAR, f"{name}-far"))
    assert of_mappings(image) == of_mappings(copy) == {"/dev/xvda": ("system", "40"), "/dev/xvdb": ("data", "20")}
    assert (image["Description"], image["ImageVersion"]) == ("Baked by Packer.", "1.0")
    assert image["Tags"]["Tag"] == [{"TagKey": "role", "TagValue": "web"}]
    for region, one in ((REGION, image), (FAR, copy)):
        told = client.call("DescribeImageSharePermission", RegionId=region, ImageId=one["ImageId"])
        assert [account["AliyunId"] for account in told["Accounts"]["Account"]] == [others[0]]
    assert (build.images, build.passing, build.lost) == ({}, set(), set())
    assert build.snapshots == snapshots_of(image, copy)
    assert {"AssociateEipAddress", "UnassociateEipAddress", "CreateVSwitch", "AuthorizeSecurityGroup"} <= {*build.calls}


def test_an_image_whose_name_is_taken_gives_way_by_force_alone(packer, name):
    copied = {"image_copy_regions": [FAR], "image_copy_names": [f"{name}-far"]}
    first = packer.build(name, **copied)
    assert first.code == 0, first.said

    refused = packer.build(name, **copied)
    assert (refused.code, refused.calls[-1]) == (1, "DescribeImages")
    assert f"is used by an existing alicloud image: {first.images[REGION, name]['ImageId']}" in refused.said
    assert refused.traces == set()

    forced = packer.build(name, "-force", **copied)
    assert (forced.code, forced.refused) == (0, []), forced.said
    assert set(forced.images) == set(first.images)
    assert forced.lost == {image["ImageId"] for image in first.images.values()} | first.snapshots
    assert not forced.passing

    images_alone = packer.build(name, image_force_delete=True)
    assert (images_alone.code, images_alone.refused) == (0, []), images_alone.said
    assert images_alone.lost == {forced.images[REGION, name]["ImageId"]}


def test_uses_what_is_there_and_leaves_it(packer, name, client, tmp_path):
    vpc = client.call("CreateVpc", CidrBlock="10.1.0.0/16")["VpcId"]
    switch = client.call("CreateVSwitch", VpcId=vpc, ZoneId=f"{REGION}-a", CidrBlock="10.1.1.0/24")["VSwitchId"]
    group = client.call("CreateSecurityGroup", VpcId=vpc)["SecurityGroupId"]
    key = tmp_path / "key"
    key.write_text(client.call("CreateKeyPair", KeyPairName="kept")["PrivateKeyBody"])

    build = packer.build(
        name,
        vpc_id=vpc,
        vswitch_id=switch,
        security_group_id=group,
        ssh_private_ip=True,
        ssh_private_key_file=str(key),
        ssh_keypair_name="kept",
        skip_region_validation=True,
        skip_image_validation=True,
        wait_snapshot_ready_timeout=60,
        force_stop_instance=True,
    )

    assert (build.code, build.refused, build.passing, build.lost) == (0, [], set(), set()), build.said
    assert set(build.images) == {(REGION, name)}
    assert {"AttachKeyPair", "DetachKeyPair"} <= {*build.calls}
    for never in ("DescribeRegions", "CreateKeyPair", "CreateVpc", "CreateSecurityGroup", "AllocateEipAddress"):
        assert never not in build.calls


def test_makes_no_image_of_data_disks_where_they_are_ignored(packer, name, client):
    snapshot = client.call("DescribeSnapshots")["Snapshots"]["Snapshot"][0]["SnapshotId"]

    build = packer.build(
        name,
        image_ignore_data_disks=True,
        image_disk_mappings=[{"disk_snapshot_id": snapshot, "disk_delete_with_instance": True}],
    )

    assert (build.code, build.refused, build.passing) == (0, [], set()), build.said
    (image,) = build.images.values()
    assert list(of_mappings(image).values()) == [("system", "1")]
    assert build.snapshots == snapshots_of(image)


def test_an_image_that_is_to_be_encrypted_is_the_only_one_that_stays(packer, name):
    """Packer makes a plain one, has it copied, and deletes it."""
    build = packer.build(name, image_encrypted=True)

    assert (build.code, build.refused, build.passing) == (0, [], set()), build.said
    (image,) = build.images.values()
    assert [one["Encrypted"] for one in image["DiskDeviceMappings"]["DiskDeviceMapping"]] == [True]
    assert build.snapshots == snapshots_of(image)


@pytest.mark.parametrize(
    ("refused", "builder"),
    [
        ([("CreateInstance", "InvalidInstanceType.ValueNotSupported")], {"instance_type": "ecs.none"}),
        (
            [("ModifyImageSharePermission", "InvalidAccount.NotFound")] * 2,
            {"image_share_account": ["1234567890123456"]},
        ),
        ([], {"vpc_id": "vpc-nobody"}),
        ([], {"provision": ["exit 3"]}),
        ([], {"communicator": "ssh", "ssh_username": "root", "ssh_timeout": "1s"}),
    ],
    ids=["type", "share", "vpc", "provisioner", "ssh"],
)
def test_what_fails_leaves_nothing(packer, name, refused, builder):
    build = packer.build(name, **builder)

    assert (build.code, build.refused) == (1, refused), build.said
    assert build.traces == set(), build.said


def test_a_copy_that_was_finished_is_all_that_a_late_failure_leaves(packer, name):
    """Packer only asks to cancel it, as it would a copy of minutes: whether it comes in time is up to the machine."""
    build = packer.build(
        name, image_copy_regions=[FAR], image_copy_names=[f"{name}-far"], image_share_account=["1234567890123456"]
    )

    assert (build.code, build.passing) == (1, set()), build.said
    assert "CancelCopyImage" in build.calls
    finished = ("CancelCopyImage", "IncorrectImageStatus") in build.refused
    assert set(build.images) == ({(FAR, f"{name}-far")} if finished else set()), build.said
    assert build.snapshots == snapshots_of(*build.images.values())


@pytest.mark.parametrize(
    ("line", "builder"),
    [
        ("Creating vpc", {"user_data": "x"}),
        ("Creating instance", {}),
        ("a long work", {"provision": ["echo a long work; sleep 100"]}),
        ("Waiting for SSH", {"communicator": "ssh", "ssh_username": "root"}),
        ("Creating image", {}),
    ],
    ids=lambda one: re.sub(r"\W", "-", one) if isinstance(one, str) else "",
)
def test_ctrl_c_leaves_nothing(packer, name, line, builder):
    build = packer.build(name, interrupt_at=line, **builder)

    assert (build.code, build.refused) == (1, []), build.said
    assert "Cleanly cancelled builds after being interrupted" in build.said
    assert build.traces == set(), build.said
