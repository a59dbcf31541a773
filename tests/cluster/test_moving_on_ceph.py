"""Guests with disks on Ceph that go to another host while they run: two Kilns, real machines, and a real Ceph."""

from __future__ import annotations

import json
import subprocess

import pytest

from kiln.machines.qemu import QemuMachines
from tests import warm
from tests.ceph import POOL
from tests.cluster.deployments import deployment
from tests.cluster.test_moving import OPEN, environment
from tests.cluster.test_on_ceph import a_host, an_image, an_instance, ask
from tests.guests import guest_image, reachable  # noqa: F401 - fixtures
from tests.tools import needs
from tests.waiting import wait_for

pytestmark = [
    pytest.mark.postgresql,
    pytest.mark.ceph,
    pytest.mark.vm,
    pytest.mark.slow_vm,
    pytest.mark.timeout(1200),
]


@pytest.fixture
def deployed(postgresql_address, ceph, reachable):  # noqa: F811 - the fixture.
    needs("qemu-system-x86_64", "qemu-io")
    told = {"pool": f"rbd:{POOL}/{reachable.name}", "ceph_conf": ceph.configuration, "grace": "0"}
    with deployment(reachable, postgresql_address, guest_network="open", **told) as it:
        yield it


@pytest.fixture
def going(deployed):
    """An instance of two disks, without a system, on the first of two hosts, with whoever asks and the hosts."""
    caller, one = deployed.caller(deployed.start("api", "api")), a_host(deployed, "one")
    instance = an_instance(caller, deployed.an_image(caller), DataDisk=[{"Size": 20}])
    return instance, caller, {"one": one, "two": a_host(deployed, "two")}


def asked_by(deployed, kiln):
    """The environment of a word that is said beside that process."""
    told = {"pool": deployed._settings["pool"], "ceph_conf": deployed._settings["ceph_conf"]}
    return environment(deployed, kiln) | {f"KILN_{name.upper()}": str(value) for name, value in told.items()}


def drain(deployed, kiln, *words):
    """``kiln host drain`` of the host that a process serves."""
    return warm.kiln("host", "drain", kiln.data.name, *words, env=asked_by(deployed, kiln), timeout=600)


def watchers(deployed, ceph):
    """How many clients have each image open to write, of those that any has; Kilns' own left out."""
    space = f"{POOL}/{deployed.folder.name}"
    images = [f"{space}/{name}" for name in ceph.run("rbd", "ls", space).split() if name != "kiln.presence"]
    told = {image: json.loads(ceph.run("rbd", "status", "--format=json", image))["watchers"] for image in images}
    return {image: len(there) for image, there in told.items() if there}


def two_of(found):
    """All of it, where it is two."""
    return found if len(found) == 2 else None


def machines_of(kilns):
    """On which hosts a machine is, whether its guest runs in it or not."""
    found = {name: list(QemuMachines(kiln.data / "run").running()) for name, kiln in kilns.items()}
    return [name for name, running in found.items() if running]


def test_a_host_is_emptied_while_its_guests_run(deployed, guest_image):  # noqa: F811 - the fixture.
    """One that writes misses nothing, and what it has in memory alone is there still."""
    caller, one = deployed.caller(deployed.start("api", "api")), a_host(deployed, "one")
    goes = an_instance(caller, an_image(deployed, caller, guest_image), DataDisk=[{"Size": 20}])
    two = a_host(deployed, "two")
    ask(deployed, goes, "write /data0/note before", "sync", "run echo here > /run/mark", "seq start")
    wait_for(lambda: int(ask(deployed, goes, "seq") or 0) > 3, within_s=300)

    drained = drain(deployed, one)

    assert (drained.returncode, deployed.host_of(goes)) == (0, "two"), drained.stdout + drained.stderr
    assert f"{goes} is Running on two" in drained.stdout.splitlines()
    sent = int(wait_for(lambda: ask(deployed, goes, "seq")))
    wait_for(lambda: int(ask(deployed, goes, "seq") or 0) > sent + 3, within_s=300)
    last = ask(deployed, goes, "seq stop", "seq")
    assert ask(deployed, goes, "run cat /run/mark").strip() == "here"
    assert ask(deployed, goes, "read /data0/note") == "before"
    ask(deployed, goes, "write /data0/note after", "sync")
    wait_for(lambda: machines_of({"one": one, "two": two}) == ["two"], within_s=300)
    # An image is made of it, and it starts anew, of what it wrote in both.
    image = caller.ask("CreateImage", ImageName="made", InstanceId=goes)["ImageId"]
    caller.image_comes(image)
    caller.ask("StopInstance", InstanceId=goes)
    caller.instance_is(goes, "Stopped")
    caller.ask("StartInstance", InstanceId=goes)
    caller.instance_is(goes, "Running")
    assert ask(deployed, goes, "read /data0/note") == "after"
    assert ask(deployed, goes, "run dd if=/dev/vda bs=512 skip=1 count=1 2>/dev/null").strip() == last


def test_one_whose_disk_somebody_else_has_open_stays_and_says_why(deployed, ceph, going):
    """Ceph would let that one write beside the guest, and tells nobody which of the two is Kiln's."""
    instance, caller, kilns = going
    # What a Kiln looks at goes by.
    image, other_image = wait_for(lambda: two_of(watchers(deployed, ceph)), within_s=300)
    name = f"rbd:{image}:conf={ceph.configuration}"
    with subprocess.Popen(["qemu-io", "-f", "raw", name], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as other:
        wait_for(lambda: watchers(deployed, ceph) == {image: 2, other_image: 1}, within_s=300)

        drained = drain(deployed, kilns["one"])

        other.communicate(b"quit\n")
    assert drained.returncode == 11, drained.stderr
    *_, line = [one for one in drained.stdout.splitlines() if one.startswith(instance)]
    assert "is Running: It could not go to two while it runs" in line
    assert "is open in 2 machines" in line
    caller.instance_is(instance, "Running")
    assert machines_of(kilns) == ["one"]
    assert drain(deployed, kilns["one"]).returncode == 0
    assert deployed.host_of(instance) == "two"


@pytest.mark.parametrize(
    ("name", "point"),
    [
        ("one", "live.before_entrance"),
        ("one", "live.sent"),
        ("one", "live.decided"),
        ("two", "live.received"),
        ("two", "machines.arrived"),
        ("two", "rbd.shut_out.done"),
        ("two", "live.taken_over"),
    ],
)
def test_a_process_that_is_killed_on_the_way_leaves_the_guest_running_once(deployed, ceph, going, name, point):
    instance, caller, kilns = going
    dies = kilns[name]
    dies.stop()
    dies.settings["kill_at"] = point
    dies.start()

    with (deployed.folder / "said").open("wb") as said:
        watching = warm.begin(
            "host",
            "drain",
            "one",
            stdout=said.fileno(),
            stderr=said.fileno(),
            env=asked_by(deployed, kilns["one"]),
        )
        assert dies.process.wait(300) == 137
        del dies.settings["kill_at"]
        dies.start()
        watching.wait(300)

    # Where the start took long, who watches has gone before it was over.
    wait_for(lambda: not deployed.ask(OPEN), within_s=300)
    wait_for(lambda: machines_of(kilns) == [deployed.host_of(instance)], within_s=300)
    caller.instance_is(instance, "Running")
    wait_for(lambda: list(watchers(deployed, ceph).values()) == [1, 1], within_s=300)
    caller.ask("StopInstance", InstanceId=instance, ForceStop=True)
    caller.instance_is(instance, "Stopped")
