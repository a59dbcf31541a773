"""Guests that are switched to overlays, with nobody looking, and the files that they go on with."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess

import pytest

from kiln.ground import killpoints
from kiln.machines import guest as guests
from kiln.machines import process, qmp
from kiln.machines.errors import MachineAstray, MachineRefused, MachineUntold
from kiln.machines.port import Drive
from kiln.pools.port import Succession
from kiln.pools.qcow2 import Qcow2Pool
from tests.machines.disks import MIB, a_machine, files_open, qemu_img, settle
from tests.pools.kills import in_child, killed_at, points_of

pytestmark = [pytest.mark.vm, pytest.mark.usefixtures("patient")]


def folder_of(machines, instance="i-1"):
    return machines.folder(instance)


def tops_of(machines):
    """What the devices stand on, by another question than Kiln's own."""
    with qmp.open_session(folder_of(machines).qmp) as session:
        return {block["inserted"]["node-name"] for block in session.execute("query-block") if "inserted" in block}


def test_switches_all_disks_or_none(bare, disks):
    uid = bare.uid("i-1")
    bare.attach("i-1", disks.drive(disks.blank("c0", uid=uid), "c"))
    disks.above("a1", "a0", uid)

    with pytest.raises(MachineRefused, match="c0"):
        bare.guest("i-1").switch([("a0", disks.node("a1")), ("b0", disks.node("c0"))], settle)

    assert not bare.guest("i-1").has_node("a1")
    assert bare.guest("i-1").has_node("c0")


def test_refuses_to_switch_above_what_is_no_disk(bare, disks):
    disks.above("c1", "a0", bare.uid("i-1"))

    with pytest.raises(MachineRefused, match="c0"):
        bare.guest("i-1").switch([("c0", disks.node("c1"))], settle)

    assert not bare.guest("i-1").has_node("c1")


def test_refuses_to_switch_above_what_has_an_overlay_already(bare, disks):
    uid = bare.uid("i-1")
    disks.above("a1", "a0", uid)
    bare.guest("i-1").switch([("a0", disks.node("a1"))], settle)
    disks.above("other", "a0", uid)

    with pytest.raises(MachineRefused, match="a0"):
        bare.guest("i-1").switch([("a0", disks.node("other"))], settle)

    assert tops_of(bare) == {"a1", "b0"}
    assert not bare.guest("i-1").has_node("other")


def test_switches_nothing_when_what_it_needs_cannot_be_settled(bare, disks):
    def fail():
        raise OSError("the disk does not sync")

    disks.above("a1", "a0", bare.uid("i-1"))

    with pytest.raises(OSError, match="does not sync"):
        bare.guest("i-1").switch([("a0", disks.node("a1"))], fail)

    assert tops_of(bare) == {"a0", "b0"}
    assert not bare.guest("i-1").has_node("a1")


def test_tells_an_overlay_that_it_writes_to_from_one_that_it_has_only_opened(bare, disks):
    uid, guest = bare.uid("i-1"), bare.guest("i-1")
    for overlay, node in (("a1", "a0"), ("b1", "b0")):
        disks.above(overlay, node, uid)
    guest.open_ahead([disks.node("a1"), disks.node("b1")], [])
    assert guest.has_node("a1")
    before = [guest.stands_above(node) for node in ("a1", "b1", "none")]

    guest.switch([("a0", disks.node("a1"))], settle, {"a1"})

    assert before == [False, False, False]
    assert [guest.stands_above(node) for node in ("a1", "b1")] == [True, False]


def test_does_not_take_an_overlay_that_it_has_just_opened_for_one_in_use(bare, disks):
    uid = bare.uid("i-1")
    for overlay, node in (("a1", "a0"), ("b1", "b0"), ("a2", "a0")):
        disks.above(overlay, node, uid)
    bare.guest("i-1").switch([("a0", disks.node("a1")), ("b0", disks.node("b1"))], settle)

    with pytest.raises(MachineRefused, match="a0 is not the top of a disk"):
        bare.guest("i-1").switch([("a0", disks.node("a2")), ("b0", disks.node("b1"))], settle)

    assert tops_of(bare) == {"a1", "b1"}
    assert not bare.guest("i-1").has_node("a2")


