"""What a machine's own user reaches, looked at from inside: by a program that runs as the machine does."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from kiln.buckets.folder import FolderBuckets
from kiln.machines.process import Confinement
from kiln.machines.qemu import QemuMachines
from kiln.machines.runfolder import RunFolder
from kiln.pools.port import Succession
from kiln.pools.qcow2 import Qcow2Pool
from kiln.service.assemble import assemble
from kiln.service.settings import read_settings
from tests.guests import reachable  # noqa: F401 - fixture

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give machines users of their own")
as_one_user = pytest.mark.skipif(os.geteuid() == 0, reason="about a Kiln that is not root")

SIZE = 8 << 20
#: Prints of each path whether it can be read, written, listed, and made in.
LOOK = """
import os, sys
for path in sys.argv[1:]:
    can = ""
    for letter, way in (("r", os.O_RDONLY), ("w", os.O_WRONLY)):
        try:
            os.close(os.open(path, way | os.O_NONBLOCK)); can += letter
        except OSError:
            pass
    try:
        os.listdir(path); can += "l"
    except OSError:
        pass
    try:
        os.close(os.open(path + "/made", os.O_CREAT | os.O_EXCL)); can += "m"
    except OSError:
        pass
    print(can or "-", path)
"""


@pytest.fixture
def kiln(reachable):  # noqa: F811 - the fixture.
    """A data folder as a served Kiln keeps it, with two instances of two tenants on layers of their own."""
    reachable.chmod(0o711)
    with assemble(read_settings({}, data=reachable, machines="none")):
        pass  # Once, so that all is there that a start makes.
    pool, machines = Qcow2Pool(reachable / "pool"), QemuMachines(reachable / "run")
    for tenant in "ab":
        pool.create(f"v-{tenant}0", SIZE)
        pool.freeze([Succession(f"v-{tenant}0", f"v-{tenant}1")], None)
        uid = machines.uid(f"i-{tenant}")
        pool.grant(f"v-{tenant}1", uid)
        folder = RunFolder(reachable / "run" / f"i-{tenant}")
        with folder.held():
            folder.make_file(folder.pid_file, uid)
            folder.make_file(folder.console_log, None)
    FolderBuckets(reachable / "buckets")
    (reachable / "buckets" / "b").mkdir()
    (reachable / "buckets" / "b" / "object").write_bytes(b"x")
    return reachable, pool, machines


def reached(uid, *paths):
    """What a program that runs as *uid* can do with each path."""
    program = Path(sys.executable).resolve() if uid is None else "/usr/bin/python3"
    command = [] if uid is None else Confinement(uid).prefix()
    said = subprocess.run([*command, program, "-c", LOOK, *paths], check=True, capture_output=True, text=True).stdout
    return {Path(line.split(" ", 1)[1]).name: line.split(" ", 1)[0] for line in said.splitlines()}


@as_root
def test_a_machine_reaches_its_own_disks_and_nothing_else(kiln):
    folder, _, machines = kiln
    files = [path for path in folder.rglob("*") if path.name != "made"]

    can = {path: reached(machines.uid("i-a"), path)[path.name] for path in [folder, *files]}

    assert {str(path.relative_to(folder)): what for path, what in can.items() if what != "-"} == {
        "pool/v-a0.qcow2": "r",
        "pool/v-a1.qcow2": "rw",
        "run/i-a/pid": "rw",
        "run/i-a/uid": "r",
        "run/i-b/uid": "r",
    }


@as_root
def test_another_local_user_reaches_nothing(kiln):
    folder, *_ = kiln

    can = {path: reached(65534, path)[path.name] for path in [folder, *folder.rglob("*")]}

    assert {path.name for path, what in can.items() if what != "-"} <= {"uid"}


@as_root
def test_a_machine_goes_on_reaching_what_it_stands_on_and_loses_it_with_its_last_disk(kiln):
    folder, pool, machines = kiln
    uid = machines.uid("i-a")
    pool.freeze([Succession("v-a1", "v-a2")], None)
    frozen = reached(uid, *sorted((folder / "pool").glob("v-a*")))
    pool.absorb("v-a1", None)
    merged = reached(uid, *sorted((folder / "pool").glob("v-a*")))
    pool.grant("v-a2", None)
    taken = reached(uid, *sorted((folder / "pool").glob("v-a*")))

    assert frozen == {"v-a0.qcow2": "r", "v-a1.qcow2": "r", "v-a2.qcow2": "rw"}
    assert merged == frozen
    assert set(taken.values()) == {"-"} or taken == {"v-a0.qcow2": "r", "v-a1.qcow2": "-", "v-a2.qcow2": "-"}


@as_root
def test_a_start_puts_a_pool_right_that_everybody_could_read(kiln):
    folder, _, machines = kiln
    for layer in ("v-a0.qcow2", "v-b0.qcow2"):
        os.removexattr(folder / "pool" / layer, "system.posix_acl_access")
        (folder / "pool" / layer).chmod(0o444)

    Qcow2Pool(folder / "pool")

    layers = sorted((folder / "pool").glob("v-?0.qcow2"))
    assert reached(65534, *layers) == {"v-a0.qcow2": "-", "v-b0.qcow2": "-"}
    assert reached(machines.uid("i-a"), *layers) == {"v-a0.qcow2": "r", "v-b0.qcow2": "-"}


def test_nothing_in_a_pool_is_open_to_others(kiln):
    folder, *_ = kiln

    modes = {path.name: stat.S_IMODE(path.lstat().st_mode) for path in (folder / "pool").rglob("*")}

    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o007} == {}


@as_one_user
def test_a_pool_is_its_owners_alone(kiln):
    folder, *_ = kiln

    assert stat.S_IMODE((folder / "pool").stat().st_mode) == 0o700
