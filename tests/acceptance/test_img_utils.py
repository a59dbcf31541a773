"""SUSE's aliyun-img-utils, as who publishes images runs it: told no endpoint, and led here by its proxy.

Its exit code and its last line say nothing of what became of an image, so it is Kiln that is asked.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from kiln.client.client import Client
from tests.docs.pages import examples
from tests.tools import needs
from tests.warm import start_kiln

pytestmark = pytest.mark.sdk

REGION, FAR = "cn-hangzhou", "us-west-1"
KILN = [sys.executable, "-P", "-m", "kiln.cli.main"]
PROGRAM = Path(sys.executable).with_name("aliyun-img-utils")
MIB = 1 << 20


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    needs("qemu-img")
    with start_kiln(tmp_path_factory.mktemp("img-utils") / "data", regions=f"{REGION},{FAR}", log="info") as kiln:
        (kiln.buckets / "images").mkdir()
        yield kiln


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    """A disk whose file is three parts of an upload, and a little."""
    path = tmp_path_factory.mktemp("disk") / "suse.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "5G"], check=True)
    subprocess.run(["qemu-io", "-c", "write -P 7 1M 3M", path], check=True, capture_output=True)
    return path


@pytest.fixture(scope="module")
def img_utils(served, tmp_path_factory):
    """What a command of it said; in an environment that ``kiln env python`` prints."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KILN_")}
    told = subprocess.run([*KILN, "env", "python", "--data", served.data], capture_output=True, check=True, env=kept)
    lines = told.stdout.decode().splitlines()
    variables = dict(line.removeprefix("export ").split("=", 1) for line in lines)
    environment = kept | {name: value.strip("'") for name, value in variables.items()}
    environment["HOME"] = str(tmp_path_factory.mktemp("home"))
    keys = ["--access-key", served.access_key_id, "--access-secret", served.secret]

    def run(command, *words, typed=""):
        done = subprocess.run(
            [PROGRAM, "image", command, *map(str, words), *keys, "--region", REGION, "--bucket-name", "images"],
            capture_output=True, text=True, check=False, env=environment, input=typed,
        )  # fmt: skip
        return done.stdout + done.stderr

    return run


@pytest.fixture(scope="module")
def client(served):
    made = Client(served.endpoint, served.access_key_id, served.secret, REGION)
    yield made
    made.close()


def actions(served, since=0):
    """How often each action was asked for, as the log has it; other requests are no actions."""
    said = served.log.read_bytes()[since:].decode()
    return Counter(part.split('"', 1)[0] for part in said.split('"action": "')[1:])


def images_of(client, name):
    """By region; whatever their status is."""
    found = {}
    for region in (REGION, FAR):
        asked = {"RegionId": region, "ImageName": name, "Status": "Creating,Available,CreateFailed,Deprecated"}
        for image in client.call("DescribeImages", asked)["Images"]["Image"]:
            found[region] = image
    return found


def test_the_page_uploads_as_it_stands(served, disk, tmp_path):
    (page,) = [
        one.text for one in examples("sh") if one.page == "docs/howto/python.md" and "aliyun-img-utils" in one.text
    ]
    # Another test of this Kiln may have uploaded the same, which the tool does not do twice.
    (served.buckets / "images" / disk.name).unlink(missing_ok=True)
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "kiln").write_text(f'#!/bin/sh\nexec {shlex.join(KILN)} "$@"\n')
    (folder / "kiln").chmod(0o755)
    (tmp_path / disk.name).symlink_to(disk)
    environment = {
        "PATH": f"{folder}:{PROGRAM.parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "KILN_DATA": str(served.data),
    }

    done = subprocess.run(["sh", "-ec", page], capture_output=True, check=False, cwd=tmp_path, env=environment)

    assert done.returncode == 0, done.stderr
    assert (served.buckets / "images" / disk.name).stat().st_size == disk.stat().st_size


