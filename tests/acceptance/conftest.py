"""One served Kiln for all clients, and a disk to begin with: on what Kiln brings itself, and on each of the engines."""

from __future__ import annotations

import itertools
import subprocess

import pytest

from tests.acceptance.xca_client import XCaClient
from tests.ceph import POOL
from tests.postgresql import make_database
from tests.tools import needs

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def kiln_settings(engine, request, tmp_path_factory):
    """What any Kiln for tests has, where it can have one at all; with PostgreSQL a folder that hosts share, too."""
    needs("qemu-img")
    if engine == "sqlite":
        yield {}
        return
    with make_database(request.getfixturevalue("postgresql_server")) as address:
        shared = tmp_path_factory.mktemp("shared")
        settings = {"database": address, "shared": shared, "host": "one"}
        if engine == "ceph":
            # Of its own: where files of another engine come between, this is done once more beside the same Ceph.
            namespace = f"{tmp_path_factory.getbasetemp().name}-{shared.name}"
            settings |= {"pool": f"rbd:{POOL}/{namespace}", "ceph_conf": request.getfixturevalue("ceph").configuration}
        yield settings


@pytest.fixture(scope="session")
def blank(kiln) -> tuple[str, str]:
    """A bucket and an object in it: the file of a small blank disk."""
    bucket = kiln.buckets / "acceptance"
    bucket.mkdir()
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(bucket / "blank.qcow2"), "1G"], check=True)
    return "acceptance", "blank.qcow2"


@pytest.fixture(scope="session")
def xca(kiln) -> XCaClient:
    """A client of the Apsara route."""
    return XCaClient(kiln.endpoint, kiln.app_key, kiln.app_secret, kiln.region)


@pytest.fixture(scope="session")
def instance(xca, kiln_image) -> str:
    """A stopped instance of that image with a data disk."""
    answer = xca.ask("CreateInstance", {"DataDisk.1.Size": "20"}, ImageId=kiln_image, InstanceType="ecs.t5-lc1m1.small")
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