def test_completes_a_switch_that_was_killed_at_any_point(bare, disks):
    def generation(number):
        heirs = [(f"{letter}{number - 1}", f"{letter}{number}") for letter in "ab"]
        return [
            (head, disks.node(heir if heir in disks.below else disks.above(heir, head, bare.uid("i-1"))))
            for head, heir in heirs
        ]

    points = points_of(lambda: bare.guest("i-1").switch(generation(1), settle))
    for number in range(len(points)):
        nodes = generation(number + 2)
        assert killed_at(number, lambda nodes=nodes: bare.guest("i-1").switch(nodes, settle))
        bare.guest("i-1").switch(nodes, settle)
        bare.guest("i-1").switch(nodes, settle)

        assert tops_of(bare) == {f"a{number + 2}", f"b{number + 2}"}, points[number]


# Overlays that are opened ahead.


def test_switches_to_what_was_opened_ahead(bare, disks):
    uid, guest = bare.uid("i-1"), bare.guest("i-1")
    for overlay, node in (("a1", "a0"), ("b1", "b0")):
        disks.above(overlay, node, uid)

    guest.open_ahead([disks.node("a1"), disks.node("b1")], [])
    assert tops_of(bare) == {"a0", "b0"}
    guest.switch([("a0", disks.node("a1")), ("b0", disks.node("b1"))], settle, {"a1", "b1"})

    assert tops_of(bare) == {"a1", "b1"}


def test_opens_again_what_was_opened_ahead_and_closed_since(bare, disks):
    uid, guest = bare.uid("i-1"), bare.guest("i-1")
    for overlay, node in (("a1", "a0"), ("b1", "b0")):
        disks.above(overlay, node, uid)
    guest.open_ahead([disks.node("a1"), disks.node("b1")], [])
    with qmp.open_session(folder_of(bare).qmp) as session:
        session.execute("blockdev-del", {"node-name": "a1"})

    guest.switch([("a0", disks.node("a1")), ("b0", disks.node("b1"))], settle, {"a1", "b1"})

    assert tops_of(bare) == {"a1", "b1"}


def test_writes_to_no_file_of_an_earlier_attempt_with_the_overlays_name(bare, disks):
    uid, guest = bare.uid("i-1"), bare.guest("i-1")
    disks.above("a1", "a0", uid)
    guest.open_ahead([disks.node("a1")], [])
    disks.path("a1").unlink()
    disks.above("a1", "a0", uid)

    guest.switch([("a0", disks.node("a1"))], settle)

    assert tops_of(bare) == {"a1", "b0"}
    assert files_open(process.find(folder_of(bare))) == ["a0.qcow2", "a1.qcow2", "b0.qcow2"]


def test_closes_what_was_opened_ahead_and_is_not_wanted_any_more(bare, disks):
    uid, guest = bare.uid("i-1"), bare.guest("i-1")
    for overlay, node in (("a1", "a0"), ("b1", "b0"), ("a2", "a1")):
        disks.above(overlay, node, uid)
    guest.open_ahead([disks.node("a1")], [])
    guest.open_ahead([disks.node("b1")], ["a1"])
    assert guest.has_node("a1")

    guest.switch([("b0", disks.node("b1"))], settle, {"b1"})
    guest.open_ahead([disks.node("a2")], [])

    assert not guest.has_node("a1")
    assert guest.has_node("a2")
    assert tops_of(bare) == {"a0", "b1"}


