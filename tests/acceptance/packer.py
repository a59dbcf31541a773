"""Debian's Packer beside a Kiln: builds as its users start them, and what each has asked for and left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kiln.client.client import Client

REGION, FAR = "cn-hangzhou", "us-west-1"
TYPE = "ecs.t5-lc1m1.small"
_ENDS_WITHIN_S = 300.0

#: What a build makes on its way, and what it may leave where it is told to: the action that lists it, and where.
_PASSING: Mapping[str, tuple[str, str, str]] = {
    "DescribeInstances": ("Instances", "Instance", "InstanceId"),
    "DescribeDisks": ("Disks", "Disk", "DiskId"),
    "DescribeKeyPairs": ("KeyPairs", "KeyPair", "KeyPairName"),
    "DescribeEipAddresses": ("EipAddresses", "EipAddress", "AllocationId"),
    "DescribeVpcs": ("Vpcs", "Vpc", "VpcId"),
    "DescribeVSwitches": ("VSwitches", "VSwitch", "VSwitchId"),
    "DescribeSecurityGroups": ("SecurityGroups", "SecurityGroup", "SecurityGroupId"),
}
_LASTING: Mapping[str, tuple[str, str, str]] = {
    "DescribeImages": ("Images", "Image", "ImageId"),
    "DescribeSnapshots": ("Snapshots", "Snapshot", "SnapshotId"),
}
_ALL_STATUSES = "Creating,Waiting,Available,UnAvailable,CreateFailed,Deprecated"


@dataclass
class Build:
    """How a build went."""

    code: int  #: Packer's exit code.
    said: str
    calls: list[str]  #: The actions that it asked for, in their order.
    refused: list[tuple[str, str]]  #: Those of them that were refused, with the code.
    passing: set[str] = field(default_factory=set)  #: What it left of things that it makes on its way.
    images: dict[str, Any] = field(default_factory=dict)  #: The images that are there by it, by region and name.
    snapshots: set[str] = field(default_factory=set)  #: The snapshots that are there by it.
    lost: set[str] = field(default_factory=set)  #: What is there no more.

    @property
    def traces(self) -> set[str]:
        """All that is there by it, and that is there no more."""
        return self.passing | self.snapshots | self.lost | {image["ImageId"] for image in self.images.values()}


class Packer:
    """Builds from the *source* image, each by the *client*'s account on the *served* Kiln."""

    def __init__(self, served: Any, client: Client, source: str, folder: Path) -> None:
        self.client = client
        self._served = served
        self._folder = folder
        self._builder = {
            "type": "alicloud-ecs",
            "region": REGION,
            "source_image": source,
            "instance_type": TYPE,
            "communicator": "none",
            "ssh_password": "Pass-word-1",
        }

    def build(
        self,
        name: str,
        *words: str,
        provision: Sequence[str] = (),
        interrupt_at: str = "",
        **builder: Any,
    ) -> Build:
        """``packer build`` with these members of the builder; *provision* runs on this host.

        With *interrupt_at* Ctrl-C is typed when Packer prints that.
        """
        template: dict[str, Any] = {"builders": [{**self._builder, "image_name": name, **builder}]}
        if provision:
            template["provisioners"] = [{"type": "shell-local", "inline": list(provision)}]
        path = self._folder / f"{name}.json"
        path.write_text(json.dumps(template))
        before, since = self._there(), self._served.log.stat().st_size
        code, said = self._run(["packer", "build", "-color=false", *words, str(path)], interrupt_at)
        asked = self._asked(since)
        build = Build(
            code=code,
            said=said,
            calls=[line["action"] for line in asked],
            refused=[(line["action"], line["code"]) for line in asked if line["code"]],
        )
        after = self._there()
        for key, one in after.items():
            if key in before:
                continue
            if key[1] == "DescribeImages":
                build.images[key[0], one["ImageName"]] = one
            elif key[1] == "DescribeSnapshots":
                build.snapshots.add(key[2])
            else:
                build.passing.add(key[2])
        build.lost = {key[2] for key in before if key not in after}
        return build

    def _run(self, command: list[str], interrupt_at: str) -> tuple[int, str]:
        kept = {name: value for name, value in os.environ.items() if "PROXY" not in name.upper()}
        kiln = [sys.executable, "-P", "-m", "kiln.cli.main", "run", "--data", str(self._served.data), "--"]
        said: list[str] = []
        with subprocess.Popen(
            [*kiln, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**kept, "HOME": str(self._folder), "PACKER_CACHE_DIR": str(self._folder)},
            cwd=self._folder,
            start_new_session=True,  # A terminal's Ctrl-C reaches all of a group, and this is one.
        ) as packer:
            assert packer.stdout is not None
            try:
                for line in packer.stdout:
                    said.append(line)
                    if interrupt_at and interrupt_at in line:
                        os.killpg(packer.pid, signal.SIGINT)
                        interrupt_at = ""
                code = packer.wait(_ENDS_WITHIN_S)
            finally:
                if packer.poll() is None:
                    os.killpg(packer.pid, signal.SIGKILL)
        assert not interrupt_at, "".join(said)
        return code, "".join(said)

    def _asked(self, since: int) -> list[dict[str, Any]]:
        with self._served.log.open("rb") as log:
            log.seek(since)
            lines = [json.loads(line) for line in log if line.startswith(b"{")]
        return [line for line in lines if line.get("event") == "request" and line["action"]]

    def _there(self) -> dict[tuple[str, str, str], dict[str, Any]]:
        found = {}
        for region in (REGION, FAR):
            for action, (many, one, name) in {**_PASSING, **_LASTING}.items():
                more = {"Status": _ALL_STATUSES} if action == "DescribeImages" else {}
                asked = {"RegionId": region, "PageSize": "50", **more}
                for it in self.client.call(action, asked)[many][one]:
                    # The network that an account's first instance had made for it stays, as in the cloud.
                    if not it.get("IsDefault"):
                        found[region, action, it[name]] = it
        return found
