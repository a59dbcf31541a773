"""Nothing lost under a running guest: Kiln dies, the guest lives on, is found again, and its images are of one instant.

The guest counts up and writes the number to its three disks, one after the
other, each on the medium before the next: in an image of one instant a disk's
number is that of the disk after it, or one more.
"""

from __future__ import annotations

import random

import pytest

from tests import warm
from tests.guests import open_reachable
from tests.kill.verdicts import is_of_one_instant

pytestmark = [pytest.mark.vm, pytest.mark.slow_vm]

CAPTURE = [
    "capture.begun",
    "pool.freeze.heirs_made",
    "machines.before_switch",
    "machines.overlays_opened",
    "machines.switched",
    "pool.freeze.sealed",
    "capture.frozen",
    "create_image.captured",
    "create_image.published",
]

MERGE = [
    "machines.before_stream",
    "machines.stream_begun",
    "machines.stream_flushed",
    "machines.streamed",
    "merge.absorbed",
]


@pytest.mark.parametrize("point", CAPTURE)
def test_captures_one_instant_when_killed_at(host, point):
    pid = host.pid

    image = host.ask_and_die("CreateImage", point, InstanceId=host.instance)["ImageId"]

    host.caller.image_comes(image)
    assert is_of_one_instant(host.numbers(image))
    assert host.lives(pid)
    assert is_of_one_instant(host.numbers(image))


def test_captures_one_instant_whenever_it_is_killed(host):
    pid, chance = host.pid, random.Random(5)
    for _ in range(4):
        after_s = chance.uniform(0.0, 0.15)

        image = host.ask_and_kill("CreateImage", after_s, InstanceId=host.instance)["ImageId"]

        host.caller.image_comes(image)
        assert is_of_one_instant(host.numbers(image))
    assert host.lives(pid)


def test_keeps_disks_and_image_when_the_whole_host_dies(host):
    with host.counting_paused():
        host.session.ask("fill /data1/kept 2")
        host.session.ask("sync")
        kept = host.session.ask("sum /data1/kept")

    asked = {"InstanceId": host.instance}
    image = host.ask_and_die("CreateImage", "machines.switched", host.kill_machine, **asked)["ImageId"]

    host.caller.image_comes(image)
    numbers = host.numbers(image)
    assert is_of_one_instant(numbers)
    host.caller.instance_is(host.instance, "Stopped")
    host.caller.ask("StartInstance", InstanceId=host.instance)
    host.caller.instance_is(host.instance, "Running")
    host.connect()
    assert host.session.ask("sum /data1/kept") == kept
    assert host.lives(host.pid)
    assert host.numbers(image) == numbers


def test_a_backup_is_of_one_instant_and_boots_with_what_the_guest_had_written(host):
    pid = host.pid
    with host.counting_paused():
        host.session.ask("fill /data1/backed-up 2")
        host.session.ask("sync")
        said = host.session.ask("sum /data1/backed-up")

    with open_reachable() as folder:
        made = warm.kiln("backup", "create", folder / "backups", "--data", host.kiln.data)
        assert made.returncode == 0, made.stderr
        assert f"{host.instance}  " in made.stdout
        assert host.lives(pid)
        put_back = warm.kiln("restore", folder / "backups", "--data", folder / "data")
        assert put_back.returncode == 0, put_back.stdout + put_back.stderr

        with host.restored(folder / "data") as other:
            assert is_of_one_instant([other.number(volume) for volume in other.heads()])
            with other.booted() as session:
                assert session.ask("sum /data1/backed-up") == said
    assert host.lives(pid)


@pytest.mark.parametrize("point", MERGE)
def test_merges_under_the_guest_when_killed_at(host, point):
    pid, disk = host.pid, host.disks[-1]
    with host.counting_paused():
        host.session.ask("fill /data1/merged 4")
        host.session.ask("fill /data2/merged 4")
        before = [host.session.ask(f"sum /data{n}/merged") for n in (1, 2)]
        host.session.ask("sync")
    depth = host.depth(disk)
    snapshot = host.caller.ask("CreateSnapshot", DiskId=disk)["SnapshotId"]
    host.caller.snapshot_comes(snapshot)

    host.ask_and_die("DeleteSnapshot", point, SnapshotId=snapshot, over="InvalidSnapshotId.NotFound")

    # Less where the chain had grown so deep by the tests before that it was shortened meanwhile.
    host.caller.wait(lambda: host.depth(disk) <= depth and host.merges() == 0)
    with host.counting_paused():
        host.session.ask("run echo 3 >/proc/sys/vm/drop_caches")
        after = [host.session.ask(f"sum /data{n}/merged") for n in (1, 2)]
    assert after == before
    assert host.lives(pid)
