"""Scenarios on a disk that is full, each in a process of its own, all in a mount namespace of theirs.

    echo NAME FOLDER | unshare [--map-root-user] --mount python -m tests.full.scenarios

The small disk is a tmpfs that only these processes see, so it needs no root and
is gone when the last of them ends. A scenario that does not hold raises.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kiln.ground.clock import to_seconds_text
from kiln.ground.units import MiB
from kiln.service.backups.errors import BackupRefused
from kiln.service.backups.examining import examine
from kiln.service.backups.restoring import restore
from kiln.service.backups.taking import Wish, take
from kiln.service.errors import DatabaseUnusable
from kiln.store import images, schema, tasks
from kiln.store.database import open_sqlite
from kiln.store.disks import disks
from kiln.store.instances import instances
from kiln.store.snapshots import snapshots
from kiln.store.volumes import volumes
from kiln.upkeep.fsck import fsck
from kiln.upkeep.sweep import sweep
from kiln.wire.gateway import Gateway
from kiln.wire.key import Key
from kiln.wire.nonces import MemoryNonces
from kiln.wire.signatures import rpc
from tests.clouds import ACCOUNT, REGION, Cloud, make_cloud
from tests.forks import fork_for_each_line
from tests.service.pairs import Home, as_cloud
from tests.stock import a_snapshot, an_instance
from tests.wire.raw import raw_request


def mount(folder: Path, size_mib: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "tmpfs", folder], check=True)


def fill(folder: Path) -> Path:
    """Leave not one byte on the disk of *folder*."""
    filler = folder / "filler"
    descriptor = os.open(filler, os.O_CREAT | os.O_WRONLY)
    with contextlib.suppress(OSError):
        while True:
            os.write(descriptor, b"x" * 4096)
    os.close(descriptor)
    return filler


def a_cloud(folder: Path, pool_mib: int) -> Cloud:
    """A Kiln whose pool is on a small disk, and nothing else."""
    mount(folder / "pool", pool_mib)
    database = open_sqlite(folder / "kiln.sqlite")
    schema.create(database)
    return make_cloud(folder, database)


def write(cloud: Cloud, volume: str, pattern: int, mib: int = 1) -> None:
    path = cloud.folder / "pool" / f"{volume}.qcow2"
    command = ["qemu-io", "-f", "qcow2", "-c", f"write -P {pattern} 0 {mib}M", path]
    subprocess.run(command, check=True, capture_output=True)


def reads(cloud: Cloud, volume: str, pattern: int, mib: int = 1) -> bool:
    path = cloud.folder / "pool" / f"{volume}.qcow2"
    command = ["qemu-io", "-r", "-f", "qcow2", "-c", f"read -P {pattern} 0 {mib}M", path]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def heads(cloud: Cloud, instance: str) -> list[str]:
    with cloud.ports.database.read() as tx:
        return [d.volume for d in sorted(disks.all(tx, instance=instance), key=lambda d: d.device) if d.volume]


def image_of(cloud: Cloud, image: str) -> images.Image:
    with cloud.ports.database.read() as tx:
        found = images.images.find(tx, id=image)
    assert found is not None
    return found


def expect_sound(cloud: Cloud) -> None:
    """After a sweep nothing is left over, and fsck finds nothing."""
    sweep(cloud.ports)
    assert fsck(cloud.ports, repair=False, say=lambda _: None) == []
    with cloud.ports.database.read() as tx:
        assert {v.id for v in volumes.all(tx)} == set(cloud.ports.pool.volumes())
    assert not list((cloud.folder / "pool").glob(".tmp-*"))


def freeze(folder: Path) -> None:
    """CreateImage from an instance."""
    cloud = a_cloud(folder, 16)
    instance = an_instance(cloud, data_disks=2).id
    before = heads(cloud, instance)
    for n, head in enumerate(before):
        write(cloud, head, n + 1)
    filler = fill(folder / "pool")
    refused = cloud.call("CreateImage", InstanceId=instance, ImageName="web")["ImageId"]
    cloud.settle()

    failed = image_of(cloud, refused)
    assert (failed.status, failed.error_code) == ("CreateFailed", "ServiceUnavailable")
    assert "room" in failed.error_message
    with cloud.ports.database.read() as tx:
        assert {s.status for s in snapshots.all(tx)} == {"failed"}
    assert heads(cloud, instance) == before
    assert all(reads(cloud, head, n + 1) for n, head in enumerate(before))

    filler.unlink()
    expect_sound(cloud)
    made = cloud.call("CreateImage", InstanceId=instance, ImageName="web-2")["ImageId"]
    cloud.settle()
    assert image_of(cloud, made).status == "Available"
    assert all(reads(cloud, head, n + 1) for n, head in enumerate(before))
    expect_sound(cloud)


def bring_in(folder: Path) -> None:
    """ImportImage of more than there is room for."""
    cloud = a_cloud(folder, 16)
    kept = a_snapshot(cloud)
    bucket = folder / "buckets" / "images"
    bucket.mkdir(parents=True)
    (bucket / "disk.raw").write_bytes(os.urandom(32 * MiB))
    ask = {"DiskDeviceMapping.1.OSSBucket": "images", "DiskDeviceMapping.1.OSSObject": "disk.raw"}
    refused = cloud.call("ImportImage", ask, ImageName="web")
    cloud.settle()

    failed = image_of(cloud, refused["ImageId"])
    assert failed.status == "CreateFailed"
    assert failed.error_code == "ImportImageFailed"
    assert "no room" in failed.error_message
    with cloud.ports.database.read() as tx:
        task = tasks.tasks.find(tx, id=refused["TaskId"])
        assert task is not None
        assert task.status == "Failed"
    expect_sound(cloud)
    assert set(cloud.ports.pool.volumes()) == {kept.volume}

    subprocess.run(["mount", "-o", "remount,size=128m", folder / "pool"], check=True)
    made = cloud.call("ImportImage", ask, ImageName="web-2")["ImageId"]
    cloud.settle()
    assert image_of(cloud, made).status == "Available"
    with cloud.ports.database.read() as tx:
        (disk,) = images.disks_of(tx, [made])[made]
        layer = snapshots.find(tx, id=disk.snapshot)
    assert layer is not None
    path = folder / "pool" / f"{layer.volume}.qcow2"
    subprocess.run(["qemu-img", "compare", "-f", "qcow2", "-F", "raw", path, bucket / "disk.raw"], check=True)
    expect_sound(cloud)


def merge(folder: Path) -> None:
    """The sweeper's merge."""
    cloud = a_cloud(folder, 24)
    instance = an_instance(cloud).id
    (below,) = heads(cloud, instance)
    write(cloud, below, 7, 4)
    image = cloud.call("CreateImage", InstanceId=instance)["ImageId"]
    cloud.settle()
    (head,) = heads(cloud, instance)
    write(cloud, head, 9)
    cloud.call("DeleteImage", ImageId=image)
    cloud.ports.database.write(lambda tx: snapshots.delete(tx, volume=below))
    filler = fill(folder / "pool")
    sweep(cloud.ports)
    cloud.settle()

    assert cloud.ports.pool.parent(head) == below
    assert reads(cloud, head, 9)
    assert reads(cloud, below, 7, 4)
    assert not list((folder / "pool").glob(".tmp-*"))

    filler.unlink()
    for _ in range(8):
        cloud.clock.now += 60
        cloud.settle()
        sweep(cloud.ports)
    assert cloud.ports.pool.parent(head) is None
    assert reads(cloud, head, 9)
    assert heads(cloud, instance) == [head]
    expect_sound(cloud)


