"""Networks as clients and guests meet them: a served Kiln, real machines, and what reaches whom through its end."""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import signal
import socket
import time
from contextlib import ExitStack

import pytest

from kiln.guest.session import open_session
from kiln.machines import process
from kiln.machines.runfolder import RunFolder
from kiln.networks.placefolder import PlaceFolder
from kiln.networks.trying import why_not
from kiln.testing.served import start_kiln
from tests.guests import guest_image, open_reachable  # noqa: F401 - a fixture
from tests.kill.callers import BUCKET, Caller, Truth
from tests.tools import lacks

pytestmark = [pytest.mark.vm, pytest.mark.slow_vm]

LIMIT_S = 300.0
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKcs1NbH9V7dHRpOSpOJGq2rVj4cbPnYV3vP4u2v1X9a mine"
METADATA = "http://100.100.100.200/latest"


class Cloud:
    """A Kiln with guests."""

    def __init__(self, kiln, caller, image, stack):
        self.kiln, self.caller, self._image, self._stack = kiln, caller, image, stack

    def run(self, name, **more):
        answer = self.caller.ask(
            "RunInstances", ImageId=self._image, InstanceType="ecs.t5-lc2m1.nano", HostName=name, **more
        )
        (instance,) = answer["InstanceIdSets"]["InstanceIdSet"]
        self._stack.callback(_cut_power, self.kiln, instance)
        self.caller.instance_is(instance, "Running")
        session = self._stack.enter_context(open_session(self.kiln.data / "run" / instance / "console"))
        return instance, session, session.ask("network")

    def reached(self, instance):
        """What ``kiln instance show`` says of it."""
        return self.caller.ask("DescribeReasons", ResourceId=instance)


@pytest.fixture(scope="module")
def cloud(guest_image):  # noqa: F811 - the fixture
    if reason := why_not():
        lacks(reason)
    with (
        open_reachable() as folder,
        start_kiln(folder / "data", machines="qemu", accel="tcg") as kiln,
        Caller(kiln, Truth()) as caller,
        ExitStack() as stack,
    ):
        bucket = kiln.data / "buckets" / BUCKET
        bucket.mkdir()
        shutil.copyfile(guest_image, bucket / "guest.qcow2")
        mapping = {"DiskDeviceMapping.1.OSSBucket": BUCKET, "DiskDeviceMapping.1.OSSObject": "guest.qcow2"}
        image = caller.ask("ImportImage", **mapping)["ImageId"]
        caller.image_comes(image)
        yield Cloud(kiln, caller, image, stack)


def _cut_power(kiln, instance):
    """Leave no machine behind, whatever became of Kiln."""
    pid = process.find(RunFolder(kiln.data / "run" / instance))
    if pid is not None:
        os.kill(pid, signal.SIGKILL)


def wait_for(look, expected):
    """Until what is looked for is there: guests serve one client at a time, and a machine may be slow."""
    deadline = time.monotonic() + LIMIT_S
    while (found := look()) != expected:
        assert time.monotonic() < deadline, f"{found!r}, and not {expected!r}"
        time.sleep(0.2)


def told_of(session, name):
    """What the metadata service tells a guest."""
    return session.ask(f"fetch {METADATA}/{name}").strip()


def heard_at(address, port):
    with contextlib.suppress(OSError), socket.create_connection((address, port), 30.0) as client:
        return client.makefile().readline().strip()
    return ""


class HostService:
    """Listens on addresses of this host, at one port; whoever comes is counted, and let go at once."""

    def __init__(self, *addresses):
        first = socket.create_server((addresses[0], 0))
        self.port = first.getsockname()[1]
        self._servers = [first, *(socket.create_server((address, self.port)) for address in addresses[1:])]
        for server in self._servers:
            server.setblocking(False)
        self._came = 0

    def came(self):
        """How many have come by now: what the kernel has taken waits to be accepted."""
        for server in self._servers:
            with contextlib.suppress(BlockingIOError):
                while True:
                    server.accept()[0].close()
                    self._came += 1
        return self._came

    def close(self):
        for server in self._servers:
            server.close()


def reaches(session, address, port):
    """Whether a guest is connected there: it says so, whatever it then hears."""
    return "reached" in session.ask(f"run timeout 8 nc -w 3 {address} {port} </dev/null >/dev/null && echo reached")


