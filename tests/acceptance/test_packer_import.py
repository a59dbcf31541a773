"""Packer's ``alicloud-import``, which asks OSS's names at port 443 whatever its environment says: as its page tells."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance import own_network
from tests.docs.pages import examples
from tests.tools import lacks, needs

pytestmark = pytest.mark.sdk

ROOT = Path(__file__).resolve().parents[2]
PAGE = "docs/howto/packer.md"
(COMMANDS,) = [one.text for one in examples("sh") if one.page == PAGE and "unshare" in one.text]
(TEMPLATE,) = [json.loads(one.text) for one in examples("json") if one.page == PAGE and "alicloud-import" in one.text]


@pytest.fixture
def build(tmp_path):
    """What a build did, with these members of the page's post-processor."""
    needs("packer", "qemu-img", "unshare", "ip", "mount")
    namespaces = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
    for each in (namespaces, ["unshare", "--map-root-user", "--mount"]):
        tried = subprocess.run([*each, "true"], capture_output=True, text=True, check=False)
        if tried.returncode:
            lacks(f"namespaces of its own: {tried.stderr}")

    def run(disk="disk.raw", **members):
        kind = "vpc" if disk.endswith("vhd") else "raw"
        subprocess.run(["qemu-img", "create", "-q", "-f", kind, tmp_path / disk, "16M"], check=True)
        template = json.loads(json.dumps(TEMPLATE))
        artifice, imports = template["post-processors"][0]
        artifice["files"] = [disk]
        imports |= members
        (tmp_path / "import.json").write_text(json.dumps(template))
        program = [sys.executable, "-m", own_network.__name__, str(tmp_path), "sh", "-c", COMMANDS]
        return json.loads(subprocess.check_output([*namespaces, *program], cwd=ROOT, text=True))

    return run


def test_a_file_becomes_an_image_and_leaves_nothing_else(build):
    first = build()
    (image,) = first["images"]
    assert (first["code"], image["ImageName"], image["Status"]) == (0, "web-1", "Available"), first["said"]
    assert (image["Platform"], image["Architecture"], image["Size"]) == ("Debian", "x86_64", 20)
    assert (first["buckets"], first["objects"]) == (["images"], [])

    taken = build()
    assert taken["code"] != 0
    assert "Duplicated image exists" in taken["said"]
    assert taken["images"] == first["images"]

    forced = build("disk.vhd", format="VHD", image_force_delete=True, oss_key_name="kept.vhd", skip_clean=True)
    (other,) = forced["images"]
    assert (forced["code"], other["Status"]) == (0, "Available"), forced["said"]
    assert other["ImageId"] != image["ImageId"]
    assert forced["objects"] == ["kept.vhd"]
