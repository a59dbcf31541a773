"""CreateDisk with Encrypted, as a caller meets it."""

from __future__ import annotations

import pytest

from kiln.operations.steps.encryption import key_of
from kiln.pools import overlay
from kiln.store.disks import disks
from tests.clouds import ACCOUNT, REGION
from tests.reading import the
from tests.stock import a_snapshot

pytestmark = pytest.mark.qcow2

ZONE, HERE = REGION + "-a", key_of(ACCOUNT, REGION)


def key_in_the_pool(cloud, disk):
    (path,) = (path for path in cloud.ports.pool.files(disk.volume) if path.stem == disk.volume)
    return overlay.read(path).lock.key


def test_makes_a_blank_disk_that_is_encrypted_with_the_accounts_key(cloud):
    made = [
        cloud.call("CreateDisk", ZoneId=ZONE, Size=20, Encrypted=True, **more)["DiskId"]
        for more in ({}, {"KMSKeyId": HERE, "EncryptAlgorithm": "AES-256"})
    ]
    cloud.settle()

    for disk in made:
        (told,) = cloud.call("DescribeDisks", DiskIds=f'["{disk}"]')["Disks"]["Disk"]
        assert (told["Encrypted"], told["KMSKeyId"], told["Status"]) == (True, HERE, "Available")
        assert key_in_the_pool(cloud, the(cloud, disks, id=disk)) == HERE


def test_makes_a_disk_of_a_snapshot_as_that_is(cloud):
    plain = a_snapshot(cloud, source_disk_type="data")
    sealed = cloud.call("CopySnapshot", SnapshotId=plain.id, Encrypted=True)["SnapshotId"]
    cloud.settle()

    made = [
        cloud.call("CreateDisk", ZoneId=ZONE, SnapshotId=sealed, **more)["DiskId"] for more in ({}, {"Encrypted": True})
    ]
    cloud.settle()

    assert [key_in_the_pool(cloud, the(cloud, disks, id=disk)) for disk in made] == [HERE, HERE]
    code = "InvalidEncrypted.NotMatchSnapshot"
    cloud.refuses("CreateDisk", code, 400, ZoneId=ZONE, SnapshotId=sealed, Encrypted=False)
    cloud.refuses("CreateDisk", code, 400, ZoneId=ZONE, SnapshotId=plain.id, Encrypted=True)


def test_refuses_keys_and_algorithms_that_are_not_there_or_for_nothing(cloud):
    blank = {"ZoneId": ZONE, "Size": 20}

    cloud.refuses("CreateDisk", "InvalidEncrypted.NotMatchKmsKeyId", 403, blank, KMSKeyId=HERE)
    cloud.refuses("CreateDisk", "InvalidEncrypted.NotMatchEncryptAlgorithm", 400, blank, EncryptAlgorithm="AES-256")
    cloud.refuses("CreateDisk", "InvalidParameter.KMSKeyId.NotFound", 404, blank, Encrypted=True, KMSKeyId="k")
    code = "InvalidRegionId.NotSupportEncryptAlgorithm"
    cloud.refuses("CreateDisk", code, 403, blank, Encrypted=True, EncryptAlgorithm="SM4-128")
