"""Fixtures for pytest: a Kiln without machines, clients of it, and an image to begin with.

All are made once for a run (in each worker, when pytest-xdist runs several),
and only when some test asks for them. Tests share what is in this Kiln, as
programs share an account: give what you make names of its own. A test that
wants a Kiln to itself starts one: ``with start_kiln(tmp_path / "data") as mine``.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from kiln.client import waiters
from kiln.client.client import Client
from kiln.ground.units import GiB
from kiln.testing.official import connect
from kiln.testing.served import Served, start_kiln

_LINES_SHOWN = 100


@pytest.fixture(scope="session")
def kiln_settings() -> dict[str, Any]:
    """What the Kiln of the run is told: override it to change settings, such as ``{"regions": "cn-hangzhou"}``."""
    return {}


@pytest.fixture(scope="session")
def kiln(tmp_path_factory: pytest.TempPathFactory, kiln_settings: dict[str, Any]) -> Iterator[Served]:
    """A served Kiln whose instances are disks and states, and run nothing: its address, keys and folders."""
    with start_kiln(tmp_path_factory.mktemp("kiln") / "data", **kiln_settings) as served:
        yield served


@pytest.fixture(scope="session")
def kiln_client(kiln: Served) -> Iterator[Client]:
    """Kiln's own client of it, which needs no SDK."""
    client = Client(kiln.endpoint, kiln.access_key_id, kiln.secret, kiln.region)
    yield client
    client.close()


@pytest.fixture(scope="session")
def kiln_ecs(kiln: Served) -> Any:
    """The official client: ``alibabacloud_ecs20140526.client.Client``. A test is skipped where that is missing."""
    try:
        return connect(kiln)
    except ModuleNotFoundError as error:
        pytest.skip(f"{error}: pip install 'kiln[testing]' brings the official client")


@pytest.fixture(scope="session")
def kiln_image(kiln: Served, kiln_client: Client) -> str:
    """The ID of an Available image of a blank disk of 1 GiB, from which instances and further images can be made."""
    bucket = kiln.buckets / "kiln-testing"
    bucket.mkdir()
    with (bucket / "blank.raw").open("wb") as disk:
        os.truncate(disk.fileno(), GiB)
    made = kiln_client.call(
        "ImportImage",
        {
            "ImageName": "kiln-testing-blank",
            "DiskDeviceMapping.1.Format": "RAW",
            "DiskDeviceMapping.1.OSSBucket": bucket.name,
            "DiskDeviceMapping.1.OSSObject": "blank.raw",
        },
    )
    waiters.wait(kiln_client, "image", made["ImageId"], until="Available")
    return str(made["ImageId"])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the Kiln of the run has logged last with a test that failed beside it."""
    report = yield
    served = getattr(item, "funcargs", {}).get("kiln")
    if report.failed and isinstance(served, Served) and served.log.is_file():
        with served.log.open(errors="replace") as log:
            last = log.readlines()[-_LINES_SHOWN:]
        report.sections.append(("log of the served Kiln", "".join(last)))
    return report
