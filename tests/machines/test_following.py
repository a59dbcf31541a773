"""Layers that are merged while a machine reads them: it goes over to the new files, and lets the old ones go."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess

import pytest

from kiln.ground import killpoints
from kiln.machines import process
from kiln.machines.errors import MachineBusy
from kiln.machines.qmp import open_session
from tests.machines.disks import MIB, a_machine, files_open, qemu_img
from tests.pools.kills import in_child
from tests.tools import needs

pytestmark = [pytest.mark.vm, pytest.mark.usefixtures("patient")]

WRITTEN = {"base": (1, 0), "p1": (2, 1), "p2": (3, 2), "p3": (4, 3), "h": (5, 4), "k": (6, 4)}


@pytest.fixture
def layered(machines, disks):
    """A machine whose two disks, ``h`` and ``k``, stand on the layers base, p1, p2 and p3; each wrote a place."""
    needs("qemu-img", "qemu-io")
    disks.blank("base")
    for name, below in [("p1", "base"), ("p2", "p1"), ("p3", "p2"), ("h", "p3"), ("k", "p3")]:
        disks.above(name, below)
    for name, (byte, at) in WRITTEN.items():
        subprocess.run(["qemu-io", "-c", f"write -q -P {byte} {at}M 1M", disks.path(name)], check=True)
    # What is zero above something is what a merge with nothing below leaves out.
    subprocess.run(["qemu-io", "-c", "write -q -P 9 8M 1M", disks.path("base")], check=True)
    subprocess.run(["qemu-io", "-c", "write -q -z 8M 1M", disks.path("p1")], check=True)
    for name in ("h", "k"):
        if (uid := machines.uid("i-1")) is not None:
            os.chown(disks.path(name), uid, uid)
    machines.start(a_machine(drives=[disks.drive("h", "a"), disks.drive("k", "b")]))
    return machines


def merge(disks, child):
    """Let a layer take in its parent as the pool does: on a copy that takes its place."""
    parent = disks.below[child]
    base = disks.below[parent]
    copy = disks.folder / "copy"
    if base is None:
        qemu_img("convert", "-O", "qcow2", "-U", disks.path(child), copy)
    else:
        shutil.copy(disks.path(child), copy)
        qemu_img("rebase", "-U", "-F", "qcow2", "-b", f"{base}.qcow2", copy)
    copy.rename(disks.path(child))
    disks.below[child] = base


def follow(machines, disks):
    return machines.guest("i-1").follow([disks.chain("h"), disks.chain("k")])


def has_open(machines):
    """The files that the machine has open, those that have no name any more among them."""
    return files_open(process.find(machines.folder("i-1")))


def reads_right(machines, head):
    """Whether the machine finds in a disk what was written."""
    expected = {at: byte for name, (byte, at) in WRITTEN.items() if name not in "hk"} | {8: 0, 4: WRITTEN[head][0]}
    with open_session(machines.folder("i-1").qmp) as qmp:
        said = [
            qmp.execute("human-monitor-command", {"command-line": f'qemu-io {head} "read -q -P {byte} {at}M {MIB}"'})
            for at, byte in expected.items()
        ]
    return not any(said)


def test_lets_go_of_what_was_merged_away(layered, disks):
    merge(disks, "p2")
    assert "p2.qcow2 (deleted)" in has_open(layered)

    assert follow(layered, disks)

    assert has_open(layered) == ["base.qcow2", "h.qcow2", "k.qcow2", "p2.qcow2", "p3.qcow2"]
    assert reads_right(layered, "h")
    assert reads_right(layered, "k")


def test_closes_nothing_when_all_is_as_it_was(layered, disks):
    before = has_open(layered)

    assert not follow(layered, disks)

    assert has_open(layered) == before


def test_follows_one_merge_after_the_other_down_to_nothing(layered, disks):
    for child in ("p2", "p2", "p3"):
        merge(disks, child)
        assert follow(layered, disks)

    assert has_open(layered) == ["h.qcow2", "k.qcow2", "p3.qcow2"]
    assert reads_right(layered, "h")
    assert reads_right(layered, "k")


def test_follows_several_merges_at_once(layered, disks):
    for child in ("p2", "p3", "p3"):
        merge(disks, child)

    assert follow(layered, disks)

    assert has_open(layered) == ["h.qcow2", "k.qcow2", "p3.qcow2"]
    assert reads_right(layered, "h")


@pytest.mark.parametrize("point", ["before_follow", "fresh_opened", "followed"])
def test_follows_again_after_a_kill(layered, disks, point):
    merge(disks, "p2")

    def follow_and_die():
        killpoints.listen(
            lambda passed: os.kill(os.getpid(), signal.SIGKILL) if passed == f"machines.{point}" else None
        )
        follow(layered, disks)

    assert os.WIFSIGNALED(in_child(follow_and_die))
    assert reads_right(layered, "h")
    follow(layered, disks)

    assert has_open(layered) == ["base.qcow2", "h.qcow2", "k.qcow2", "p2.qcow2", "p3.qcow2"]
    assert reads_right(layered, "k")


def test_merges_on_into_the_head_and_attaches_on_what_it_followed_to(layered, disks):
    merge(disks, "p2")
    follow(layered, disks)

    layered.guest("i-1").stream("h", "p2", "p2.qcow2")
    disks.below["h"] = "p2"
    layered.attach("i-1", disks.drive(disks.above("n", "p2", layered.uid("i-1")), "c"))

    assert has_open(layered) == ["base.qcow2", "h.qcow2", "k.qcow2", "n.qcow2", "p2.qcow2", "p3.qcow2"]
    assert disks.backing_file("h") == "p2.qcow2"
    assert reads_right(layered, "h")
    merge(disks, "p2")
    assert layered.guest("i-1").follow([disks.chain(name) for name in "hkn"])
    assert has_open(layered) == ["h.qcow2", "k.qcow2", "n.qcow2", "p2.qcow2", "p3.qcow2"]
    assert reads_right(layered, "h")


def test_does_not_put_a_file_on_what_it_does_not_stand_on(layered, disks):
    """The chain was read, and only then merged on: the zeros that the merge left out would show what is below."""
    merge(disks, "p2")
    earlier = disks.chain("h")
    merge(disks, "p2")
    before = has_open(layered)

    with pytest.raises(MachineBusy):
        layered.guest("i-1").follow([earlier])

    assert has_open(layered) == before
    assert reads_right(layered, "h")


def test_waits_for_a_merge_that_is_at_work(layered, disks):
    merge(disks, "p2")
    below = {"base-node": "p2", "backing-file": "p2.qcow2"}
    with open_session(layered.folder("i-1").qmp) as qmp:
        qmp.execute("block-stream", {"device": "h", "job-id": "stream-h", "auto-finalize": False} | below)

    with pytest.raises(MachineBusy):
        follow(layered, disks)


def test_waits_for_whoever_changes_the_machine(layered, disks):
    with layered.folder("i-1").held(), pytest.raises(MachineBusy):
        follow(layered, disks)


def test_starts_nothing_on_a_chain_that_was_merged_meanwhile(layered, disks):
    layered.stop("i-1", force=True)
    earlier = a_machine(drives=[disks.drive("h", "a")])
    merge(disks, "p2")
    merge(disks, "p2")

    with pytest.raises(MachineBusy):
        layered.start(earlier)
    assert not layered.is_running("i-1")

    layered.start(a_machine(drives=[disks.drive("h", "a")]))
    assert reads_right(layered, "h")


def test_attaches_nothing_on_a_chain_that_was_merged_meanwhile(layered, disks):
    disks.blank("q")
    earlier = disks.drive(disks.above("n", disks.above("r", "q"), layered.uid("i-1")), "c")
    before = has_open(layered)
    merge(disks, "r")

    with pytest.raises(MachineBusy):
        layered.attach("i-1", earlier)
    assert has_open(layered) == before

    layered.attach("i-1", disks.drive("n", "c"))
    assert has_open(layered) == sorted([*before, "n.qcow2", "r.qcow2"])