def test_completes_a_switch_to_what_was_opened_ahead_that_was_killed_at_any_point(bare, disks):
    def act(nodes):
        guest = bare.guest("i-1")
        guest.open_ahead([node for _, node in nodes], [])
        guest.switch(nodes, settle, {node["node-name"] for _, node in nodes})

    def generation(number):
        heirs = [(f"{letter}{number - 1}", f"{letter}{number}") for letter in "ab"]
        return [(head, disks.node(disks.above(heir, head, bare.uid("i-1")))) for head, heir in heirs]

    points = points_of(lambda: act(generation(1)))
    assert {"machines.before_ahead", "machines.opened_ahead"} <= set(points)
    for number in range(len(points)):
        nodes = generation(number + 2)
        assert killed_at(number, lambda nodes=nodes: act(nodes))
        bare.guest("i-1").switch(nodes, settle)

        assert tops_of(bare) == {f"a{number + 2}", f"b{number + 2}"}, points[number]


# Files that QEMU opens once more by the names that it was told.


def started_on(machines, pool):
    """A machine that runs on ``v-a0`` of the pool, or on what came after it."""
    head = max(pool.volumes())
    pool.grant(head, machines.uid("i-1"))
    blockdevs, files = tuple(pool.blockdevs(head)), pool.files(head)
    drive = Drive(node=head, blockdevs=blockdevs, serial="a", device="/dev/xvda", files=files)
    machines.start(a_machine(drives=[drive]))
    return machines.guest("i-1")


def written_by(machines):
    with qmp.open_session(folder_of(machines).qmp) as session:
        nodes = session.execute("query-named-block-nodes", {"flat": True})
    return {node["node-name"] for node in nodes if not node["ro"] and not node["node-name"].startswith("#")}


@pytest.mark.parametrize("left", ["nothing", "copy"])
def test_a_machine_whose_disks_were_moved_is_captured_after_its_next_start(machines, reachable, left):
    pool = Qcow2Pool(reachable / "pool")
    pool.create("v-a0", 64 * MIB)
    started_on(machines, pool)
    shutil.copytree(reachable / "pool", reachable / "copy")
    (reachable / "pool").rename(reachable / "moved")
    if left == "copy":
        (reachable / "copy").rename(reachable / "pool")
    pool, disk = Qcow2Pool(reachable / "moved"), [Succession("v-a0", "v-a1")]
    guest = machines.guest("i-1")

    with pytest.raises(MachineAstray, match="v-a0 by a name that leads elsewhere"):
        pool.freeze(disk, guest)
    after_refusal = tops_of(machines), written_by(machines), pool.has_frozen(disk, guest)
    pool.drop("v-a1")
    machines.stop("i-1", force=True)
    pool.freeze(disk, started_on(machines, pool))

    assert after_refusal == ({"v-a0"}, {"v-a0"}, False)
    assert written_by(machines) == {"v-a1"}
    assert files_open(process.find(folder_of(machines))) == ["v-a0.qcow2", "v-a1.qcow2"]


#: All by which a machine goes on with the files that it has open.
ASKED = {
    "freeze": lambda pool, guest: pool.freeze([Succession("v-a1", "v-a2")], guest),
    "absorb": lambda pool, guest: pool.absorb("v-a1", guest),
    "resize": lambda pool, guest: pool.resize("v-a1", 128 * MIB, guest),
    "let_go": lambda pool, guest: pool.let_go(["v-a0"], ["v-a1"], guest),
    "attach": lambda pool, guest: pool.require_home(["v-b1", "v-a1"], guest),
}


@pytest.mark.parametrize("where", ["moved", "moved, and an old copy left", "an old copy put in its place"])
def test_a_machine_whose_disks_are_elsewhere_is_told_nothing(machines, reachable, where):
    """A merge copied what an old copy held; a disk was put on its layers, and one that grew did so in one place."""
    pool = Qcow2Pool(reachable / "pool")
    pool.create("v-a0", 64 * MIB)
    pool.freeze([Succession("v-a0", "v-a1")], None)
    guest = started_on(machines, pool)
    pool.clone("v-a0", "v-b1", 64 * MIB)
    for ask in ("let_go", "attach"):
        ASKED[ask](pool, guest)
    subprocess.run(["cp", "-a", reachable / "pool", reachable / "copy"], check=True)
    (reachable / "pool").rename(reachable / "moved")
    if where != "moved":
        (reachable / "copy").rename(reachable / "pool")
    pool = Qcow2Pool(reachable / ("pool" if where.endswith("place") else "moved"))

    for ask in ASKED.values():
        with pytest.raises(MachineAstray, match=r"v-a[01] by a name that leads elsewhere"):
            ask(pool, guest)

    assert (tops_of(machines), written_by(machines)) == ({"v-a1"}, {"v-a1"})
    assert (pool.parent("v-a1"), pool.size("v-a1"), pool.has_frozen([Succession("v-a1", "v-a2")], guest)) == (
        "v-a0", 64 * MIB, False
    )  # fmt: skip


