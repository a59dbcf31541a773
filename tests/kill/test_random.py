"""Nothing lost: a served Kiln is killed at random moments under a load of every kind of call."""

from __future__ import annotations

import random
import threading
import time
from contextlib import suppress

import pytest

from kiln.store.disks import disks
from kiln.store.images import images
from kiln.store.instances import instances
from kiln.store.snapshots import snapshots
from kiln.testing import DidNotStart, Served
from tests.kill import checks
from tests.kill.callers import BUCKET, Caller, Load, Truth
from tests.kill.verdicts import at_rest, crashes
from tests.pools.patterns import BLOCK
from tests.ports import reserved_port
from tests.reading import every
from tests.tools import needs
from tests.warm import start_kiln

pytestmark = pytest.mark.slow

KILLS = 8
CALLERS = 3
BASE = [1, 2, 3, 4]


@pytest.fixture(autouse=True)
def tools():
    needs("qemu-img", "qemu-io")


def test_loses_nothing_whenever_it_is_killed(quick_folder):
    said, base, load = live_and_die(quick_folder / "data", seed=20261123, kills=KILLS)

    for one in load:
        assert one.error is None, f"{one.error!r}\n{said[-5000:]}"
    assert sum(one.done for one in load) >= KILLS
    assert crashes(said) <= {"VolumeBusy"}  # A merge and the bytes that a caller writes may get in each other's way.
    judge(quick_folder / "data", base, [one.truth for one in load])


@pytest.mark.parametrize("after_s", [0.2, 0.35, 0.5, 0.65, 0.8, 1.0])
def test_starts_again_after_a_first_start_that_was_cut_short(quick_folder, after_s):
    kiln = Served(data=quick_folder / "data", settings={"machines": "none"})
    killer = threading.Timer(after_s, kill, [kiln])
    killer.start()
    with suppress(DidNotStart):  # That it ended before it listened, which depends on how fast it is.
        kiln.start()
    killer.join()
    kiln.process.wait()

    with start_kiln(kiln.data) as again, Caller(again, Truth()) as caller:
        assert caller.ask("DescribeImages")["TotalCount"] == 0


def live_and_die(data, seed, kills):
    """Have callers work while Kiln is killed again and again: its log, the first image with its bytes, the callers."""
    chance = random.Random(seed)
    (data / "buckets" / BUCKET).mkdir(parents=True)
    with reserved_port() as port, start_kiln(data, listen=f"127.0.0.1:{port}") as kiln:
        base = import_base(kiln)
        load = [Load(kiln, base, seed + number) for number in range(CALLERS)]
        for one in load:
            one.start()
        try:
            life = 2.0
            for _ in range(kills):
                time.sleep(chance.uniform(0.15, 1.0) * life)
                kiln.kill9()
                began = time.monotonic()
                kiln.start()
                # A machine that is busy with other things starts it slowly, and then it works slowly too.
                life = max(2.0, time.monotonic() - began)
        finally:
            for one in load:
                one.stop()
        for one in load:
            one.join()
            answer_alike(kiln, one.truth)
    return kiln.log.read_text(), base, load


def kill(kiln):
    kiln.process.kill()


def import_base(kiln):
    """An image that everything begins with: its ID, and what its disk holds."""
    (kiln.data / "buckets" / BUCKET / "base.raw").write_bytes(b"".join(bytes([byte]) * BLOCK for byte in BASE))
    mapping = {"DiskDeviceMapping.1.OSSBucket": BUCKET, "DiskDeviceMapping.1.OSSObject": "base.raw"}
    with Caller(kiln, Truth()) as caller:
        image = caller.ask("ImportImage", **mapping)["ImageId"]
        caller.image_comes(image)
    return image, [BASE]


def answer_alike(kiln, truth):
    """Every answer comes again for its ClientToken."""
    with Caller(kiln, Truth()) as caller:
        for action, params, answer in truth.answered:
            assert without_request_id(caller.ask(action, **params)) == without_request_id(answer)


def without_request_id(answer):
    return {name: value for name, value in answer.items() if name != "RequestId"}


def judge(data, base, truths):
    """Everything that any caller was told is there, and nothing else is left."""
    with at_rest(data) as cloud:
        for truth in truths:
            for image, wanted in truth.images.items():
                checks.image_holds(cloud, image, wanted)
            for snapshot, blocks in truth.snapshots.items():
                checks.snapshot_holds(cloud, snapshot, blocks)
            for disk, blocks in truth.disks.items():
                checks.disk_holds(cloud, disk, blocks)
        checks.image_holds(cloud, *base)
        known = {row.id for rows in (images, snapshots, disks, instances) for row in every(cloud, rows)}
        assert not known & set().union(*(truth.gone for truth in truths))
        told = set().union(*(truth.images for truth in truths))
        assert {row.id for row in every(cloud, images)} == told | {base[0]}
