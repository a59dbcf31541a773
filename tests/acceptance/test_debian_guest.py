"""The guest that people really use, through the words that they use: built, run, captured while it runs, run again."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pytest

from kiln.guest.debian import image
from kiln.guest.errors import GuestUnbuildable
from kiln.service.datafolder import DataFolder
from kiln.testing.served import start_kiln
from tests.guests import CACHE, open_reachable
from tests.tools import lacks, needs
from tests.waiting import wait_for

pytestmark = [pytest.mark.debian, pytest.mark.vm, pytest.mark.timeout(3600)]

_BOOTS_WITHIN_S = 900.0  #: TCG on a busy machine; an idle one needs a minute.
_ASKS = "import urllib.request as u; print(u.urlopen('http://100.100.100.200/latest/meta-data/instance-id').read().decode())"
_NOT_CONNECTED = 255  #: What ssh ends with.
_TYPE = "ecs.t5-lc1m2.small"
_PASSWORD = "Pass-word-1"


class Words:
    """``kiln``'s words, said to a Kiln."""

    def __init__(self, served):
        self.database = DataFolder(served.data).path / "kiln.sqlite"
        self._environment = os.environ | {
            "KILN_ENDPOINT": served.endpoint,
            "KILN_ACCESS_KEY_ID": served.access_key_id,
            "KILN_ACCESS_KEY_SECRET": served.secret,
            "KILN_REGION": served.region,
            "KILN_DATA": str(served.data),
            "KILN_CACHE": str(CACHE.parent),
        }

    def __call__(self, *words):
        command = [sys.executable, "-P", "-m", "kiln.cli.main", *words]
        return subprocess.check_output(command, env=self._environment, text=True).strip()

    def call(self, action, **params):
        return json.loads(
            self("call", action, *(f"{name.replace('_', '.')}={value}" for name, value in params.items()))
        )


@pytest.fixture(scope="module")
def kiln_says():
    """On a Kiln with machines; all of these are stopped in the end."""
    needs("mmdebstrap", "sfdisk", "mtools", "qemu-img", "qemu-system-x86_64")
    try:
        image.build(CACHE, lambda stage: sys.stderr.write(f"{stage}\n"), os.environ)
    except GuestUnbuildable as error:
        lacks(f"the Debian guest: {error}")
    with open_reachable() as folder, start_kiln(folder / "data", machines="qemu", accel="tcg") as served:
        words = Words(served)
        try:
            yield words
        finally:
            for instance in words("instance", "list", "-q", "--status", "Running").split():
                words("instance", "stop", instance, "--force")


def wait_for_login(words, instance):
    deadline = time.monotonic() + _BOOTS_WITHIN_S
    while " login: " not in (said := words("instance", "console", instance)):
        assert time.monotonic() < deadline, said[-2000:]
        time.sleep(2)


def import_debian(words):
    if "debian-12" not in words("image", "list"):
        words("guest", "build", "debian", "--name", "debian-12", "--timeout", "600")


def consistencies(words):
    with closing(sqlite3.connect(f"file:{words.database}?mode=ro", uri=True)) as database:
        return [one for (one,) in database.execute("SELECT consistency FROM snapshots WHERE instance != ''")]


def capture_quiesced(words, instance, name):
    """The agent may come up after the login; an image that was made before it is deleted."""
    deadline = time.monotonic() + _BOOTS_WITHIN_S
    while words("image", "create", "--instance", instance, "--name", name) and consistencies(words) != ["quiesced"]:
        assert time.monotonic() < deadline, consistencies(words)
        words("image", "delete", name, "--with-snapshots")


