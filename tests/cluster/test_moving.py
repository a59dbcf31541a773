"""Guests that go from a host to another while they run, by the processes' own connection, and what cannot go stays."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from kiln.machines import process
from kiln.machines.qemu import QemuMachines
from kiln.machines.qmp import open_session
from kiln.pools import luks, overlay
from kiln.service.volume_keys import passphrases
from tests import warm
from tests.cluster.deployments import deployment
from tests.cluster.test_lost_hosts import machines_of
from tests.cluster.test_on_ceph import a_host, an_image, an_instance, ask
from tests.guests import guest_image, open_reachable  # noqa: F401 - a fixture
from tests.tools import needs
from tests.waiting import wait_for

pytestmark = [pytest.mark.postgresql, pytest.mark.slow, pytest.mark.timeout(1200)]

OPEN = "SELECT id FROM tasks WHERE action = 'MoveInstance' AND status = 'Processing'"


def environment(deployed, kiln):
    """Of a word that is said beside that process."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KILN_")}
    told = {"KILN_DATA": kiln.data, "KILN_DATABASE": deployed.address, "KILN_SHARED": deployed.shared}
    return kept | {name: str(value) for name, value in told.items()}


def drain(deployed, kiln, *words):
    """``kiln host drain`` of the host that a process serves."""
    return warm.kiln("host", "drain", kiln.data.name, *words, env=environment(deployed, kiln), timeout=600)


def goes_on(deployed, instance):
    """See that its guest writes on, and has it end; the last that it wrote."""
    sent = int(wait_for(lambda: ask(deployed, instance, "seq")))
    wait_for(lambda: int(ask(deployed, instance, "seq") or 0) > sent + 3, within_s=300)
    last = ask(deployed, instance, "seq stop", "seq")
    assert ask(deployed, instance, "read /data0/note") == "kept"
    return last.strip()


def is_told(deployed, instance):
    """Whether a passphrase of the instance's disks is in its machine, in a task, in a log, or in any file at all."""
    keys, pool = passphrases(deployed.shared, lambda _: ()), deployed.shared / "pool"
    locks = {path.stem: overlay.read(path).lock for path in pool.glob("*.qcow2")}
    texts = [luks.open_lock(lock, name, keys).text.encode() for name, lock in locks.items() if lock is not None]
    assert len(texts) >= 3
    folder = QemuMachines(deployed.folder / deployed.host_of(instance) / "run").folder(instance)
    with open_session(folder.qmp) as session:
        known = session.execute("qom-list", {"path": "/objects"})
    said = [repr(row).encode() for row in deployed.ask("SELECT * FROM tasks")]
    said.append(Path(f"/proc/{process.find(folder)}/cmdline").read_bytes())
    said += [path.read_bytes() for path in deployed.folder.rglob("*") if path.is_file() and pool not in path.parents]
    return any(each["type"] == "child<secret>" for each in known) or any(one in each for one in texts for each in said)


@pytest.mark.vm
@pytest.mark.slow_vm
def test_a_host_is_emptied_while_its_guests_run(postgresql_address, guest_image):  # noqa: F811 - the fixture.
    """Those that write miss nothing, whose disks are encrypted neither, and a stopped one needs nothing."""
    needs("qemu-system-x86_64", "qemu-img")
    settings = {"guest_network": "open", "grace": "0"}
    with open_reachable() as folder, deployment(folder, postgresql_address, **settings) as deployed:
        caller, one = deployed.caller(deployed.start("api", "api")), a_host(deployed, "one")
        image = an_image(deployed, caller, guest_image)
        goes, off = an_instance(caller, image), an_instance(caller, image)
        caller.ask("StopInstance", InstanceId=off, ForceStop=True)
        caller.instance_is(off, "Stopped")
        sealed = caller.ask("CopyImage", ImageId=image, DestinationImageName="sealed", Encrypted=True)["ImageId"]
        caller.image_comes(sealed)
        secret = an_instance(caller, sealed, DataDisk=[{"Size": 20, "Encrypted": True}])
        a_host(deployed, "two")
        for instance in (goes, secret):
            ask(deployed, instance, "write /data0/note kept", "sync", "seq start")
        for instance in (goes, secret):
            wait_for(lambda instance=instance: int(ask(deployed, instance, "seq") or 0) > 3, within_s=300)

        drained = drain(deployed, one)

        told = drained.stdout.splitlines()
        assert drained.returncode == 0, told
        assert {f"{instance} is Running on two" for instance in (goes, secret)} <= set(told)
        assert told[-1] == "one starts no instance any more; it has 0 instances"
        assert [deployed.host_of(instance) for instance in (goes, secret, off)] == ["two", "two", ""]
        assert not is_told(deployed, secret)
        last = goes_on(deployed, secret)
        assert ask(deployed, secret, "run dd if=/dev/vdb bs=512 skip=1 count=1 2>/dev/null").strip() == last
        last = goes_on(deployed, goes)
        wait_for(lambda: not QemuMachines(one.data / "run").is_running(goes), within_s=300)

        caller.ask("StopInstance", InstanceId=goes)
        caller.instance_is(goes, "Stopped")
        caller.ask("StartInstance", InstanceId=goes)
        caller.instance_is(goes, "Running")
        assert ask(deployed, goes, "run dd if=/dev/vda bs=512 skip=1 count=1 2>/dev/null").strip() == last
        caller.ask("StopInstance", InstanceId=goes)
        caller.instance_is(goes, "Stopped")
        for (volume,) in deployed.ask("SELECT volume FROM disks WHERE instance = :id", id=goes):
            subprocess.run(["qemu-img", "check", "-q", deployed.shared / "pool" / f"{volume}.qcow2"], check=True)


@pytest.mark.parametrize(
    ("name", "point"),
    [
        ("one", "live.before_entrance"),
        ("one", "live.sent"),
        ("one", "live.decided"),
        ("two", "live.received"),
        ("two", "machines.before_take_over"),
        ("two", "live.taken_over"),
    ],
)
def test_a_process_that_is_killed_on_the_way_leaves_the_instance_running_once(
    postgresql_address, tmp_path, name, point
):
    with deployment(tmp_path, postgresql_address) as deployed:
        caller = deployed.caller(deployed.start("api", "api"))
        kilns = {"one": deployed.start("one", "worker")}
        instance = deployed.an_instance(caller, deployed.an_image(caller))
        kilns["two"] = deployed.start("two", "worker")
        dies = kilns[name]
        dies.stop()
        dies.settings["kill_at"] = point
        dies.start()

        with (tmp_path / "said").open("wb") as said:
            watching = warm.begin(
                "host",
                "drain",
                "one",
                stdout=said.fileno(),
                stderr=said.fileno(),
                env=environment(deployed, kilns["one"]),
            )
            assert dies.process.wait(300) == 137
            del dies.settings["kill_at"]
            dies.start()
            watching.wait(300)

        # Where the start took long, who watches has gone before it was over.
        wait_for(lambda: not deployed.ask(OPEN), within_s=300)
        wait_for(lambda: len(machines_of(kilns["one"]) + machines_of(kilns["two"])) == 1, within_s=300)
        host = deployed.host_of(instance)
        assert machines_of(kilns[host]) == [instance]
        caller.instance_is(instance, "Running")
        assert marks(kilns[host], instance) == {"running"}


def marks(kiln, instance):
    """What the run folder says of a machine that is only a state."""
    names = {path.name for path in (kiln.data / "run" / instance).iterdir()}
    return names & {"running", "arriving", "leaving"}
