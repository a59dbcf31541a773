"""`kiln image copy --pool`: an image goes from one Kiln's pool to another's, whatever sort these are, or not at all."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import tempfile
from contextlib import closing, contextmanager

import pytest

from kiln.cli import exits
from kiln.cli.remote import RemoteUpload
from kiln.cli.uploads import fresh_name, uploads_of
from kiln.client.client import Client
from kiln.client.waiters import find, wait
from kiln.ground.units import MiB
from tests import warm
from tests.ceph import POOL
from tests.tools import needs
from tests.waiting import wait_for
from tests.warm import start_kiln

pytestmark = pytest.mark.slow

needs("qemu-img")


@contextmanager
def started(folder, name, **settings):
    """A Kiln, and a client of it."""
    with (
        start_kiln(folder / name, **settings) as served,
        closing(Client(served.endpoint, served.access_key_id, served.secret, served.region)) as client,
    ):
        yield served, client


@pytest.fixture
def two(tmp_path):
    """Two Kilns with a pool of files each, and clients of them."""
    with started(tmp_path, "one") as one, started(tmp_path, "other") as other:
        yield one, other


def a_disk(file, size_bytes, holds_bytes):
    """A raw disk with random bytes at its beginning and at its end, and none between."""
    made = random.Random(file.name)
    with file.open("wb") as disk:
        disk.truncate(size_bytes)
        for _ in range(0, holds_bytes, MiB):
            disk.write(made.randbytes(min(MiB, holds_bytes)))
        disk.seek(size_bytes - 4096)
        disk.write(made.randbytes(4096))
    return file


def import_disks(served, client, *disks, **more):
    bucket = served.buckets / "images"
    bucket.mkdir(parents=True, exist_ok=True)
    for disk in disks:
        subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", disk, bucket / disk.name], check=True)
    mappings = [{"OSSBucket": "images", "OSSObject": disk.name, "Format": "QCOW2"} for disk in disks]
    image = client.call("ImportImage", {"DiskDeviceMapping": mappings, **more})["ImageId"]
    wait(client, "image", image, "Available", timeout_s=300)
    return image


def environment(served):
    keys = {"KILN_ACCESS_KEY_ID": served.access_key_id, "KILN_ACCESS_KEY_SECRET": served.secret}
    clean = {name: value for name, value in os.environ.items() if not name.startswith("KILN_")}
    return clean | keys | {"KILN_ENDPOINT": served.endpoint, "KILN_REGION": served.region}


def copy(served, other, image, *more):
    words = ["image", "copy", image, "--pool", other.endpoint, *more]
    return warm.kiln(*words, env=environment(served), timeout=300)


def bytes_of(served, client, image):
    """What a guest reads of each disk, as files."""
    bucket = served.buckets / "looked-at"
    bucket.mkdir(parents=True, exist_ok=True)
    task = client.call("ExportImage", ImageId=image, OSSBucket="looked-at", ImageFormat="raw")["TaskId"]
    wait(client, "task", task, "Finished", timeout_s=300)
    return sorted(bucket.iterdir(), key=lambda file: (len(file.name), file.name))


def are_same(one, other):
    return subprocess.run(["qemu-img", "compare", "-f", "raw", "-F", "raw", one, other], check=False).returncode == 0


def left(served):
    """The files that lie in the buckets of copies, parts of what has not come whole among them."""
    folders = [*served.buckets.glob("exports-*"), *served.buckets.glob("uploads-*")]
    return [file for folder in folders for file in folder.rglob("*") if file.is_file()]


def written_out(served):
    return list(served.buckets.glob("exports-*/copy_*"))


def test_an_image_of_two_disks_is_the_same_in_the_other_pool_and_nothing_is_left_beside_it(two, tmp_path):
    (one, ours), (other, theirs) = two
    disks = [a_disk(tmp_path / "system", 64 * MiB, 9 * MiB), a_disk(tmp_path / "data", 32 * MiB, MiB)]
    told = {"ImageName": "web-1", "Description": "of the shop", "Platform": "Debian", "BootMode": "UEFI"}
    image = import_disks(one, ours, *disks, **told, Tag=[{"Key": "stage", "Value": "live"}])
    ours.call("ModifyImageAttribute", ImageId=image, ImageFamily="web", BootMode="UEFI-Preferred")

    done = copy(one, other, "web-1", "--compare")

    assert done.returncode == 0, done.stderr
    made = done.stdout.strip()
    found, before = find(theirs, "image", made), find(ours, "image", image)
    alike = (
        "ImageName",
        "Description",
        "Platform",
        "OSType",
        "Architecture",
        "ImageFamily",
        "BootMode",
        "Size",
        "Tags",
    )
    assert {name: found[name] for name in alike} == {name: before[name] for name in alike}
    assert all(are_same(*pair) for pair in zip(disks, bytes_of(other, theirs, made), strict=True))
    assert done.stderr.count("of both reads the same: sha256:") == 2
    assert left(one) == left(other) == []


def test_a_name_that_is_taken_there_is_refused_before_anything_is_done(two, tmp_path):
    (one, ours), (other, theirs) = two
    disk = a_disk(tmp_path / "system", MiB, 4096)
    import_disks(one, ours, disk, ImageName="web-1")
    import_disks(other, theirs, disk, ImageName="web-1")

    refused = copy(one, other, "web-1")

    assert (refused.returncode, "there is an image web-1 already" in refused.stderr) == (4, True), refused.stderr
    assert list(ours.rows("DescribeTasks", TaskAction="ExportImage")) == []
    assert copy(one, other, "web-1", "--name", "web-2").returncode == 0


def test_an_address_that_is_none_is_told_of_the_flag_that_named_it(two):
    (one, _), _ = two
    words = ["image", "copy", "any", "--pool", "ftp://nowhere"]

    done = warm.kiln(*words, env=environment(one), timeout=300)

    assert done.returncode == exits.SETTINGS.number
    assert "--pool must be of the form http://HOST:PORT." in done.stderr
    assert "KILN_ENDPOINT" not in done.stderr


def test_an_upload_that_was_broken_off_as_it_began_is_taken_away(two):
    """Its ID never came to whoever had asked for it."""
    _, (other, theirs) = two
    bucket = uploads_of(theirs.pseudonym)
    theirs.objects.make_bucket(bucket)
    upload = RemoteUpload(bucket, fresh_name("disk"), theirs.objects)
    theirs.objects.begin(bucket, upload.object)
    assert left(other) != []

    upload.remove()

    assert left(other) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_one_that_is_ended_in_the_middle_leaves_no_image_and_the_next_one_goes(two, tmp_path, number):
    (one, ours), (other, theirs) = two
    image = import_disks(one, ours, a_disk(tmp_path / "system", 400 * MiB, 320 * MiB), ImageName="web-1")
    with tempfile.TemporaryFile() as said:
        words = ["image", "copy", image, "--pool", other.endpoint]
        begun = warm.begin(*words, stdout=said.fileno(), stderr=said.fileno(), env=environment(one))
        wait_for(lambda: written_out(one), within_s=300)
        os.kill(begun.pid, number)
        assert begun.wait(300) != 0
    assert [row["Status"] for row in theirs.rows("DescribeImages", Status="ALL")] == []
    assert number == signal.SIGKILL or left(one) == left(other) == []
    done = copy(one, other, image)
    assert done.returncode == 0, done.stderr
    assert find(theirs, "image", done.stdout.strip())["Status"] == "Available"


@pytest.mark.ceph
def test_an_image_goes_to_ceph_and_back_the_same(ceph, tmp_path):
    settings = {"pool": f"rbd:{POOL}/copied", "ceph_conf": ceph.configuration}
    disk = a_disk(tmp_path / "system", 64 * MiB, 5 * MiB)
    with started(tmp_path, "files") as (files, ours), started(tmp_path, "ceph", **settings) as (there, theirs):
        image = import_disks(files, ours, disk, ImageName="web-1")
        to_ceph = copy(files, there, image, "--compare")
        assert to_ceph.returncode == 0, to_ceph.stderr

        back = copy(there, files, to_ceph.stdout.strip(), "--name", "back", "--compare")

        assert back.returncode == 0, back.stderr
        (came_back,) = bytes_of(files, ours, back.stdout.strip())
        assert are_same(disk, came_back)
        assert find(theirs, "image", to_ceph.stdout.strip())["ImageName"] == "web-1"
