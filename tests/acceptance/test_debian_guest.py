"""The guest that people really use, through the words that they use: built, run, captured while it runs, run again."""

from __future__ import annotations

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

pytestmark = [pytest.mark.debian, pytest.mark.vm, pytest.mark.timeout(3600)]

_BOOTS_WITHIN_S = 900.0  #: TCG on a busy machine; an idle one needs a minute.
_TYPE = "ecs.t5-lc1m2.small"


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
    while "localhost login:" not in (said := words("instance", "console", instance)):
        assert time.monotonic() < deadline, said[-2000:]
        time.sleep(2)


def consistencies(words):
    with closing(sqlite3.connect(f"file:{words.database}?mode=ro", uri=True)) as database:
        return [one for (one,) in database.execute("SELECT consistency FROM snapshots WHERE instance != ''")]


def capture_quiesced(words, instance, name):
    """The agent may come up after the login; an image that was made before it is deleted."""
    deadline = time.monotonic() + _BOOTS_WITHIN_S
    while words("image", "create", "--instance", instance, "--name", name) and consistencies(words) != ["quiesced"]:
        assert time.monotonic() < deadline, consistencies(words)
        words("image", "delete", name, "--with-snapshots")


def test_a_debian_guest_is_captured_quiesced_and_boots_from_what_was_captured(kiln_says):
    kiln_says("guest", "build", "debian", "--name", "debian-12", "--timeout", "600")
    first = kiln_says("instance", "run", "--image", "debian-12", "--type", _TYPE, "--name", "first").split()[0]
    wait_for_login(kiln_says, first)

    capture_quiesced(kiln_says, first, "baked")
    kiln_says("instance", "stop", first, "--timeout", "600")  # By the power button, which the guest has to hear.

    second = kiln_says("instance", "run", "--image", "baked", "--type", _TYPE, "--name", "second").split()[0]
    wait_for_login(kiln_says, second)
