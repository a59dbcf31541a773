"""Merging under a machine whose disks are written as guests write them: less than a cluster, here and there."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess

import pytest

from kiln.ground import killpoints
from kiln.machines.errors import MachineRefused
from kiln.machines.merging import _Chain, _pieces, _prefix, _written
from tests.guests import open_reachable
from tests.machines.disks import Disks, a_machine, qemu_img
from tests.pools.kills import in_child
from tests.tools import lacks, needs

pytestmark = [pytest.mark.vm, pytest.mark.slow_vm, pytest.mark.usefixtures("patient")]


@pytest.fixture(scope="module")
def template():
    """Files of a chain of base, p1, p2 and h, all scribbled on, and what h reads as."""
    needs("qemu-img", "qemu-io")
    with open_reachable() as folder:
        disks = Disks(folder)
        disks.blank("base")
        for number, (name, below) in enumerate([("p1", "base"), ("p2", "p1"), ("h", "p2")]):
            disks.scribble(below, number + 1, 200, seed=number)
            disks.above(name, below)
        disks.scribble("h", 9, 200, seed=9)
        qemu_img("convert", "-O", "raw", disks.path("h"), folder / "before")
        yield disks


@pytest.fixture
def scribbled(machines, disks, template):
    """A machine on that chain."""
    for file in template.folder.iterdir():
        shutil.copy(file, disks.folder)
    disks.below |= template.below
    if (uid := machines.uid("i-1")) is not None:
        os.chown(disks.path("h"), uid, uid)
    machines.start(a_machine(drives=[disks.drive("h", "a")]))
    return machines


def reads_as_before(disks):
    compared = subprocess.run(
        ["qemu-img", "compare", "-f", "qcow2", "-F", "raw", disks.path("h"), disks.folder / "before"], check=False
    )
    checked = subprocess.run(["qemu-img", "check", "-q", disks.path("h")], check=False)
    return (compared.returncode, checked.returncode) == (0, 0)


@pytest.mark.parametrize(("base", "file"), [("p1", "p1.qcow2"), ("base", "base.qcow2"), (None, None)])
def test_copies_up_what_lies_between(scribbled, disks, base, file):
    scribbled.guest("i-1").stream("h", base, file)
    open_nodes = {name for name in ("p2", "p1", "base") if scribbled.guest("i-1").has_node(name)}
    scribbled.stop("i-1", force=True)

    assert open_nodes == {None: set(), "base": {"base"}, "p1": {"p1", "base"}}[base]
    assert reads_as_before(disks)


@pytest.mark.parametrize(
    "point", ["before_fill", "filling", "filled", "before_stream", "stream_begun", "stream_flushed", "streamed"]
)
def test_merges_again_after_a_kill(scribbled, disks, point):
    def merge():
        scribbled.guest("i-1").stream("h", "base", "base.qcow2")

    def merge_and_die():
        killpoints.listen(
            lambda passed: os.kill(os.getpid(), signal.SIGKILL) if passed == f"machines.{point}" else None
        )
        merge()

    assert os.WIFSIGNALED(in_child(merge_and_die))
    merge()
    scribbled.stop("i-1", force=True)

    assert reads_as_before(disks)
    assert disks.backing_file("h") == "base.qcow2"


def test_refuses_a_disk_that_is_not_there(scribbled):
    with pytest.raises(MachineRefused):
        scribbled.guest("i-1").stream("other", "base", "base.qcow2")
    with pytest.raises(MachineRefused):
        scribbled.guest("i-1").stream("h", "other", "other.qcow2")


@pytest.mark.parametrize(
    ("written", "pieces"),
    [
        ([], []),
        ([(5, 6)], [(0, 128)]),
        ([(5, 6), (7, 9)], [(0, 128)]),
        ([(5, 6), (127, 129), (500, 600)], [(0, 128), (128, 128), (384, 256)]),
        ([(900, 1000)], [(896, 104)]),
        ([(0, 700)], [(0, 512), (512, 256)]),
    ],
)
def test_reads_whole_clusters_once(written, pieces):
    kib = 1024
    chain = _Chain(["layer"], 128 * kib, 1000 * kib)

    read = list(_pieces([(start * kib, end * kib) for start, end in written], chain))

    assert read == [(at * kib, length * kib) for at, length in pieces]


def test_a_layer_is_found_by_the_link_by_which_it_is_open(disks):
    needs("qemu-img", "qemu-io")
    disks.blank("base")
    disks.scribble("base", 1, 3, seed=1)
    disks.above("p1", "base")
    links = disks.folder / "links"
    links.mkdir()
    link = links / "p1.qcow2"
    link.symlink_to("../p1.qcow2")

    base = (str(disks.path("base")), "base")
    by_name = list(_written([(str(disks.path("p1")), "p1"), base], [], {}))

    assert by_name
    assert list(_written([(str(link), "p1"), base], [], {})) == by_name


def test_a_file_that_qemu_names_is_read_as_the_machine_s_user(machines, disks):
    if os.geteuid() != 0:
        lacks("root")
    machines.uid("i-1")
    prefix = _prefix(machines.folder("i-1"))
    disks.blank("closed")
    disks.path("closed").chmod(0o600)

    with pytest.raises(MachineRefused, match="Permission denied"):
        list(_written([(str(disks.path("closed")), "closed")], prefix, {}))

    disks.path("closed").chmod(0o604)
    assert list(_written([(str(disks.path("closed")), "closed")], prefix, {})) == []
