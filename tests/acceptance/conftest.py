"""One served Kiln for all clients, and a disk to begin with."""

from __future__ import annotations

import itertools
import subprocess

import pytest

from tests.acceptance.xca_client import XCaClient
from tests.served import Served, start_kiln
from tests.tools import needs

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def kiln(tmp_path_factory) -> Served:
    """A Kiln whose machines are only states."""
    needs("qemu-img")
    with start_kiln(tmp_path_factory.mktemp("served") / "data") as served:
        yield served


@pytest.fixture(autouse=True)
def log(kiln):
    """What the server logged meanwhile, shown with a test that fails."""
    before = kiln.log.stat().st_size
    yield
    with kiln.log.open("rb") as file:
        file.seek(before)
        print(file.read().decode(errors="replace"))  # noqa: T201 - pytest shows it when there is a reason.


@pytest.fixture(scope="session")
def blank(kiln) -> tuple[str, str]:
    """A bucket and an object in it: the file of a small blank disk."""
    bucket = kiln.data / "buckets" / "acceptance"
    bucket.mkdir()
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(bucket / "blank.qcow2"), "1G"], check=True)
    return "acceptance", "blank.qcow2"


@pytest.fixture(scope="session")
def xca(kiln) -> XCaClient:
    """A client of the Apsara route."""
    return XCaClient(kiln.endpoint, kiln.app_key, kiln.app_secret, kiln.region)


@pytest.fixture(scope="session")
def image(xca, blank) -> str:
    """An image of the blank disk, Available."""
    bucket, name = blank
    mapping = {"Format": "qcow2", "OSSBucket": bucket, "OSSObject": name}
    answer = xca.ask(
        "ImportImage", ImageName="blank", **{f"DiskDeviceMapping.1.{key}": value for key, value in mapping.items()}
    )
    return xca.wait_for_image(answer["ImageId"])


@pytest.fixture(scope="session")
def instance(xca, image) -> str:
    """A stopped instance of that image with a data disk."""
    answer = xca.ask("CreateInstance", {"DataDisk.1.Size": "20"}, ImageId=image, InstanceType="ecs.t5-lc1m1.small")
    return xca.wait_for_instance(answer["InstanceId"], "Stopped")


@pytest.fixture(scope="session")
def snapshot(xca, instance) -> str:
    """A snapshot of that instance's system disk."""
    disk = xca.ask("DescribeDisks", InstanceId=instance, DiskType="system")["Disks"]["Disk"][0]
    return xca.wait_for_snapshot(xca.ask("CreateSnapshot", DiskId=disk["DiskId"])["SnapshotId"])


@pytest.fixture
def name() -> str:
    """A name that no other test gives to anything."""
    return f"acceptance-{next(_numbers)}"
