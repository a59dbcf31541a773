"""One VPC on two hosts, by real machines: who is on one reaches who is on the other, wherever each comes to be."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import time
from contextlib import ExitStack

import pytest

from kiln.client.waiters import wait
from kiln.guest.session import open_session
from kiln.machines import process
from kiln.machines.runfolder import RunFolder
from kiln.networks.trying import why_not_joined
from kiln.service.draining import Emptying
from kiln.service.hosts import drain
from kiln.store.database import open_postgresql
from tests.cluster.deployments import deployment
from tests.cluster.wires import wire_of
from tests.guests import guest_image, open_reachable  # noqa: F401 - a fixture
from tests.tools import lacks, needs
from tests.waiting import wait_for

pytestmark = [pytest.mark.postgresql, pytest.mark.vm, pytest.mark.slow_vm]

METADATA = "http://100.100.100.200/latest/meta-data"
#: A guest's own page, which says a name, until it ends.
PAGE = (
    "run { echo HTTP/1.0 200 OK; echo; echo here-is-%s; } >/run/page; "
    "(while :; do nc -l -p 80 </run/page; done) >/dev/null 2>&1 &"
)
_WITHIN_S = 300.0


class Cloud:
    """Two hosts on a wire, ``one`` and ``two``, and guests of theirs."""

    def __init__(self, wire, deployed, client, image):
        self.wire, self.deployed, self.client, self._image = wire, deployed, client, image
        self.workers = {}

    def start_host(self, name):
        told = {"machines": "qemu", "accel": "tcg", "host_grace": "10s"}
        address = self.wire.address_of(name)
        worker = self.deployed.start(name, "worker", tunnel_address=address, peer_listen=f"{address}:0", **told)
        self.workers[name] = worker

    def run(self, host, **more):
        """An instance that runs on that host."""
        self.only(host)
        answer = self.client.call(
            "RunInstances", ImageId=self._image, InstanceType="ecs.t5-lc2m1.nano", Amount=1, **more
        )
        (instance,) = answer["InstanceIdSets"]["InstanceIdSet"]
        self.runs_on(instance, host)
        return instance

    def only(self, host):
        """Nothing is started on the other host from now on."""
        database = open_postgresql(self.deployed.address)
        try:
            for name in self.workers:
                drain(database, name, is_draining=name != host)
        finally:
            database.close()

    def runs_on(self, instance, host):
        wait(self.client, "instance", instance, "Running")
        assert self.deployed.host_of(instance) == host

    def told_of(self, instance):
        (told,) = self.client.call("DescribeInstances", InstanceIds=[instance])["Instances"]["Instance"]
        return told

    def address_of(self, instance):
        return self.told_of(instance)["VpcAttributes"]["PrivateIpAddress"]["IpAddress"][0]

    def session(self, instance):
        """With its guest, which has its address then."""
        console = self.deployed.folder / self.deployed.host_of(instance) / "run" / instance / "console"
        return self._with_address(open_session(console), self.address_of(instance))

    @contextlib.contextmanager
    def _with_address(self, opened, address):
        with opened as guest:
            assert guest.ask("network") == address
            yield guest

    def answers_at(self, instance, host):
        """What a port of its public address says to who comes to it on that host."""
        reached = self.client.call("DescribeReasons", ResourceId=instance)["ReachedAt"]["Reached"]
        places = [(one["Address"], int(one["Port"])) for one in reached if int(one["GuestPort"]) == 22]
        with self.wire.at(host):
            for place in places:
                with contextlib.suppress(OSError), socket.create_connection(place, 20.0) as connection:
                    return connection.makefile().readline().strip()
        return ""

    def empty(self, host):
        """Have those that run there go to the other while they run; what became of each."""
        database = open_postgresql(self.deployed.address)
        try:
            drain(database, host, is_draining=True)
            emptying = Emptying(database, host, time.time, by_stop=False)
            wait_for(lambda: all(one.is_over for one in emptying.look()), within_s=_WITHIN_S)
            return {one.instance: one.text for one in emptying.look()}
        finally:
            database.close()

    def lose(self, host):
        """The host is gone, with its machines and networks."""
        self.workers[host].kill9()
        for path in (self.workers[host].data / "run").glob("i-*"):
            if (pid := process.find(RunFolder(path))) is not None:
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def cloud(guest_image, postgresql_address):  # noqa: F811 - the fixture
    needs("qemu-system-x86_64", "qemu-img")
    with ExitStack() as stack:
        folder = stack.enter_context(open_reachable())
        wire = stack.enter_context(wire_of("one", "two"))
        with wire.at("one"):
            if why := why_not_joined(f"{wire.address_of('one')}:4789", 1450):
                lacks(why)
        stack.enter_context(wire.at())
        deployed = stack.enter_context(deployment(folder, postgresql_address, start=wire.start_kiln))
        client = deployed.client(deployed.start("api", "api"))
        bucket = deployed.shared / "buckets" / "images"
        bucket.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(guest_image, bucket / "guest.qcow2")
        made = Cloud(wire, deployed, client, "")
        for name in ("one", "two"):
            made.start_host(name)
        mapping = {"OSSBucket": "images", "OSSObject": "guest.qcow2", "Format": "QCOW2"}
        made._image = client.call("ImportImage", Platform="Debian", DiskDeviceMapping=[mapping])["ImageId"]
        wait(client, "image", made._image, "Available")
        yield made


def reaches(guest, address):
    """Whether it answers a ping, and what page it has."""
    pings = " 0% packet loss" in guest.ask(f"run ping -c 1 -W 5 {address}")
    return pings, guest.ask(f"run timeout 20 wget -q -O - http://{address}/ 2>/run/why").strip()


def test_guests_of_two_hosts_reach_each_other_as_their_groups_and_vpcs_have_it(cloud):
    one, two = cloud.run("one"), cloud.run("two")
    zone = cloud.told_of(one)["ZoneId"]
    vpc = cloud.client.call("CreateVpc", CidrBlock="172.16.0.0/12")["VpcId"]
    switch = cloud.client.call("CreateVSwitch", VpcId=vpc, CidrBlock="172.31.16.0/20", ZoneId=zone)["VSwitchId"]
    group = cloud.client.call("CreateSecurityGroup", VpcId=vpc)["SecurityGroupId"]
    other = cloud.run("two", VSwitchId=switch, SecurityGroupId=group)
    addresses = {instance: cloud.address_of(instance) for instance in (one, two)}
    with cloud.session(one) as first, cloud.session(two) as second, cloud.session(other) as third:
        for guest, name in ((first, "one"), (second, "two")):
            guest.ask(PAGE % name)
        for guest, instance, name in ((first, two, "two"), (second, one, "one")):
            there = addresses[instance]
            wait_for(lambda g=guest, a=there, n=name: reaches(g, a) == (True, f"here-is-{n}"), within_s=_WITHIN_S)
        assert first.ask(f"fetch {METADATA}/instance-id").strip() == one
        assert second.ask(f"fetch {METADATA}/instance-id").strip() == two
        assert [reaches(third, address) for address in addresses.values()] == [(False, "")] * 2
        assert cloud.client.call("DescribeReasons", ResourceId=one)["Apart"] == ""

        (own,) = cloud.told_of(two)["SecurityGroupIds"]["SecurityGroupId"]
        cloud.client.call("ModifySecurityGroupPolicy", SecurityGroupId=own, InnerAccessPolicy="Drop")
        wait_for(lambda: reaches(first, addresses[two]) == (True, ""), within_s=_WITHIN_S)


def test_an_instance_keeps_its_addresses_where_its_host_is_drained_and_where_it_is_lost(cloud):
    stays, moves = cloud.run("two"), cloud.run("one")
    address = cloud.address_of(moves)
    eip = cloud.client.call("AllocateEipAddress")["AllocationId"]
    cloud.client.call("AssociateEipAddress", AllocationId=eip, InstanceId=moves)

    def is_reached_on(host):
        with cloud.session(moves) as guest, cloud.session(stays) as other:
            guest.ask(f"serve 22 here-on-{host}")
            guest.ask(PAGE % host)
            wait_for(lambda: reaches(other, address) == (True, f"here-is-{host}"), within_s=_WITHIN_S)
            wait_for(lambda: cloud.answers_at(moves, host) == f"here-on-{host}", within_s=_WITHIN_S)
        assert cloud.address_of(moves) == address

    is_reached_on("one")
    cloud.only("two")
    cloud.client.call("StopInstance", InstanceId=moves, ForceStop=True)
    wait(cloud.client, "instance", moves, "Stopped")
    cloud.client.call("StartInstance", InstanceId=moves)
    cloud.runs_on(moves, "two")
    is_reached_on("two")

    cloud.only("one")
    cloud.lose("two")
    for instance in (moves, stays):
        # A client's own waiting ends where an instance has stayed as it is for a while, as this one does for its grace.
        wait_for(lambda one=instance: cloud.told_of(one)["Status"] == "Stopped", within_s=_WITHIN_S)
        cloud.client.call("StartInstance", InstanceId=instance)
        cloud.runs_on(instance, "one")
    is_reached_on("one")


#: What is said each second by a connection, and what has been heard by it. Who hears takes one alone, so that what
#: another says is not heard; and keeps its own end open, as one who has nothing more to say is left by the other.
SAYS = "run (until (while echo again; do sleep 1; done | nc %s 8080); do sleep 1; done) >/dev/null 2>&1 &"
HEARS = "run (tail -f /dev/null | nc -l -p 8080 >/run/heard) >/dev/null 2>&1 &"


def test_a_guest_that_goes_to_another_host_while_it_runs_keeps_its_connections_and_addresses(cloud):
    """First to the host of its neighbour, and then both leave that one after the other."""
    stays, goes = cloud.run("two"), cloud.run("one")
    eip = cloud.client.call("AllocateEipAddress")["AllocationId"]
    cloud.client.call("AssociateEipAddress", AllocationId=eip, InstanceId=goes)
    address, there = cloud.address_of(goes), cloud.address_of(stays)
    with cloud.session(stays) as other, cloud.session(goes) as guest:
        other.ask(HEARS)
        guest.ask("serve 22 here-it-is")
        wait_for(lambda: reaches(guest, there)[0], within_s=_WITHIN_S)
        guest.ask(SAYS % there)
        wait_for(lambda: heard(other) > 1, within_s=_WITHIN_S)

    cloud.only("two")
    assert cloud.empty("one") == {goes: "is Running on two"}
    goes_on(cloud, stays, goes, address, "two")

    cloud.only("one")
    assert cloud.empty("two") == dict.fromkeys(sorted((stays, goes)), "is Running on one")
    goes_on(cloud, stays, goes, address, "one")


def heard(guest):
    """How often the connection said something."""
    return guest.ask("run cat /run/heard").count("again")


def goes_on(cloud, stays, goes, address, host):
    assert cloud.deployed.host_of(goes) == host
    with cloud.session(stays) as other, cloud.session(goes) as guest:
        before = heard(other)
        wait_for(lambda: heard(other) > before + 2, within_s=_WITHIN_S)
        wait_for(lambda: reaches(other, address)[0], within_s=_WITHIN_S)
        wait_for(lambda: cloud.answers_at(goes, host) == "here-it-is", within_s=_WITHIN_S)
        assert guest.ask(f"fetch {METADATA}/instance-id").strip() == goes