def run_instances(folder: Path) -> None:
    """RunInstances: the instance goes away again, the image stays whole."""
    cloud = a_cloud(folder, 16)
    snapshot = a_snapshot(cloud)
    write(cloud, str(snapshot.volume), 5)
    image = cloud.call("CreateImage", SnapshotId=snapshot.id)["ImageId"]
    filler = fill(folder / "pool")
    cloud.call("RunInstances", ImageId=image, InstanceType="ecs.t5-lc2m1.nano")
    cloud.settle()

    with cloud.ports.database.read() as tx:
        assert instances.all(tx) == []
        assert disks.all(tx) == []
        assert [t.error_code for t in tasks.tasks.all(tx)] == ["ServiceUnavailable"]
    assert reads(cloud, str(snapshot.volume), 5)
    filler.unlink()
    expect_sound(cloud)
    cloud.call("RunInstances", ImageId=image, InstanceType="ecs.t5-lc2m1.nano")
    cloud.settle()
    with cloud.ports.database.read() as tx:
        assert [i.status for i in instances.all(tx)] == ["Running"]


class _OneKey:
    """Credentials with one key."""

    def access_key(self, key_id: str) -> Key | None:
        return Key(id=key_id, secret="SECRETTEST", account_id=ACCOUNT)

    def session(self, token: str) -> Key | None:
        return None

    def app(self, app_key: str) -> Key | None:
        return None

    def instance(self, instance_id: str, role: str) -> Key | None:
        return None

    def users(self, account_id: str) -> frozenset[str]:
        return frozenset()


