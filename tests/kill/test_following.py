"""Nothing lost while a running guest goes over to layers that were merged below it, whatever moment Kiln dies at.

A host of its own: where the chain has grown as deep by others' tests that it is
shortened meanwhile, nobody could tell how deep it should be.
"""

from __future__ import annotations

import pytest

from tests.kill.verdicts import is_of_one_instant

pytestmark = [pytest.mark.vm, pytest.mark.slow_vm]

FOLLOW = ["machines.before_follow", "machines.fresh_opened", "machines.followed"]


@pytest.mark.parametrize("point", FOLLOW)
def test_gives_space_back_under_the_guest_when_killed_at(host, point):
    """Layers below the head are merged on copies; the guest lets the old files go, and its head can be merged on."""
    pid, disk = host.pid, host.disks[-1]
    with host.counting_paused():
        host.session.ask("fill /data2/merged 4")
        before = host.session.ask("sum /data2/merged")
        host.session.ask("sync")
    depth = host.depth(disk)
    taken = []
    for _ in range(3):
        taken.append(host.caller.ask("CreateSnapshot", DiskId=disk)["SnapshotId"])
        host.caller.snapshot_comes(taken[-1])

    host.ask_and_die("DeleteSnapshot", point, SnapshotId=taken[0], over="InvalidSnapshotId.NotFound")
    host.caller.wait(lambda: host.depth(disk) == depth + 2 and host.unnamed_volumes() == [])
    for count, snapshot in ((1, taken[1]), (0, taken[2])):
        host.caller.ask("DeleteSnapshot", SnapshotId=snapshot)
        host.caller.wait(lambda count=count: host.depth(disk) == depth + count and host.unnamed_volumes() == [])

    image = host.caller.ask("CreateImage", InstanceId=host.instance)["ImageId"]
    host.caller.image_comes(image)
    assert is_of_one_instant(host.numbers(image))
    with host.counting_paused():
        host.session.ask("run echo 3 >/proc/sys/vm/drop_caches")
        after = host.session.ask("sum /data2/merged")
    assert after == before
    assert host.lives(pid)
