"""Machines whose guest does not matter: they have no system, or it is started only to be stopped again."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from kiln.ground import killpoints
from kiln.ground.journal import FACTS
from kiln.guest.session import open_session
from kiln.machines import guest as guests
from kiln.machines import logkeeper, process, qmp
from kiln.machines.errors import MachineAstray, MachineMissing, MachineRefused, MachineSilent, MachineUntold
from kiln.machines.port import Drive
from kiln.machines.qemu import QemuMachines
from kiln.pools.port import Succession
from kiln.pools.qcow2 import Qcow2Pool
from tests.machines.addresses import an_address
from tests.machines.disks import MIB, a_machine, files_open, qemu_img, settle
from tests.machines.patience import LIMIT_S
from tests.pools.kills import in_child, killed_at, points_of
from tests.tools import needs
from tests.waiting import wait_for

pytestmark = [pytest.mark.vm, pytest.mark.usefixtures("patient")]

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give machines users of their own")


def folder_of(machines, instance="i-1"):
    return machines.folder(instance)


# Starting.


def test_two_who_start_a_machine_at_once_get_one(machines, disks):
    machine = a_machine(drives=[disks.drive(disks.blank("a0", uid=machines.uid("i-1")), "a")])
    threads = [threading.Thread(target=QemuMachines(machines.run, accel="tcg").start, args=[machine]) for _ in "12"]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    numbers = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    found = [number for number in numbers if process._is_of(folder_of(machines), number)]
    assert len(found) == 1


def test_starting_again_after_a_kill_at_any_point_gets_one_machine(machines, disks):
    machine = a_machine(drives=[disks.drive(disks.blank("a0", uid=machines.uid("i-1")), "a")])
    points = points_of(lambda: machines.start(machine))
    machines.stop("i-1", force=True)

    for number in range(len(points)):
        assert killed_at(number, lambda: machines.start(machine))
        machines.start(machine)

        assert machines.guest("i-1").has_node("a0"), points[number]
        machines.stop("i-1", force=True)


def test_refuses_a_disk_that_is_none_with_qemus_own_words(machines, disks):
    disks.blank("a0", uid=machines.uid("i-1"))
    disks.path("a0").write_bytes(b"no qcow2 file")

    with pytest.raises(MachineRefused, match="not in qcow2 format"):
        machines.start(a_machine(drives=[disks.drive("a0", "a")]))

    assert not machines.is_running("i-1")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"architecture": "sparc"}, "no machine of architecture sparc"),
        ({"drives": [Drive("v", (), "1", "/dev/sda")]}, "/dev/sda is not the name of a disk"),
    ],
)
def test_refuses_machines_that_cannot_be(machines, changes, words):
    with pytest.raises(MachineRefused, match=words):
        machines.start(a_machine(**changes))


@as_root
def test_refuses_disks_that_the_machines_user_cannot_reach(machines, disks):
    disks.blank("a0")
    disks.folder.chmod(0o700)

    with pytest.raises(MachineRefused, match=r"chmod o\+x .*/disks"):
        machines.start(a_machine(drives=[disks.drive("a0", "a")]))


@as_root
def test_refuses_disks_that_were_not_granted(machines, disks):
    disks.blank("a0", uid=0)

    with pytest.raises(MachineRefused, match="Permission denied"):
        machines.start(a_machine(drives=[disks.drive("a0", "a")]))


@as_root
def test_gives_each_machine_a_user_that_no_machine_had_before(machines):
    first, second = machines.uid("i-1"), machines.uid("i-2")
    machines.forget("i-1")

    assert machines.uid("i-2") == second
    assert len({first, second, machines.uid("i-1")}) == 3


def test_starts_without_the_ports_that_cannot_be_had_and_says_so(machines, caplog):
    machines.start(a_machine(public_ip="203.0.113.7", ports=(22,)))

    assert machines.is_running("i-1")
    reason = "Port 22 is not forwarded from 203.0.113.7: Cannot assign requested address."
    assert machines.console("i-1").startswith(f"Kiln: {reason}\r\n".encode())
    assert [getattr(record, FACTS) for record in caplog.records] == [{"instance": "i-1", "reason": reason}]


@as_root
def test_forwards_low_ports_for_a_machine_without_rights(machines):
    machines.start(a_machine(public_ip=an_address(), ports=(22,)))

    assert b"not forwarded" not in machines.console("i-1")
    status = Path(f"/proc/{process.find(folder_of(machines))}/status").read_text()
    assert "CapEff:\t0000000000000400" in status  # CAP_NET_BIND_SERVICE and no other.


def test_forwards_another_port_where_one_cannot_be_had(machines):
    address = an_address()
    with socket.socket() as other:
        other.bind((address, 22 if os.geteuid() == 0 else 0))
        other.listen()

        machines.start(a_machine(public_ip=address, ports=(22,)))

    assert machines.reach("i-1") == f"{address}:10022"
    assert f"Port 22 is forwarded from {address}:10022, since 22 there: ".encode() in machines.console("i-1")
    with socket.create_connection((address, 10022), timeout=300):
        pass
    machines.stop("i-1", force=True)
    assert machines.reach("i-1") == ""


# Finding.


def moved(machines, place):
    """The same machines, under another name of their folder."""
    machines.run.rename(place)
    return QemuMachines(place, accel="tcg", patience_s=0.5)


def test_finds_a_machine_whose_folder_was_moved(machines, tmp_path_factory):
    machines.start(a_machine())
    number = process.find(folder_of(machines))

    there = moved(machines, machines.run.with_name("elsewhere"))

    try:
        assert process.find(folder_of(there)) == number
        assert list(there.running()) == ["i-1"]
        there.start(a_machine())
        assert process.find(folder_of(there)) == number
    finally:
        there.stop("i-1", force=True)
    assert not there.is_running("i-1")
    assert not any(process._arguments(number))  # Whoever has it for a child may not have looked yet.


def test_takes_the_machine_of_a_copied_folder_for_nobody(machines):
    machines.start(a_machine())
    copied = machines.run.with_name("copy")
    subprocess.run(["cp", "-a", str(machines.run), str(copied)], check=True)

    copy = QemuMachines(copied, accel="tcg")

    assert list(copy.running()) == []
    assert copy.adopt() == []
    assert machines.is_running("i-1")


def test_takes_up_a_machine_whose_folder_was_lost_and_can_end_it(machines):
    machines.start(a_machine())
    number = process.find(folder_of(machines))
    shutil.rmtree(machines.run)

    assert not machines.is_running("i-1")
    assert machines.adopt() == ["i-1"]
    assert machines.adopt() == []

    assert list(machines.running()) == ["i-1"]
    machines.stop("i-1", force=False)
    assert not any(process._arguments(number))  # Whoever has it for a child may not have looked yet.


def test_starts_no_second_machine_beside_one_whose_folder_was_lost(machines):
    machines.start(a_machine())
    number = process.find(folder_of(machines))
    shutil.rmtree(machines.run)

    with pytest.raises(MachineRefused):
        machines.start(a_machine())

    found = [int(e.name) for e in Path("/proc").iterdir() if e.name.isdigit()]
    assert [one for one in found if process._is_of(folder_of(machines), one)] == [number]
    machines.adopt()


def test_does_not_believe_the_number_of_another_process(bare):
    folder_of(bare).pid_file.write_text(f"{os.getpid()}\n")

    assert not bare.is_running("i-1")
    assert list(bare.running()) == []

    folder_of(bare).pid_file.write_text(f"{process.search(folder_of(bare))}\n")
    assert bare.is_running("i-1")


def test_a_machine_that_died_does_not_run(bare):
    with process.open_process(folder_of(bare)) as qemu:
        qemu.kill()
        assert qemu.is_gone(LIMIT_S)

    assert not bare.is_running("i-1")
    assert bare.guest("i-1") is None
    bare.stop("i-1", force=False)
    with pytest.raises(MachineMissing):
        bare.reboot("i-1", force=True)
    with pytest.raises(MachineMissing):
        bare.attach("i-1", None)


def test_says_when_a_machine_goes_away_meanwhile(bare):
    guest = bare.guest("i-1")
    bare.stop("i-1", force=True)

    with pytest.raises(MachineMissing):
        guest.has_node("a0")


def test_says_when_a_machine_does_not_answer(bare):
    with (
        qmp.open_session(folder_of(bare).qmp),
        pytest.raises(MachineSilent),
        qmp.open_session(folder_of(bare).qmp, 0.2),
    ):
        pass

    assert bare.guest("i-1").has_node("a0")


# Stopping.


def test_finds_a_machine_to_stop_that_has_not_written_its_number_yet(bare):
    folder_of(bare).pid_file.write_text("")

    bare.stop("i-1", force=True)

    assert process.search(folder_of(bare)) is None


def test_cuts_the_power_of_a_guest_that_does_not_react(bare, disks):
    bare.stop("i-1", force=False)

    assert not bare.is_running("i-1")
    qemu_img("check", disks.path("a0"))  # Closed and unlocked.


def test_ends_a_machine_whose_qemu_hangs(bare):
    with process.open_process(folder_of(bare)) as qemu:
        os.kill(qemu.pid, signal.SIGSTOP)

    QemuMachines(bare.run, end_timeout_s=0.2).stop("i-1", force=True)

    assert not bare.is_running("i-1")


def test_forgets_what_was_kept(bare):
    bare.stop("i-1", force=True)

    bare.forget("i-1")
    bare.forget("i-1")

    assert not folder_of(bare).path.exists()
    assert bare.console("i-1") == b""


def test_cuts_a_console_log_that_has_grown_long(bare):
    log = folder_of(bare).console_log
    log.write_bytes(b"x" * 3_000_000 + b"end")

    printed = bare.console("i-1")

    assert len(printed) == 64 * 1024
    assert printed.endswith(b"xend")
    assert log.stat().st_size < 1_000_000


def test_says_why_it_did_not_start(machines, disks):
    drive = disks.drive(disks.blank("a0", uid=machines.uid("i-1")), "a")
    disks.path("a0").unlink()

    with pytest.raises(MachineRefused, match="No such file"):
        machines.start(a_machine(drives=[drive]))


def test_keeps_its_logs_short_with_nobody_there_and_loses_the_oldest(bare):
    folder = folder_of(bare)
    pid = process.find(folder)
    written = 0
    with open_descriptor(pid, "pipe:", stderr=True) as complaints, open_descriptor(pid, "pipe:") as console:
        for number in range(3000):
            for each in (complaints, console):
                written += os.write(each, b"%06d" % number + b"x" * 1017 + b"\n")
    wait_for(lambda: b"002999" in bare.console("i-1"))

    assert written > 6_000_000
    for log in (folder.console_log, folder.qemu_log):
        assert log.stat().st_size <= logkeeper.LIMIT_BYTES
        numbers = [int(line[:6]) for line in log.read_bytes().splitlines()[1:]]
        assert numbers == list(range(numbers[0], 3000))
    assert len(bare.console("i-1")) == 64 * 1024


def leads_to(path):
    """What a link leads to; nothing where the process has closed it since it was listed."""
    with contextlib.suppress(FileNotFoundError):
        return str(path.readlink())
    return ""


@contextlib.contextmanager
def open_descriptor(pid, what, *, stderr=False):
    """A pipe that a process writes to: its standard error, or another."""
    paths = sorted(Path(f"/proc/{pid}/fd").iterdir())
    chosen = [path for path in paths if (path.name == "2" if stderr else int(path.name) > 2)]
    writable = [path for path in chosen if leads_to(path).startswith(what) and not is_readable(path)]
    descriptor = os.open(writable[0], os.O_WRONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def is_readable(path):
    flags = (path.parents[1] / "fdinfo" / path.name).read_text().split("flags:")[1].split()[0]
    return int(flags, 8) & os.O_ACCMODE != os.O_WRONLY


def test_ends_the_keeping_of_its_logs_with_the_machine(bare):
    assert keepers_of(folder_of(bare))

    bare.stop("i-1", force=True)

    wait_for(lambda: not keepers_of(folder_of(bare)))


@pytest.mark.parametrize("which", [0, 1])
def test_a_keeper_of_its_logs_that_is_killed_costs_nothing(bare, which):
    """Time and again, whichever of the two it is; what was printed meanwhile is there as well."""
    folder = folder_of(bare)
    pid = process.find(folder)
    with open_descriptor(pid, "pipe:") as console:
        for number in range(4):
            wait_for(lambda: len(keepers_of(folder)) == 2)
            before = sorted(keepers_of(folder), key=int)
            os.kill(int(before[which]), signal.SIGKILL)
            os.write(console, b"line %d\n" % number)
            wait_for(lambda number=number: b"line %d\n" % number in bare.console("i-1"))
            wait_for(lambda before=before: len(set(keepers_of(folder)) - set(before)) == 1)

    assert process.find(folder) == pid
    assert bare.guest("i-1").has_node("a0")
    printed = [line for line in bare.console("i-1").splitlines() if line.startswith(b"line")]
    assert printed == [b"line %d" % number for number in range(4)]
    bare.stop("i-1", force=True)
    wait_for(lambda: not keepers_of(folder))


def keepers_of(folder):
    """The processes that keep its log."""
    found = []
    for path in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if path.readlink() == folder.console_log and b"logkeeper" in (path.parents[1] / "cmdline").read_bytes():
                found.append(path.parents[1].name)
    return found


# Switching to overlays, with nobody looking.


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


def test_completes_an_attachment_that_was_killed_at_any_point(bare, disks):
    uid = bare.uid("i-1")
    points = points_of(lambda: bare.attach("i-1", disks.drive(disks.blank("c0", uid=uid), "c")))
    for number, letter in enumerate("defgh"[: len(points)]):
        drive = disks.drive(disks.blank(f"{letter}0", uid=uid), letter)
        assert killed_at(number, lambda drive=drive: bare.attach("i-1", drive))
        bare.attach("i-1", drive)

        assert bare.guest("i-1").has_node(f"{letter}0")


@pytest.mark.parametrize("step", ["resize", "reboot"])
def test_completes_what_was_killed_at_any_point(bare, step):
    steps = {
        "resize": lambda: bare.guest("i-1").resize("a0", 64 * MIB),
        "reboot": lambda: bare.reboot("i-1", force=True),
    }
    points = points_of(steps[step])
    assert points
    for number in range(len(points)):
        assert killed_at(number, steps[step]), points[number]
        steps[step]()

        with qmp.open_session(folder_of(bare).qmp) as session:
            assert session.execute("query-status")["status"] == "running", points[number]
            assert (
                f'"virtual-size": {64 * MIB}' in json.dumps(session.execute("query-named-block-nodes"))
                or step != "resize"
            )


# Whole lives.


def test_keeps_what_the_guest_wrote_through_a_reboot_and_a_stop(reachable, disks, guest_image):
    machines = QemuMachines(reachable / "run", accel="tcg", patience_s=LIMIT_S, end_timeout_s=LIMIT_S)
    disks.bring_in("system", guest_image)
    system = disks.drive(disks.above("s0", "system", machines.uid("i-1")), "a")
    try:
        machines.start(a_machine(drives=[system]))
        with open_session(folder_of(machines).console) as guest:
            guest.ask("write /data0/file written")
        machines.reboot("i-1", force=False)
        with open_session(folder_of(machines).console) as guest:
            after_reboot = guest.ask("read /data0/file")
            guest.ask("seq start")
            counted = guest.ask("seq stop")
        machines.stop("i-1", force=False)
        is_running = machines.is_running("i-1")
    finally:
        machines.stop("i-1", force=True)

    assert (after_reboot, is_running) == ("written", False)
    assert disks.sector("s0", 1) == counted


def test_boots_by_uefi_and_ends_when_the_guest_powers_off(reachable, disks, guest_image):
    if not Path("/usr/share/OVMF/OVMF_CODE_4M.fd").exists():
        needs("ovmf")
    machines = QemuMachines(reachable / "run", accel="tcg")
    disks.bring_in("system", guest_image)
    system = disks.drive(disks.above("s0", "system", machines.uid("i-1")), "a")
    try:
        machines.start(a_machine(boot_mode="UEFI", cpus=2, drives=[system]))
        with process.open_process(folder_of(machines)) as qemu:
            with open_session(folder_of(machines).console) as guest:
                firmware = guest.ask("run ls /sys/firmware")
                guest.ask("poweroff")
            is_gone = qemu.is_gone(LIMIT_S)
    finally:
        machines.stop("i-1", force=True)

    assert "efi" in firmware.split()
    assert is_gone