@pytest.mark.parametrize("way", ["--accelerated-transfer", "--direct-transfer"])
def test_uploads_in_parts_and_replaces_by_force_alone(served, img_utils, disk, way):
    since, name = served.log.stat().st_size, f"suse{way}.qcow2"
    said = img_utils("upload", "--image-file", disk, "--blob-name", name, "--page-size", MIB, way)

    assert (served.buckets / "images" / name).read_bytes() == disk.read_bytes(), said
    assert actions(served, since)["UploadPart"] == 4
    (served.buckets / "images" / name).write_bytes(b"another")
    assert "already exists" in img_utils("upload", "--image-file", disk, "--blob-name", name, way)
    assert (served.buckets / "images" / name).read_bytes() == b"another"

    img_utils("upload", "--image-file", disk, "--blob-name", name, "--force-replace-image", way)
    assert (served.buckets / "images" / name).read_bytes() == disk.read_bytes()


def test_an_image_is_made_copied_deprecated_activated_and_deleted(served, img_utils, client, disk):
    (served.buckets / "images" / "suse.qcow2").write_bytes(disk.read_bytes())
    described = ["--image-description", "SUSE's own", "--platform", "SUSE", "--blob-name", "suse.qcow2"]

    said = img_utils("create", "--image-name", "suse-15", *described, "--disk-size", 20, "--nvme-support")
    image = images_of(client, "suse-15")[REGION]
    assert (image["Status"], image["Platform"], image["Description"]) == ("Available", "SUSE", "SUSE's own"), said
    assert (image["Size"], image["Features"]["NvmeSupport"]) == (20, "supported")
    assert f'"ImageId": "{image["ImageId"]}"' in img_utils("info", "--image-name", "suse-15")
    assert "InvalidImageName.Duplicated" in img_utils("create", "--image-name", "suse-15", *described)

    img_utils("replicate", "--image-name", "suse-15")
    copies = images_of(client, "suse-15")
    assert set(copies) == {REGION, FAR}
    assert copies[FAR]["Description"] == "SUSE's own"

    img_utils("deprecate", "--image-name", "suse-15", "--replacement-image", "suse-16")
    for one in images_of(client, "suse-15").values():
        tags = {tag["TagKey"]: tag["TagValue"] for tag in one["Tags"]["Tag"]}
        assert (set(tags), one["Status"]) == ({"Deprecated on", "Removal date", "Replacement image"}, "Available")
        assert tags["Replacement image"] == "suse-16"

    client.call("ModifyImageAttribute", RegionId=FAR, ImageId=copies[FAR]["ImageId"], Status="Deprecated")
    img_utils("activate", "--image-name", "suse-15")
    assert {one["Status"] for one in images_of(client, "suse-15").values()} == {"Available"}

    img_utils("delete", "--image-name", "suse-15", "--regions", FAR, typed="y\n")
    assert set(images_of(client, "suse-15")) == {REGION}


def test_an_image_is_made_in_place_of_another_by_force_and_published_to_nobody(served, img_utils, client, disk):
    (served.buckets / "images" / "suse.qcow2").write_bytes(disk.read_bytes())
    described = ["--image-description", "SUSE's own", "--platform", "SUSE", "--blob-name", "suse.qcow2"]
    img_utils("create", "--image-name", "suse-16", *described)
    first = images_of(client, "suse-16")[REGION]["ImageId"]

    img_utils("create", "--image-name", "suse-16", *described, "--force-replace-image")
    assert images_of(client, "suse-16")[REGION]["ImageId"] != first

    said = img_utils("publish", "--image-name", "suse-16", "--launch-permission", "EXAMPLE", "--regions", REGION)
    assert "ForbiddenParameter.LaunchPermission" in said
    assert not images_of(client, "suse-16")[REGION]["IsPublic"]
    assert '"Account": []' in img_utils("share-permission", "--image-name", "suse-16")
