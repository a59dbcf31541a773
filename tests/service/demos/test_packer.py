from __future__ import annotations

import json
import shutil

import pytest

from kiln.service.demos import packer
from kiln.service.demos.stage import DemoFailed
from tests.guests import CACHE
from tests.tools import needs

SAID = """alicloud-ecs: output will be in this color.

==> alicloud-ecs: Creating VPC: packer
    alicloud-ecs: Created VPC: vpc-1
==> alicloud-ecs: Waiting for SSH to become available...
Build 'alicloud-ecs' finished.
"""


def test_says_each_stage_of_a_build_with_its_time():
    said, begun = [], []

    lines = list(packer.stages(SAID.splitlines(keepends=True), said.append, begun.append))

    assert "".join(lines) == SAID
    assert [line.split("  ")[3] for line in said] == ["Creating VPC: packer", "Waiting for SSH to become available..."]
    assert begun == ["Creating VPC: packer", "Waiting for SSH to become available..."]
    assert all(line.endswith(("ms", " s")) for line in said)


def test_begins_nothing_without_packer(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "which", lambda _: None)

    with pytest.raises(DemoFailed, match="apt install packer"):
        packer.demo(print, tmp_path / "cache", keep=tmp_path / "data")

    assert not (tmp_path / "data").exists()


def test_its_template_says_what_the_demo_looks_for():
    template = json.loads(packer.TEMPLATE.read_text())
    (builder,), (provisioner,) = template["builders"], template["provisioners"]

    assert builder["image_name"] == packer.NAME
    assert builder["tags"] == packer.TAGS
    assert any(packer.ISSUE in line for line in provisioner["inline"])


@pytest.mark.debian
@pytest.mark.vm
@pytest.mark.timeout(3600)
def test_packer_bakes_an_image_and_leaves_nothing_behind():
    needs("packer", "mmdebstrap", "sfdisk", "mtools", "qemu-img", "qemu-system-x86_64")
    said = []

    packer.demo(said.append, CACHE.parent)

    assert any(packer.ISSUE in line for line in said)
    assert said[-1].startswith("All of it held.")