def database(folder: Path) -> None:
    """The database's own disk: 503 for the caller, and nothing is half written."""
    mount(folder / "small", 8)
    opened = open_sqlite(folder / "small" / "kiln.sqlite")
    schema.create(opened)
    cloud = make_cloud(folder, opened)
    snapshot = a_snapshot(cloud).id
    gateway = Gateway(cloud.dispatcher, _OneKey(), MemoryNonces(), cloud.clock)
    filler = fill(folder / "small")
    statuses = [_create(cloud, gateway, snapshot, n) for n in range(64)]

    assert statuses[-1] == 503
    assert set(statuses) <= {200, 503}
    with opened.read() as tx:
        assert images.images.count(tx) == statuses.count(200) == images.image_disks.count(tx)
        assert [tuple(row) for row in tx.driver("PRAGMA integrity_check", ()).fetchall()] == [("ok",)]
    filler.unlink()
    assert _create(cloud, gateway, snapshot, 999) == 200


def task(folder: Path) -> None:
    """The database's own disk, while a task is carried out: it is tried again until its end can be recorded."""
    mount(folder / "small", 8)
    opened = open_sqlite(folder / "small" / "kiln.sqlite")
    schema.create(opened)
    cloud = make_cloud(folder, opened)
    instance = an_instance(cloud).id
    (head,) = heads(cloud, instance)
    write(cloud, head, 3)
    image = cloud.call("CreateImage", InstanceId=instance)["ImageId"]
    claimed = cloud.worker.claim(cloud.clock())
    with opened.read() as tx:
        tx.driver("PRAGMA wal_checkpoint(TRUNCATE)", ()).fetchall()  # Else there would be room in the log.
    filler = fill(folder / "small")
    for one in claimed:
        cloud.worker.attempt(one)

    assert image_of(cloud, image).status == "Creating"
    filler.unlink()
    cloud.worker.start()
    deadline = time.monotonic() + 300
    while image_of(cloud, image).status == "Creating" and time.monotonic() < deadline:
        cloud.clock.now += tasks.LEASE_S / 2  # The worker, which lives, renews its leases.
        time.sleep(0.2)
    cloud.worker.stop()
    assert image_of(cloud, image).status == "Available"
    with opened.read() as tx:
        (disk,) = images.disks_of(tx, [image])[image]
        layer = snapshots.find(tx, id=disk.snapshot)
    assert layer is not None
    assert layer.volume == head
    assert reads(cloud, head, 3)
    expect_sound(cloud)