class Door:
    """The way into a guest that its instance says, by a key, or by a password."""

    def __init__(self, words, folder, instance, password=""):
        self._words, self._instance, self._known = words, instance, folder / instance
        self._options = [
            "-o", "StrictHostKeyChecking=no", "-o", "ConnectTimeout=30", "-o", f"UserKnownHostsFile={self._known}",
        ]  # fmt: skip
        self._environment = dict(os.environ)
        if password:
            asked = folder / "say-it"
            asked.write_text(f"#!/bin/sh\necho '{password}'\n")
            asked.chmod(0o700)
            self._environment |= {"SSH_ASKPASS": str(asked), "SSH_ASKPASS_REQUIRE": "force"}
            self._options += ["-o", "PreferredAuthentications=password", "-o", "NumberOfPasswordPrompts=1"]
        else:
            self._options += ["-i", folder / "key", "-o", "BatchMode=yes"]

    def run(self, command):
        """What the command says in the guest; waits for the guest to let one in."""
        deadline = time.monotonic() + _BOOTS_WITHIN_S
        while True:
            told, said = json.loads(self._words("instance", "show", self._instance, "--json")), ""
            if "SSH" in told:  # It is from when the instance's network stands.
                host, _, port = told["SSH"].rpartition(":")
                to = ["ssh", *map(str, self._options), "-p", port, f"root@{host}", command]
                done = subprocess.run(to, capture_output=True, text=True, check=False, env=self._environment)
                if done.returncode != _NOT_CONNECTED:
                    assert done.returncode == 0, done.stderr
                    return done.stdout.strip()
                said = done.stderr
            console = self._words("instance", "console", self._instance)[-2000:]
            assert time.monotonic() < deadline, (said, console)
            time.sleep(2)

    @property
    def host_key(self):
        return self._known.read_text().split()[-1]


def test_what_a_caller_says_of_the_system_reaches_it(kiln_says, tmp_path):
    """Key, host name, user data and password; and an instance of its image is another one."""
    needs("ssh", "ssh-keygen")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    kiln_says.call("ImportKeyPair", KeyPairName="mine", PublicKeyBody=(tmp_path / "key.pub").read_text().strip())
    import_debian(kiln_says)
    script = base64.b64encode(b"#!/bin/sh\necho carried-out >/root/by-user-data\n").decode()

    def run(name, image, **more):
        image = kiln_says.call("DescribeImages", ImageName=image)["Images"]["Image"][0]["ImageId"]
        made = kiln_says.call(
            "RunInstances", ImageId=image, InstanceType=_TYPE, InstanceName=name, HostName=name, KeyPairName="mine",
            InternetMaxBandwidthOut=10, **more,
        )  # fmt: skip
        return made["InstanceIdSets"]["InstanceIdSet"][0]

    first = run("web-1", "debian-12", UserData=script)
    door = Door(kiln_says, tmp_path, first)
    assert door.run("hostname") == "web-1"
    wait_for(lambda: door.run("cat /root/by-user-data || true") == "carried-out", within_s=_BOOTS_WITHIN_S, pause_s=2)
    assert door.run(f'python3 -c "{_ASKS}"') == first
    machine, key = door.run("cat /etc/machine-id"), door.host_key

    kiln_says("image", "create", "--instance", first, "--name", "baked-with-keys", "--timeout", "600")
    kiln_says("instance", "stop", first, "--force")
    made = run("web-2", "baked-with-keys", Password=_PASSWORD)
    second = Door(kiln_says, tmp_path, made)
    wait_for(lambda: second.run("hostname") == "web-2", within_s=_BOOTS_WITHIN_S, pause_s=2)

    wait_for(lambda: second.run("cat /etc/machine-id") not in (machine, ""), within_s=_BOOTS_WITHIN_S, pause_s=2)
    assert second.host_key != key
    assert second.run("cat /root/by-user-data") == "carried-out"
    assert Door(kiln_says, tmp_path, made, _PASSWORD).run("hostname") == "web-2"


def test_a_debian_guest_is_captured_quiesced_and_boots_from_what_was_captured(kiln_says, tmp_path):
    """Its user data sets a password, so Kiln sets none."""
    import_debian(kiln_says)
    (tmp_path / "user-data").write_text(f"#cloud-config\npassword: {_PASSWORD}\nchpasswd: {{expire: false}}\n")
    said = ["--image", "debian-12", "--type", _TYPE, "--name", "first", "--user-data", tmp_path / "user-data"]
    first = kiln_says("instance", "run", *said).split()[0]
    wait_for_login(kiln_says, first)
    assert Door(kiln_says, tmp_path, first, _PASSWORD).run("whoami") == "root"

    capture_quiesced(kiln_says, first, "baked")
    kiln_says("instance", "stop", first, "--timeout", "600")  # By the power button, which the guest has to hear.

    second = kiln_says("instance", "run", "--image", "baked", "--type", _TYPE, "--name", "second").split()[0]
    wait_for_login(kiln_says, second)
