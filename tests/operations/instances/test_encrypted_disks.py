"""Instances whose disks are to be encrypted, as a caller meets them."""

from __future__ import annotations

import pytest

from kiln.operations.steps.encryption import key_of
from kiln.pools import overlay
from kiln.store.disks import disks
from tests.clouds import ACCOUNT, REGION
from tests.kill.scenarios import SYSTEM, an_image_with
from tests.reading import every
from tests.stock import a_snapshot

pytestmark = pytest.mark.qcow2

HERE, TYPE = key_of(ACCOUNT, REGION), "ecs.t5-lc1m1.small"
NO = "NotSupportSnapshotEncrypted.DiskCategory"


@pytest.fixture
def plain(cloud):
    return an_image_with(cloud, SYSTEM)


@pytest.fixture
def sealed(cloud, plain):
    image = cloud.call("CopyImage", ImageId=plain, Encrypted=True)["ImageId"]
    cloud.settle()
    return image


def a_stopped_instance(cloud, image):
    run = cloud.call("RunInstances", ImageId=image, InstanceType=TYPE)
    (instance,) = run["InstanceIdSets"]["InstanceIdSet"]
    cloud.settle()
    cloud.call("StopInstance", InstanceId=instance)
    cloud.settle()
    return instance


def keys_of(cloud):
    """By device, the key that is told of each disk, which is that in its header."""
    told = {}
    for disk in every(cloud, disks):
        (path,) = (path for path in cloud.ports.pool.files(disk.volume) if path.stem == disk.volume)
        lock = overlay.read(path).lock
        assert disk.kms_key == ("" if lock is None else lock.key)
        told[disk.device] = disk.kms_key
    return told


@pytest.mark.parametrize("action", ["RunInstances", "CreateInstance"])
def test_a_blank_disk_is_encrypted_where_that_is_asked_for(cloud, plain, action):
    wanted = {"DataDisk.1.Size": 20, "DataDisk.1.Encrypted": True, "DataDisk.2.Size": 20, "DataDisk.3.Size": 20}
    named = {"DataDisk.3.Encrypted": "true", "DataDisk.3.KMSKeyId": HERE, "DataDisk.2.Encrypted": "false"}

    cloud.call(action, wanted | named, ImageId=plain, InstanceType=TYPE)
    cloud.settle()

    assert keys_of(cloud) == {"/dev/xvda": "", "/dev/xvdb": HERE, "/dev/xvdc": "", "/dev/xvdd": HERE}


def test_what_an_encrypted_image_has_may_be_asked_for_and_is_so_anyway(cloud, sealed):
    for wanted in ({"SystemDisk.Encrypted": "true", "SystemDisk.KMSKeyId": HERE}, {"SystemDisk.Encrypted": "false"}):
        cloud.call("RunInstances", wanted, ImageId=sealed, InstanceType=TYPE)
    cloud.settle()

    assert keys_of(cloud) == {"/dev/xvda": HERE}


def test_a_plain_image_and_a_plain_snapshot_make_no_encrypted_disks(cloud, plain):
    data = a_snapshot(cloud, source_disk_type="data")
    run = {"ImageId": plain, "InstanceType": TYPE}

    cloud.refuses("RunInstances", NO, 403, {"SystemDisk.Encrypted": "true"}, **run)
    wanted = {"DataDisk.1.SnapshotId": data.id, "DataDisk.1.Encrypted": "true"}
    cloud.refuses("RunInstances", NO, 403, wanted, **run)
    cloud.refuses("CreateInstance", NO, 403, wanted, **run)


refused = pytest.mark.parametrize(
    ("wanted", "code", "status"),
    [
        ({"KMSKeyId": HERE}, "InvalidEncrypted.NotMatchKmsKeyId", 403),
        ({"EncryptAlgorithm": "AES-256"}, "InvalidEncrypted.NotMatchEncryptAlgorithm", 400),
        ({"Encrypted": "true", "KMSKeyId": "k"}, "InvalidParameter.KMSKeyId.NotFound", 404),
        ({"Encrypted": "true", "EncryptAlgorithm": "SM4-128"}, "InvalidRegionId.NotSupportEncryptAlgorithm", 403),
        ({"Encrypted": "yes"}, "InvalidParameter", 400),
    ],
)


@refused
def test_refuses_keys_and_algorithms_that_are_not_there_or_for_nothing(cloud, plain, wanted, code, status):
    disk = {"DataDisk.1.Size": 20} | {f"DataDisk.1.{name}": value for name, value in wanted.items()}

    for action in ("RunInstances", "CreateInstance"):
        cloud.refuses(action, code, status, disk, ImageId=plain, InstanceType=TYPE)


@refused
def test_refuses_them_of_a_disk_that_replaces_another(cloud, sealed, wanted, code, status):
    instance = a_stopped_instance(cloud, sealed)

    cloud.refuses("ReplaceSystemDisk", code, status, wanted, InstanceId=instance, ImageId=sealed)


def test_a_system_disk_is_replaced_by_an_encrypted_one_of_such_an_image_alone(cloud, plain, sealed):
    instance = a_stopped_instance(cloud, plain)

    cloud.refuses("ReplaceSystemDisk", NO, 403, InstanceId=instance, ImageId=plain, Encrypted=True)
    cloud.call("ReplaceSystemDisk", InstanceId=instance, ImageId=sealed, Encrypted=True, KMSKeyId=HERE)
    cloud.settle()

    assert keys_of(cloud) == {"/dev/xvda": HERE}
