"""A layer that lost bytes is not named once more: QEMU reads what was cut off as zeros, and says nothing of it."""

from __future__ import annotations

import os

import pytest

from kiln.store.disks import disks
from kiln.store.snapshots import snapshots
from kiln.store.volumes import volumes
from kiln.upkeep.sweep import sweep
from tests.kill.scenarios import DATA, SYSTEM, fill
from tests.reading import every, the
from tests.stock import an_instance
from tests.tools import needs

pytestmark = pytest.mark.qcow2

WAYS = {
    "CreateImage": lambda of, _: {"SnapshotId": of},
    "CreateImage of mappings": lambda of, _: {"DiskDeviceMapping.1.SnapshotId": of},
    "CopyImage": lambda _, image: {"ImageId": image},
    "CopySnapshot": lambda of, _: {"SnapshotId": of},
}


@pytest.fixture
def made(cloud):
    """Two snapshots of one disk, one after the other, and an image of the second."""
    needs("qemu-img", "qemu-io")
    instance = an_instance(cloud)
    made = []
    for content in (SYSTEM, DATA):
        disk = the(cloud, disks, instance=instance.id)
        fill(cloud, disk.volume, content)
        made.append(cloud.call("CreateSnapshot", DiskId=disk.id)["SnapshotId"])
        cloud.settle()
    return *made, cloud.call("CreateImage", SnapshotId=made[1])["ImageId"]


def ask(way, snapshot, image):
    """The action, and what it is given."""
    return way.partition(" ")[0], WAYS[way](snapshot, image)


def file_of(cloud, snapshot):
    path = cloud.folder / "pool" / f"{the(cloud, snapshots, id=snapshot).volume}.qcow2"
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("harm", ["cut", "longer", "gone", "below cut", "below gone"])
def test_is_refused_of_a_layer_that_lost_bytes(cloud, made, way, harm):
    first, second, image = made
    path = file_of(cloud, first if "below" in harm else second)
    length = path.stat().st_size
    if "gone" in harm:
        path.unlink()
    else:
        os.truncate(path, length + (512 if harm == "longer" else -1))

    action, given = ask(way, second, image)
    error = cloud.refuses(action, "ServiceUnavailable", 503, given)

    assert path.stem in str(error)
    assert str(cloud.folder) not in str(error)


@pytest.mark.parametrize("way", WAYS)
def test_is_made_again_when_the_bytes_are_back(cloud, made, way):
    _, second, image = made
    action, given = ask(way, second, image)
    path = file_of(cloud, second)
    content = path.read_bytes()
    os.truncate(path, len(content) - 1)
    cloud.refuses(action, "ServiceUnavailable", 503, given)
    path.write_bytes(content)

    assert cloud.call(action, given)


def test_is_made_of_a_layer_that_took_another_in(cloud, made):
    """What the files were like is remembered from the image that there is; now one is longer, and one gone."""
    first, second, _ = made
    cloud.call("DeleteSnapshot", SnapshotId=first)
    sweep(cloud.ports)
    cloud.settle()
    sweep(cloud.ports)
    assert the(cloud, volumes, id=the(cloud, snapshots, id=second).volume).parent is None

    assert cloud.call("CreateImage", SnapshotId=second)

    path = file_of(cloud, second)
    os.truncate(path, path.stat().st_size - 1)
    cloud.refuses("CreateImage", "ServiceUnavailable", 503, SnapshotId=second)


def test_is_made_of_a_layer_of_which_no_length_is_known(cloud, made):
    """An older Kiln did not write it down."""
    _, second, _ = made
    layer = the(cloud, snapshots, id=second).volume
    cloud.ports.database.write(lambda tx: volumes.update(tx, {"file_bytes": None}, id=layer))

    assert cloud.call("CreateImage", SnapshotId=second)
    assert [row.file_bytes for row in every(cloud, volumes, id=layer)] == [None]
