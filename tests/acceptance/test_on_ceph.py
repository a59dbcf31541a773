"""A Kiln whose disks are on Ceph, from an imported image to an image of a machine that runs, and nothing left."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
from contextlib import closing, contextmanager

import pytest

from kiln.client.client import ApiFailure, Client
from kiln.client.waiters import wait
from kiln.ground.units import MiB
from kiln.guest.session import open_session
from kiln.pools.rbd.images import PRESENCE
from tests.ceph import POOL
from tests.guests import guest_image, reachable  # noqa: F401 - fixtures
from tests.mounts import mounted
from tests.tools import needs
from tests.waiting import wait_for
from tests.warm import kiln, start_kiln

pytestmark = pytest.mark.ceph


@pytest.fixture
def settings(ceph, request):
    namespace = re.sub(r"\W", "_", request.node.name)
    return {"pool": f"rbd:{POOL}/{namespace}", "ceph_conf": ceph.configuration, "accel": "tcg", "grace": "0"}


def images(ceph, settings):
    """What Ceph has of it, beside the image by which Kilns know of each other."""
    return set(ceph.run("rbd", "ls", settings["pool"].removeprefix("rbd:")).split()) - {PRESENCE}


@contextmanager
def started(data, machines, settings):
    """A served Kiln, and a client of it."""
    with (
        start_kiln(data, machines=machines, **settings) as served,
        closing(Client(served.endpoint, served.access_key_id, served.secret, served.region)) as client,
    ):
        yield served, client


def import_image(client, served, disk):
    bucket = served.buckets / "images"
    bucket.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(disk, bucket / "guest.qcow2")
    mapping = {"OSSBucket": "images", "OSSObject": "guest.qcow2", "Format": "QCOW2"}
    image = client.call("ImportImage", ImageName="guest", Platform="Debian", DiskDeviceMapping=[mapping])["ImageId"]
    wait(client, "image", image, "Available")
    return image


def run_instance(client, image):
    answer = client.call("RunInstances", ImageId=image, InstanceType="ecs.t5-lc2m1.nano", Amount=1)
    (instance,) = answer["InstanceIdSets"]["InstanceIdSet"]
    wait(client, "instance", instance, "Running")
    return instance


def create_image(client, name, instance):
    image = client.call("CreateImage", ImageName=name, InstanceId=instance)["ImageId"]
    wait(client, "image", image, "Available")
    return image


def delete(client, instances, of_images):
    for instance in instances:
        client.call("DeleteInstance", InstanceId=instance, Force=True)
    for instance in instances:
        wait(client, "instance", instance, None)
    for image in of_images:
        client.call("DeleteImage", ImageId=image, Force=True)
    for snapshot in client.call("DescribeSnapshots")["Snapshots"]["Snapshot"]:
        client.call("DeleteSnapshot", SnapshotId=snapshot["SnapshotId"], Force=True)


@pytest.mark.vm
def test_makes_images_of_a_running_machine_and_machines_of_these(reachable, ceph, settings, guest_image):  # noqa: F811
    needs("qemu-system-x86_64")
    with started(reachable / "data", "qemu", settings) as (served, client):
        first = import_image(client, served, guest_image)
        parent = run_instance(client, first)

        ask(served, parent, "write /data0/note before", "sync")
        image = create_image(client, "made", parent)
        ask(served, parent, "write /data0/note after", "sync")
        child = run_instance(client, image)

        assert ask(served, child, "read /data0/note") == "before"
        assert ask(served, parent, "read /data0/note") == "after"
        assert images(ceph, settings)
        delete(client, [parent, child], [image, first])
        wait_for(lambda: not images(ceph, settings), within_s=300)


@pytest.mark.vm
def test_starts_machines_again_after_all_but_the_cluster_was_killed(reachable, settings, guest_image):  # noqa: F811
    """Ceph believes in the dead for a while, and in the locks that they held."""
    needs("qemu-system-x86_64")
    with started(reachable / "data", "qemu", settings) as (served, client):
        instance = run_instance(client, import_image(client, served, guest_image))
        ask(served, instance, "write /data0/note kept", "sync")

        served.kill9()
        os.kill(int((served.data / "run" / instance / "pid").read_text()), signal.SIGKILL)
        served.start()
        wait(client, "instance", instance, "Stopped")
        client.call("StartInstance", InstanceId=instance)
        wait(client, "instance", instance, "Running")

        assert ask(served, instance, "read /data0/note") == "kept"
        assert create_image(client, "made", instance)
        client.call("DeleteInstance", InstanceId=instance, Force=True)
        wait(client, "instance", instance, None)


def ask(served, instance, *commands):
    """Have a guest carry out commands; the last one's answer."""
    with open_session(served.data / "run" / instance / "console") as session:
        return [session.ask(command) for command in commands][-1]