def lead_there(session, address):
    """Have a guest send what is for an address of any kind to its gateway."""
    gateway = session.ask("run ip route show default | cut -d ' ' -f 3").strip()
    assert gateway.count(".") == 3, gateway
    session.ask("run echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet; ip address del 127.0.0.1/8 dev lo")
    session.ask(f"run ip route add {address}/32 via {gateway} dev eth0")


def test_guests_have_networks_metadata_and_public_addresses(cloud):
    caller = cloud.caller
    caller.ask("ImportKeyPair", KeyPairName="mine", PublicKeyBody=KEY)
    script = base64.b64encode(b"#!/bin/sh").decode()
    more = {"InternetMaxBandwidthOut": 5, "RamRoleName": "build"}
    first, one, address = cloud.run("web-1", KeyPairName="mine", UserData=script, **more)
    second, two, other = cloud.run("web-2", HttpTokens="required")

    # Each is told of itself, in its own words.
    (row,) = caller.ask("DescribeInstances", InstanceIds=[first])["Instances"]["Instance"]
    assert row["VpcAttributes"]["PrivateIpAddress"]["IpAddress"] == [address] != [other]
    told = {
        "instance-id": first, "hostname": "web-1", "private-ipv4": address,
        "mac": one.ask("read /sys/class/net/eth0/address"),
        "vpc-id": row["VpcAttributes"]["VpcId"], "vswitch-id": row["VpcAttributes"]["VSwitchId"],
        "image-id": row["ImageId"], "zone-id": row["ZoneId"], "region-id": row["RegionId"],
        "public-keys/0/openssh-key": KEY, "eipv4": row["PublicIpAddress"]["IpAddress"][0],
    }  # fmt: skip
    assert {name: told_of(one, f"meta-data/{name}") for name in told} == told
    assert told_of(one, "user-data") == "#!/bin/sh"
    assert "403" in two.ask(f"run wget -O - {METADATA}/meta-data/instance-id")
    assert told_of(one, "meta-data/ram/security-credentials/") == "build"
    keys = f"{METADATA}/meta-data/ram/security-credentials/build"
    assert one.ask(f"run wget -q -O - {keys} | grep -c AccessKeySecret").strip() == "1"

    # It has a public address, and so a way out; where that leads to, tests of the network itself say.
    assert PlaceFolder(cloud.kiln.data / "networks" / row["VpcAttributes"]["VpcId"]).has_egress()

    # Who comes by the public address, or from the VSwitch, reaches what the default group opens.
    said = cloud.reached(first)
    (ssh,) = [port for port in said["ReachedAt"]["Reached"] if port["GuestPort"] == 22]
    assert said["Network"] == "cable"
    assert said["Ssh"] == f"{ssh['Address']}:{ssh['Port']}"
    one.ask("serve 22 here-is-the-first")
    wait_for(lambda: heard_at(ssh["Address"], ssh["Port"]), "here-is-the-first")
    wait_for(lambda: two.ask(f"run sleep 2 | nc -w 20 {address} 22").strip(), "here-is-the-first")

    # Nothing of the host is there, by whatever name: asked in words that tell of what is reached.
    wait_for(lambda: reaches(two, address, 22), True)
    with contextlib.closing(HostService("127.0.0.1", ssh["Address"])) as service:
        for target in ("127.0.0.1", "10.0.2.2", ssh["Address"]):
            lead_there(two, target)
            for at in (service.port, cloud.kiln.address[1]):
                assert not reaches(two, target, at), (target, at)
        assert service.came() == 0
        socket.create_connection((ssh["Address"], service.port)).close()
        assert service.came() == 1

    # All of it goes on without Kiln, and with the next one.
    cloud.kiln.kill9()
    wait_for(lambda: heard_at(ssh["Address"], ssh["Port"]), "here-is-the-first")
    cloud.kiln.start()
    wait_for(lambda: told_of(one, "meta-data/instance-id"), first)
    assert cloud.reached(first)["ReachedAt"] == said["ReachedAt"]

    # Who is stopped has no interface any more, and a VPC without interfaces no process.
    for instance in (first, second):
        caller.ask("StopInstance", InstanceId=instance, ForceStop=True)
        caller.instance_is(instance, "Stopped")
    networks = cloud.kiln.data / "networks"
    wait_for(lambda: [one for one in networks.iterdir() if one.is_dir()], [])
    assert heard_at(ssh["Address"], ssh["Port"]) == ""
