"""A real machine on a worker's host, seen and typed into by a door that has no machines."""

from __future__ import annotations

import base64
import os
import select
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from kiln.client.client import ApiFailure
from kiln.client.waiters import wait
from kiln.guest.image import READY
from tests.cluster.deployments import deployment
from tests.guests import guest_image, reachable  # noqa: F401 - fixtures
from tests.tools import needs
from tests.waiting import wait_for

pytestmark = [pytest.mark.postgresql, pytest.mark.vm]

needs("qemu-system-x86_64", "qemu-img")

_UP_WITHIN_S = 300.0


@pytest.fixture
def deployed(postgresql_address, reachable):  # noqa: F811
    with deployment(reachable, postgresql_address) as it:
        yield it


def an_instance(deployed, client, disk):
    """One that runs, of the small guest."""
    bucket = deployed.shared / "buckets" / "images"
    bucket.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(disk, bucket / "guest.qcow2")
    mapping = {"OSSBucket": "images", "OSSObject": "guest.qcow2", "Format": "QCOW2"}
    image = client.call("ImportImage", ImageName="guest", Platform="Debian", DiskDeviceMapping=[mapping])["ImageId"]
    wait(client, "image", image, "Available")
    answer = client.call("RunInstances", ImageId=image, InstanceType="ecs.t5-lc2m1.nano", Amount=1)
    (instance,) = answer["InstanceIdSets"]["InstanceIdSet"]
    wait(client, "instance", instance, "Running")
    return instance


@contextmanager
def attached(door, instance):
    """`kiln instance console INSTANCE --attach`, as somebody says it who reaches that door alone."""
    with say(door, "instance", "console", instance, "--attach", stdin=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def say(door, *words, **streams):
    settings = {
        "KILN_ENDPOINT": door.endpoint,
        "KILN_ACCESS_KEY_ID": door.access_key_id,
        "KILN_ACCESS_KEY_SECRET": door.secret,
        "KILN_REGION": door.region,
    }
    command = [sys.executable, "-P", "-m", "kiln.cli.main", *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=os.environ | settings, stdout=pipe, stderr=pipe, **streams)


def type_in(process, typed):
    process.stdin.write(typed)
    process.stdin.flush()


def until(process, text):
    """Read what is shown until *text* was."""
    shown, deadline = b"", time.monotonic() + _UP_WITHIN_S
    while text not in shown:
        readable, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
        piece = os.read(process.stdout.fileno(), 4096) if readable else b""
        assert piece, (shown, process.communicate(timeout=_UP_WITHIN_S))
        shown += piece


def status(client, instance):
    answer = client.call("DescribeCloudAssistantStatus", InstanceId=[instance])
    (one,) = answer["InstanceCloudAssistantStatusSet"]["InstanceCloudAssistantStatus"]
    return one["CloudAssistantStatus"]


def ran(door, instance, *command):
    """What `kiln instance exec` shows of a command in the guest."""
    with say(door, "instance", "exec", instance, *command) as process:
        shown, said = process.communicate(timeout=_UP_WITHIN_S)
    assert process.returncode == 0, said
    return shown


def at_two_doors(deployed, client, other, instance):
    """A session that was asked for at one door, joined at another, and is known and ended at both."""

    def asked():
        answer = client.call("StartTerminalSession", InstanceId=[instance])
        path = answer["WebSocketUrl"].partition("/session")[2]
        return answer["SessionId"], f"ws://{other.host}/session{path}", answer["WebSocketUrl"]

    def told(session):
        (one,) = client.call("DescribeTerminalSessions", SessionId=session)["Sessions"]["Session"]
        (connection,) = one["Connections"]["Connection"]
        return connection["Status"], connection["ClosedReason"]

    session, there, here = asked()
    with connect(there, proxy=None, compression=None) as joined:
        wait_for(lambda: told(session)[0] == "Connected")
        with pytest.raises(InvalidStatus), connect(here, proxy=None, compression=None):
            pass
        client.call("EndTerminalSession", SessionId=session)
        for _ in joined:
            pass
    assert told(session) == ("Terminated", "EndTerminalSession ended it")

    session, there, _ = asked()
    with connect(there, proxy=None, compression=None):
        wait_for(lambda: told(session)[0] == "Connected")
        other.kill9()
        wait_for(
            lambda: told(session) == ("Terminated", "the others gave up the Kiln where it was joined"), within_s=300
        )


def test_a_guest_is_worked_with_from_a_door_that_has_no_machines(deployed, guest_image):  # noqa: F811
    door, other = deployed.start("api", "api"), deployed.start("other", "api")
    client = deployed.client(door)
    worker = deployed.start("one", "worker", machines="qemu", accel="tcg")
    instance = an_instance(deployed, client, guest_image)
    try:
        with attached(door, instance) as terminal:
            until(terminal, READY.encode())
            type_in(terminal, b"write /data0/note typed\n")
            until(terminal, b">> ok")
            type_in(terminal, b"agent start\n")
            until(terminal, b">> ok")

            printed = client.call("GetInstanceConsoleOutput", InstanceId=instance)["ConsoleOutput"]
            assert READY.encode() in base64.b64decode(printed)
            assert client.call("DescribeReasons", ResourceId=instance)["Network"] in ("user", "cable")
            wait_for(lambda: status(client, instance) == "true", within_s=_UP_WITHIN_S)
            assert ran(door, instance, "cat", "/data0/note") == b"typed\n"

            at_two_doors(deployed, client, other, instance)

            worker.kill9()
            # What is typed goes on: at its end one would have left before the session was over.
            terminal.wait(timeout=_UP_WITHIN_S)
            assert b"the Kiln of its host has stopped" in terminal.stderr.read()
        with pytest.raises(ApiFailure, match="host one"):
            client.call("GetInstanceConsoleOutput", InstanceId=instance)

        worker.start()
        with attached(door, instance) as terminal:
            type_in(terminal, b"read /data0/note\n")
            until(terminal, b">> ok typed")
    finally:
        if worker.process.poll() is not None:
            worker.start()
        client.call("StopInstance", InstanceId=instance, ForceStop=True)
        wait(client, "instance", instance, "Stopped")
