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

from kiln.ground.journal import FACTS
from kiln.guest.session import open_session
from kiln.machines import logkeeper, process, qmp
from kiln.machines.errors import MachineMissing, MachineRefused, MachineSilent
from kiln.machines.port import Drive
from kiln.machines.qemu import QemuMachines
from tests.machines.addresses import an_address
from tests.machines.disks import MIB, a_machine, qemu_img
from tests.machines.patience import LIMIT_S
from tests.pools.kills import killed_at, points_of
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


# Changing.


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
