"""Processes of every role over one PostgreSQL and one Ceph, with machines that run: hosts that share all but guests."""

from __future__ import annotations

import os
import shutil
import signal

import pytest

from kiln.guest.session import open_session
from tests.ceph import POOL
from tests.cluster.deployments import deployment
from tests.cluster.test_lost_hosts import GRACE
from tests.guests import guest_image, reachable  # noqa: F401 - fixtures
from tests.kill.callers import BUCKET
from tests.tools import needs
from tests.waiting import wait_for

pytestmark = [pytest.mark.postgresql, pytest.mark.ceph, pytest.mark.vm]

NANO = "ecs.t5-lc2m1.nano"


@pytest.fixture
def deployed(postgresql_address, ceph, reachable):  # noqa: F811 - the fixture.
    needs("qemu-system-x86_64")
    pool = f"rbd:{POOL}/{reachable.name}"
    with deployment(reachable, postgresql_address, pool=pool, ceph_conf=ceph.configuration, grace="0") as it:
        yield it


def a_host(deployed, name, **settings):
    return deployed.start(name, "worker", machines="qemu", accel="tcg", **settings)


def an_image(deployed, caller, disk):
    """The image of a guest's disk, imported."""
    bucket = deployed.shared / "buckets" / BUCKET
    bucket.mkdir(exist_ok=True)
    shutil.copyfile(disk, bucket / "guest.qcow2")
    mapping = {"OSSBucket": BUCKET, "OSSObject": "guest.qcow2", "Format": "QCOW2"}
    image = caller.ask("ImportImage", ImageName="guest", Platform="Debian", DiskDeviceMapping=[mapping])["ImageId"]
    caller.image_comes(image)
    return image


def an_instance(caller, image, **more):
    answer = caller.ask("RunInstances", ImageId=image, InstanceType=NANO, Amount=1, **more)
    (instance,) = answer["InstanceIdSets"]["InstanceIdSet"]
    caller.instance_is(instance, "Running")
    return instance


def ask(deployed, instance, *commands):
    """Have a guest carry out commands; the last one's answer."""
    console = deployed.folder / deployed.host_of(instance) / "run" / instance / "console"
    with open_session(console) as session:
        return [session.ask(command) for command in commands][-1]


def test_makes_an_image_of_a_machine_by_both_doors_that_starts_on_the_other_host(deployed, ceph, guest_image):  # noqa: F811
    doors = [deployed.caller(deployed.start(name, "api")) for name in ("api-1", "api-2")]
    one = a_host(deployed, "one")
    first = an_image(deployed, doors[0], guest_image)
    parent = an_instance(doors[1], first)
    ask(deployed, parent, "write /data0/note before", "sync")

    image = doors[0].ask("CreateImage", ImageName="made", InstanceId=parent)["ImageId"]
    doors[1].image_comes(image)
    ask(deployed, parent, "write /data0/note after", "sync")
    one.stop()
    a_host(deployed, "two")
    child = an_instance(doors[1], image)
    one.start()

    assert (deployed.host_of(parent), deployed.host_of(child)) == ("one", "two")
    assert ask(deployed, child, "read /data0/note") == "before"
    assert ask(deployed, parent, "read /data0/note") == "after"
    assert list(deployed.shared.glob("pool/*")) == []
    for instance in (parent, child):
        doors[0].ask("DeleteInstance", InstanceId=instance, Force=True)
    for made in (image, first):
        doors[1].ask("DeleteImage", ImageId=made, Force=True)
    for row in doors[1].ask("DescribeSnapshots")["Snapshots"]["Snapshot"]:
        doors[1].ask("DeleteSnapshot", SnapshotId=row["SnapshotId"], Force=True)
    wait_for(lambda: images(ceph, deployed) == ["kiln.presence"], within_s=300)


def images(ceph, deployed):
    """What Ceph has of the deployment."""
    return ceph.run("rbd", "ls", f"{POOL}/{deployed.folder.name}").split()


def test_what_a_host_was_killed_in_is_ended_when_it_is_back_and_starts_elsewhere(deployed, guest_image):  # noqa: F811
    """Killed between the snapshot and the name for it, while the guest stands still for both."""
    caller = deployed.caller(deployed.start("api", "api"))
    named = deployed.folder / "kill-at"
    one = a_host(deployed, "one", kill_at=f"@{named}")
    parent = an_instance(caller, an_image(deployed, caller, guest_image))
    ask(deployed, parent, "write /data0/note before", "sync")
    named.write_text("rbd.snapshot.made")

    image = caller.ask("CreateImage", ImageName="made", InstanceId=parent)["ImageId"]
    assert one.process.wait(300) == 137
    named.unlink()
    one.start()
    caller.image_comes(image)
    ask(deployed, parent, "write /data0/note after", "sync")
    one.stop()
    a_host(deployed, "two")
    child = an_instance(caller, image)

    assert deployed.host_of(child) == "two"
    assert ask(deployed, child, "read /data0/note") == "before"
    assert ask(deployed, parent, "read /data0/note") == "after"


def test_what_a_host_died_in_with_its_machine_is_ended_by_another(deployed, guest_image):  # noqa: F811
    """Both die between the snapshot and the name for it; image and machine go on where there is a host."""
    caller = deployed.caller(deployed.start("api", "api"))
    named = deployed.folder / "kill-at"
    one = a_host(deployed, "one", kill_at=f"@{named}", host_grace=GRACE)
    parent = an_instance(caller, an_image(deployed, caller, guest_image))
    ask(deployed, parent, "write /data0/note before", "sync")
    machine = int((one.data / "run" / parent / "pid").read_text())
    a_host(deployed, "two", host_grace=GRACE)
    named.write_text("rbd.snapshot.made")

    image = caller.ask("CreateImage", ImageName="made", InstanceId=parent)["ImageId"]
    assert one.process.wait(300) == 137
    os.kill(machine, signal.SIGKILL)

    caller.image_comes(image)
    caller.instance_is(parent, "Stopped")
    caller.ask("StartInstance", InstanceId=parent)
    caller.instance_is(parent, "Running")
    child = an_instance(caller, image)
    assert (deployed.host_of(parent), deployed.host_of(child)) == ("two", "two")
    assert ask(deployed, child, "read /data0/note") == "before"
    assert ask(deployed, parent, "read /data0/note") == "before"
