"""A served Kiln in which every noun of the console has something to show, without machines."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kiln.client import waiters
from kiln.client.client import Client
from kiln.ground.units import GiB
from kiln.testing.served import Served
from tests.warm import start_kiln

TYPE = "ecs.t5-lc2m1.nano"
HOSTILE = '<script>alert("x")</script> & "<b>'  #: Is shown as it was given, and does nothing.


@contextmanager
def open_stocked(data: Path) -> Iterator[tuple[Served, Client]]:
    """The Kiln, and a client of its account."""
    with start_kiln(data) as served:
        client = Client(served.endpoint, served.access_key_id, served.secret, served.region)
        try:
            stock(served, client)
            yield served, client
        finally:
            client.close()


def stock(served: Served, client: Client) -> None:
    """An image of a disk and two of an instance, a failed import, an instance on and one off, and what goes with it."""
    imported = import_blank(served, client, "debian-12")
    made = client.call("RunInstances", ImageId=imported, InstanceType=TYPE, Amount=2, InstanceName="web")
    first, second = made["InstanceIdSets"]["InstanceIdSet"]
    for instance in (first, second):
        waiters.wait(client, "instance", instance, until="Running")
    family = {"ImageName": "web-1", "ImageFamily": "web", "InstanceId": first, "Description": "Our web server."}
    image = client.call("CreateImage", family | {"Tag.1.Key": "role", "Tag.1.Value": "web"})["ImageId"]
    waiters.wait(client, "image", image, until="Available")
    old = client.call("CreateImage", InstanceId=first, ImageName="web-0", ImageFamily="web")["ImageId"]
    waiters.wait(client, "image", old, until="Available")
    client.call("ModifyImageAttribute", ImageId=old, Status="Deprecated")
    (disk,) = client.call("DescribeDisks", InstanceId=second)["Disks"]["Disk"]
    snapshot = client.call("CreateSnapshot", DiskId=disk["DiskId"], SnapshotName="before-upgrade")["SnapshotId"]
    waiters.wait(client, "snapshot", snapshot, until="accomplished")
    client.call("StopInstance", InstanceId=second)
    waiters.wait(client, "instance", second, until="Stopped")
    client.call("CreateDisk", ZoneId=disk["ZoneId"], Size=20, DiskCategory="cloud_essd", DiskName="spare")
    client.call("CreateKeyPair", KeyPairName="laptop")
    client.call("ModifyInstanceAttribute", InstanceId=second, InstanceName="数据库-2", Description=HOSTILE)
    gone = client.call("RunInstances", ImageId=image, InstanceType=TYPE, InstanceName="gone")
    (third,) = gone["InstanceIdSets"]["InstanceIdSet"]
    waiters.wait(client, "instance", third, until="Running")
    client.call("DeleteInstance", InstanceId=third, Force=True)
    _fail(served, client)


def import_blank(served: Served, client: Client, name: str) -> str:
    """The ID of an Available image of a blank disk."""
    bucket = served.buckets / "disks"
    bucket.mkdir(exist_ok=True)
    with (bucket / f"{name}.raw").open("wb") as disk:
        os.truncate(disk.fileno(), GiB)
    image: str = client.call("ImportImage", _of(bucket, f"{name}.raw", "RAW") | {"ImageName": name})["ImageId"]
    waiters.wait(client, "image", image, until="Available")
    return image


def _fail(served: Served, client: Client) -> None:
    """Import what is no disk: the image that comes of it has failed, and says why."""
    bucket = served.buckets / "disks"
    (bucket / "words.qcow2").write_text("This is no disk.")
    image = client.call("ImportImage", _of(bucket, "words.qcow2", "QCOW2") | {"ImageName": "broken"})["ImageId"]
    try:
        waiters.wait(client, "image", image, until="Available")
    except waiters.WaitFailed:
        return
    raise AssertionError("an import of words has not failed")


def _of(bucket: Path, name: str, kind: str) -> dict[str, str]:
    mapping = "DiskDeviceMapping.1."
    return {f"{mapping}Format": kind, f"{mapping}OSSBucket": bucket.name, f"{mapping}OSSObject": name}