def test_refuses_what_it_cannot_keep_encrypted(tmp_path, settings):
    with started(tmp_path / "data", "none", settings) as (served, client), pytest.raises(ApiFailure) as refused:
        client.call("CreateDisk", Size=20, Encrypted=True, ZoneId=f"{served.region}-a")

    assert refused.value.code == "InvalidRegionId.NotSupportEncryptAlgorithm"


@pytest.mark.parametrize("form", ["raw", "vpc", "vmdk"])
def test_keeps_nothing_of_what_comes_and_goes(tmp_path, settings, monkeypatch, form):
    """All that the host has of its own is smaller than the image; the bucket is somebody else's."""
    needs("qemu-img")
    own, bucket = tmp_path / "own", tmp_path / "bucket"
    own.mkdir()
    bucket.mkdir()
    source = a_disk_of(bucket, form)
    with mounted("-t", "tmpfs", "-o", f"size={DISK_BYTES // 2}", "tmpfs", own):
        (own / "tmp").mkdir()
        monkeypatch.setenv("TMPDIR", str(own / "tmp"))
        with started(own / "data", "none", settings) as (served, client):
            within = served.buckets / "images"
            within.mkdir()
            with mounted("--bind", bucket, within):
                mapping = {"OSSBucket": "images", "OSSObject": source.name}
                image = client.call("ImportImage", ImageName="come", DiskDeviceMapping=[mapping])["ImageId"]
                wait(client, "image", image, "Available")
                target = FORMATS[form]
                task = client.call("ExportImage", ImageId=image, OSSBucket="images", ImageFormat=target)["TaskId"]
                wait(client, "task", task, "Finished")
            (gone,) = set(bucket.iterdir()) - {source}
            compared = ["qemu-img", "compare", "-f", form, "-F", form, source, gone]
            assert subprocess.run(compared, check=False).returncode == 0


FORMATS = {"raw": "raw", "vpc": "vhd", "vmdk": "vmdk"}  #: What QEMU's words are to the API.
DISK_BYTES = 96 * MiB


def a_disk_of(bucket, form):
    """A disk of that form, full of bytes that nothing makes smaller."""
    raw, made = bucket / "come.raw", bucket / f"come.{FORMATS[form]}"
    raw.write_bytes(random.Random(form).randbytes(DISK_BYTES))
    if form != "raw":
        options = ["-o", "subformat=dynamic,force_size=on"] if form == "vpc" else []
        subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", form, *options, raw, made], check=True)
        raw.unlink()
    return made


def test_says_what_keeps_it_from_its_pool(tmp_path, settings):
    nowhere = settings | {"ceph_conf": tmp_path / "nowhere"}
    words = [f"--{name.replace('_', '-')}={value}" for name, value in nowhere.items() if name != "grace"]

    done = kiln("serve", "--data", tmp_path / "data", "--machines", "none", *words)

    assert done.returncode != 0
    assert settings["pool"] in done.stderr