def send_out(folder: Path) -> None:
    """ExportImage to a bucket without room for it."""
    mount(folder / "buckets", 1)
    cloud = a_cloud(folder, 16)
    bucket = folder / "buckets" / "images"
    bucket.mkdir()
    snapshot = a_snapshot(cloud)
    write(cloud, str(snapshot.volume), 5, 4)
    image = cloud.call("CreateImage", SnapshotId=snapshot.id)["ImageId"]
    ask = {"ImageId": image, "OSSBucket": "images", "ImageFormat": "qcow2"}
    refused = cloud.call("ExportImage", **ask)["TaskId"]
    cloud.settle()

    progress = cloud.call("DescribeTaskAttribute", TaskId=refused)
    assert progress["TaskStatus"] == "Failed"
    assert "no room" in str(progress["OperationProgressSet"])
    assert list(bucket.iterdir()) == []
    subprocess.run(["mount", "-o", "remount,size=16m", folder / "buckets"], check=True)
    cloud.call("ExportImage", **ask)
    cloud.settle()
    (stored,) = bucket.iterdir()
    command = ["qemu-io", "-r", "-f", "qcow2", "-c", "read -P 5 0 4M", stored]
    subprocess.run(command, check=True, capture_output=True)
    expect_sound(cloud)


def backup(folder: Path) -> None:
    """A backup, and what is made of one, where there is no room for it: the one before stays whole."""
    mount(folder / "small", 8)
    home = Home(folder / "home")
    with home.started() as it:
        cloud = as_cloud(it)
        instance = an_instance(cloud, account=cloud.account).id
        (head,) = heads(cloud, instance)
        write(cloud, head, 5)
    to = folder / "small" / "backups"
    good = take(home.settings, to, Wish(), _silent, _silent)
    with home.started() as it:
        write(as_cloud(it), head, 6, 12)

    filler = fill(folder / "small")
    for refusal in ((BackupRefused, DatabaseUnusable, OSError), BackupRefused):
        with pytest.raises(refusal):
            take(home.settings, to, Wish(), _silent, _silent)
        assert [path.name for path in to.iterdir()] == [good.path.name]
        assert list(examine(good.path, good.manifest, _silent)) == []
        filler.unlink(missing_ok=True)
    whole = take(home.settings, folder / "backups", Wish(), _silent, _silent)
    with pytest.raises(BackupRefused, match="No space left"):
        restore(Home(folder / "small" / "again").settings, whole.path, _silent)
    assert list((folder / "small" / "again").iterdir()) == []
    restore(Home(folder / "again").settings, whole.path, _silent)
    with Home(folder / "again").started() as it:
        assert reads(as_cloud(it), head, 6, 12)
        expect_sound(as_cloud(it))


def _silent(*_: object) -> None:
    """Nobody listens."""


def _create(cloud: Cloud, gateway: Gateway, snapshot: str, n: int) -> int:
    params = {"Action": "CreateImage", "Version": "2014-05-26", "Format": "JSON", "RegionId": REGION}
    params |= {"SnapshotId": snapshot, "ImageName": f"web-{n}", "Description": "x" * 250}
    signed = rpc.sign(
        params,
        method="POST",
        key_id="AKIDTEST",
        secret="SECRETTEST",
        timestamp=to_seconds_text(cloud.clock.now),
        nonce=str(n),
    )
    body = "&".join(f"{k}={v.replace(' ', '%20').replace('+', '%2B').replace('=', '%3D')}" for k, v in signed.items())
    headers = [("content-type", "application/x-www-form-urlencoded"), ("host", "127.0.0.1")]
    return gateway.answer(raw_request("POST", "/", headers, body.encode())).status


SCENARIOS: dict[str, Callable[[Path], None]] = {
    "backup": backup,
    "freeze": freeze,
    "bring_in": bring_in,
    "merge": merge,
    "run_instances": run_instances,
    "send_out": send_out,
    "database": database,
    "task": task,
}

if __name__ == "__main__":
    fork_for_each_line(lambda name, folder: SCENARIOS[name](Path(folder)))
