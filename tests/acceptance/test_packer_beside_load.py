"""A machine that writes is baked while Packer bakes another beside it: both images boot, and hold what was written."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from kiln.client import waiters
from kiln.client.client import Client
from kiln.guest.session import open_session
from kiln.testing.served import start_kiln
from tests.acceptance.packer import FAR, REGION, Packer
from tests.guests import build_guest, open_reachable
from tests.tools import needs

pytestmark = [pytest.mark.nightly, pytest.mark.vm, pytest.mark.timeout(1200)]

_TYPE = "ecs.t5-lc2m1.nano"
_COMES_WITHIN_S = 300.0
_PATH = "/data0/written"


class Kiln:
    """A Kiln with machines, and its client."""

    def __init__(self, served, client):
        self.served, self.client = served, client

    def import_guest(self):
        bucket = self.served.buckets / "guests"
        bucket.mkdir()
        build_guest(bucket / "guest.qcow2")
        mapping = {"DiskDeviceMapping.1.OSSBucket": bucket.name, "DiskDeviceMapping.1.OSSObject": "guest.qcow2"}
        return self.comes("image", self.client.call("ImportImage", mapping)["ImageId"], "Available")

    def comes(self, noun, name, status):
        waiters.wait(self.client, noun, name, until=status, timeout_s=_COMES_WITHIN_S)
        return name

    @contextmanager
    def a_guest(self, image):
        """An instance of it, and a session with its guest."""
        asked = {"ImageId": image, "InstanceType": _TYPE}
        (instance,) = self.client.call("RunInstances", asked)["InstanceIdSets"]["InstanceIdSet"]
        try:
            self.comes("instance", instance, "Running")
            with open_session(self.served.data / "run" / instance / "console", _COMES_WITHIN_S) as session:
                yield instance, session
        finally:
            self.client.call("DeleteInstance", InstanceId=instance, Force=True)

    def bake(self, instance, name):
        made = self.client.call("CreateImage", InstanceId=instance, ImageName=name)["ImageId"]
        return self.comes("image", made, "Available")


@pytest.fixture
def kiln():
    needs("packer", "qemu-img", "qemu-system-x86_64")
    with (
        open_reachable() as folder,
        start_kiln(folder / "data", machines="qemu", accel="tcg", regions=f"{REGION},{FAR}", log="info") as served,
    ):
        client = Client(served.endpoint, served.access_key_id, served.secret, REGION)
        yield Kiln(served, client)
        client.close()


def number(session):
    """What the guest has counted to on its disk."""
    return int(session.ask("run dd if=/dev/vda bs=512 skip=1 count=1 2>/dev/null") or 0)


def test_both_boot(kiln, tmp_path):
    source = kiln.import_guest()
    packer = Packer(kiln.served, kiln.client, source, tmp_path)
    with kiln.a_guest(source) as (instance, session), ThreadPoolExecutor(1) as beside:
        session.ask(f"write {_PATH} before")
        session.ask("sync")
        session.ask("seq start")
        building = beside.submit(packer.build, "packed", force_stop_instance=True)
        baked, least = [], number(session)
        while not (baked and building.done()) and len(baked) < 5:
            baked.append((kiln.bake(instance, f"baked-{len(baked)}"), least, least := number(session)))
        build = building.result()
        assert int(session.ask("seq stop")) >= least

    assert (build.code, build.refused) == (0, []), build.said
    with kiln.a_guest(build.images[REGION, "packed"]["ImageId"]) as (_, session):
        assert session.ask("run ls /data0") is not None
    image, least, most = baked[-1]
    with kiln.a_guest(image) as (_, session):
        assert session.ask(f"read {_PATH}") == "before"
        assert least <= number(session) <= most