def test_closes_what_a_killed_freeze_left_open(machines, reachable):
    """It stayed open, and so its space, until the machine was stopped."""
    pool = Qcow2Pool(reachable / "pool")
    pool.create("v-a0", 64 * MIB)
    guest, disk = started_on(machines, pool), [Succession("v-a0", "v-a1")]

    def freeze():
        killpoints.listen(lambda point: os.abort() if point == "machines.overlays_opened" else None)
        pool.freeze(disk, guest)

    assert os.WIFSIGNALED(in_child(freeze))
    assert guest.has_node("v-a1")

    pool = Qcow2Pool(reachable / "pool")
    pool.sweep()
    pool.overlays.want(["v-a0"])
    pool.prepare()
    pool.overlays.open({"v-a0": "v-a2"}, guest)
    pool.drop("v-a1")
    pool.freeze([Succession("v-a0", "v-a2")], guest)

    assert written_by(machines) == {"v-a2"}
    assert files_open(process.find(folder_of(machines))) == ["v-a0.qcow2", "v-a2.qcow2"]


def test_a_machine_that_hangs_with_an_overlay_open_ahead_is_known_not_to_write_there(machines, reachable, monkeypatch):
    """Else nobody could tell for as long as it hangs, and who wants to end it by force would wait for that."""
    pool = Qcow2Pool(reachable / "pool")
    pool.create("v-a0", 64 * MIB)
    guest = started_on(machines, pool)
    pool.prepare()
    pool.overlays.open({"v-a0": "v-a1"}, guest)
    disk, number = [Succession("v-a0", "v-a1")], process.find(folder_of(machines))

    os.kill(number, signal.SIGSTOP)
    with monkeypatch.context() as soon:
        soon.setattr(guests, "_SWITCH_TIMEOUT_S", 2.0)
        with pytest.raises(MachineUntold):
            pool.freeze(disk, guest)
    is_there, has_frozen = pool.exists("v-a1"), pool.has_frozen(disk, guest)
    os.kill(number, signal.SIGCONT)
    pool.freeze(disk, guest)

    assert (is_there, has_frozen) == (False, False)
    assert written_by(machines) == {"v-a1"}
    assert files_open(number) == ["v-a0.qcow2", "v-a1.qcow2"]


@pytest.mark.parametrize("loss", ["folder", "bent", "memory too"])
def test_a_link_by_which_a_disk_was_opened_is_put_back(machines, reachable, loss):
    pool = Qcow2Pool(reachable / "pool")
    pool.create("v-a0", 64 * MIB)
    guest = started_on(machines, pool)
    pool.prepare()
    pool.overlays.open({"v-a0": "v-a1"}, guest)
    pool.freeze([Succession("v-a0", "v-a1")], guest)
    shutil.rmtree(reachable / "pool" / ".ahead")
    if loss == "bent":
        (reachable / "pool" / ".ahead").mkdir()
        (reachable / "pool" / ".ahead" / "v-a1.qcow2").symlink_to("../v-a0.qcow2")
    if loss == "memory too":
        pool = Qcow2Pool(reachable / "pool")

    pool.freeze([Succession("v-a1", "v-a2")], guest)

    assert written_by(machines) == {"v-a2"}
    assert files_open(process.find(folder_of(machines))) == ["v-a0.qcow2", "v-a1.qcow2", "v-a2.qcow2"]
    qemu_img("check", reachable / "pool" / "v-a1.qcow2")  # Which takes the lock that a writer holds.
