"""A guest goes from one machine to another while it runs: it runs once, and keeps what it wrote."""

from __future__ import annotations

import socket
import subprocess
from dataclasses import replace

import pytest

from kiln.guest.session import open_session
from kiln.machines.errors import GuestStays, MachineBusy, MachineMissing, MachineRefused, MachineSilent
from kiln.pools import locks
from kiln.pools.errors import VolumeBusy
from kiln.pools.qcow2 import Qcow2Pool
from tests.dying import killed_at as dies_at
from tests.machines.between import (
    Simulated,
    at,
    begin_to_write,
    cut_by,
    held_back,
    is_open,
    kill,
    marks,
    secrets,
    status,
    still_writing,
    wait_there,
)
from tests.machines.disks import qemu_img
from tests.machines.patience import LIMIT_S
from tests.machines.test_variables import FRESH
from tests.pools.kills import points_of
from tests.tools import needs
from tests.waiting import wait_for

pytestmark = [pytest.mark.vm, pytest.mark.usefixtures("patient")]


@pytest.fixture(params=["qemu", "simulated"])
def bare(request, tmp_path):
    """A machine without a system runs here, and another waits for its guest there; what is simulated is as QEMU's."""
    made = Simulated(tmp_path) if request.param == "simulated" else request.getfixturevalue("two")
    made.prepare()
    begin(made)
    return made


@pytest.fixture
def of_qemu(two):
    """The same, of QEMU's alone."""
    two.prepare()
    begin(two)
    return two


def begin(two):
    two.end()
    two.give(two.here, "a0")
    two.here.start(two.machine("a0"))
    wait_there(two)


def of_two_disks(two, guest_image):
    """A machine here with a system, and another disk on which something is already."""
    two.disks.bring_in("system", guest_image)
    two.disks.above("a0", "system")
    two.disks.blank("seed")
    subprocess.run(["qemu-io", "-c", "write -q -P 1 0 64k", two.disks.path("seed")], check=True)
    two.disks.above("b0", "seed")
    two.give(two.here, "a0", "b0")
    return two.machine("a0", "b0")


def test_a_guest_that_writes_goes_on_in_another_machine_and_misses_nothing(two, guest_image):
    machine = of_two_disks(two, guest_image)
    two.here.start(machine)
    begin_to_write(two.here)
    two.give(two.there, "a0", "b0")
    two.there.receive(machine, two.here.make("i-1"))

    two.send()
    sent = int(two.disks.sector("b0", 1))
    two.there.take_over("i-1")
    two.here.stop("i-1", force=False)

    assert not two.here.is_running("i-1")
    with still_writing(two.there, sent) as session:
        last = int(session.ask("seq stop"))
        assert int(two.disks.sector("b0", 1)) == last
    two.there.stop("i-1", force=False)
    for head in ("a0", "b0"):
        qemu_img("check", two.disks.path(head))


def test_what_was_sent_writes_nowhere_until_it_is_let_run(bare):
    bare.send()

    # QEMU says that all is sent a moment before whoever sent it has come to rest.
    wait_for(lambda: (status(bare.here), status(bare.there)) == ("postmigrate", "paused"), within_s=300)
    assert not bare.is_written()
    bare.send()  # Again, as after a crash.
    bare.there.take_over("i-1")
    bare.there.take_over("i-1")
    assert status(bare.there) == "running"
    assert bare.is_written()
    with pytest.raises(MachineRefused, match="lock"):
        bare.here.recall("i-1")


def full(drive):
    """The drive on a file that cannot become larger than it is."""
    *below, head = drive.blockdevs
    size_bytes = drive.files[-1].stat().st_size & ~511  # In whole sectors, as QEMU wants it.
    file = {"driver": "raw", "size": size_bytes, "file": head["file"]}
    return replace(drive, blockdevs=(*below, head | {"file": file}))


def test_one_that_waits_for_room_is_woken_by_neither_host_while_it_is_between_them(two, guest_image):
    """QEMU sends it on with that state, and a machine that was let go on for it would run beside the other."""
    machine = of_two_disks(two, guest_image)
    machine = replace(machine, drives=[machine.drives[0], full(machine.drives[1])])
    two.here.start(machine)
    with open_session(two.here.folder("i-1").console) as session:
        session.wait_ready()
        two.give(two.there, "a0", "b0")
        two.there.receive(machine, two.here.make("i-1"))

        def entrance():
            session.ask("run dd if=/dev/zero of=/dev/vdb bs=1M count=1 oflag=direct >/run/dd 2>&1 &")
            return held_back(two.there.entrance("i-1"), lambda: status(two.here) == "io-error")

        two.here.migrate("i-1", entrance, chains=two.chains)

    assert status(two.there) == "io-error"
    assert (two.there.wake("i-1"), two.here.wake("i-1")) == (False, False)
    assert status(two.there) == "io-error"
    assert not two.is_written()
    two.take_over()
    wait_for(lambda: status(two.there) == "io-error", within_s=LIMIT_S)
    assert two.there.wake("i-1") is True


def test_what_its_firmware_keeps_is_written_where_it_comes_to(two):
    """The machine that waits has fresh ones. What the guest has comes with its memory, and is there when it goes on."""
    if not FRESH.exists():
        needs("ovmf")
    two.disks.blank("a0")
    two.give(two.here, "a0")
    machine = two.machine("a0", boot_mode="UEFI")
    two.here.start(machine)
    own, theirs = (machines.folder("i-1").firmware_variables for machines in (two.here, two.there))
    wait_for(lambda: own.read_bytes() != FRESH.read_bytes())
    two.give(two.there, "a0")
    two.there.receive(machine, two.here.make("i-1"))
    two.send()
    assert theirs.read_bytes() == FRESH.read_bytes()

    two.there.take_over("i-1")

    assert status(two.there) == "running"
    assert theirs.read_bytes() != FRESH.read_bytes()


def test_what_was_sent_can_be_recalled_and_the_other_never_runs(bare):
    bare.send()
    bare.give(bare.here, "a0")

    bare.here.recall("i-1")

    assert status(bare.here) == "running"
    assert bare.is_written()
    with pytest.raises(MachineRefused, match="lock"):
        bare.there.take_over("i-1")
    assert marks(bare.there).arriving.exists()


@pytest.mark.parametrize("side", ["take_over", "recall"])
def test_is_asked_whether_it_may_run_once_no_other_can_have_its_disks(bare, side):
    """Else who wakes up between the answer and the order may run a guest that has run elsewhere by then, and ended."""
    bare.send()
    runs = bare.there if side == "take_over" else bare.here
    bare.give(runs, "a0")
    wait_for(lambda: status(bare.here) == "postmigrate", within_s=300)
    seen = []

    class NoMore(Exception):
        pass

    def may_run():
        seen.append(bare.is_written())
        raise NoMore

    if side == "take_over":
        with pytest.raises(NoMore):
            runs.take_over("i-1", may_run)
    else:
        with pytest.raises(NoMore):
            bare.recall(may_run)

    assert seen == [True]
    assert status(runs) == ("paused" if side == "take_over" else "postmigrate")
    assert marks(bare.there).arriving.exists()
    runs.stop("i-1", force=True)
    assert not bare.is_written()


def test_one_whose_disks_another_has_is_not_even_asked_about(bare):
    bare.send()
    bare.give(bare.here, "a0")
    bare.here.recall("i-1")

    with pytest.raises(MachineRefused, match="Another machine has the lock of"):
        bare.there.take_over("i-1", lambda: pytest.fail("it was asked"))


def test_of_one_that_may_have_run_it_is_never_said_that_it_did_not(bare):
    """Asked again, after a kill or an outage of the database, it may be refused what it was granted the first time."""
    bare.send()
    bare.give(bare.here, "a0")
    bare.here.recall("i-1")
    marks(bare.there).mark_arrived()

    with pytest.raises(MachineSilent, match="may have run here"):
        bare.there.take_over("i-1")

    assert not marks(bare.there).arriving.exists()


def test_one_that_is_killed_with_the_guest_in_it_says_that_it_never_ran(bare):
    bare.send()
    kill(bare.there)

    with pytest.raises(MachineRefused, match="ended before that ran"):
        bare.there.take_over("i-1")
    bare.here.recall("i-1")
    assert status(bare.here) == "running"


def test_one_that_is_killed_after_it_may_have_run_is_gone(bare):
    bare.send()
    bare.there.take_over("i-1")
    kill(bare.there)

    with pytest.raises(MachineMissing):
        bare.there.take_over("i-1")


def test_a_machine_that_ends_while_the_guest_comes_leaves_it_where_it_is(bare):
    def entrance():
        found = bare.there.entrance("i-1")
        kill(bare.there)
        return found

    with pytest.raises(MachineRefused, match="could not be sent"):
        bare.here.migrate("i-1", entrance)

    assert status(bare.here) == "running"
    assert not marks(bare.here).is_between
    wait_there(bare)
    bare.send()
    bare.there.take_over("i-1")


def test_one_that_is_called_off_on_the_way_goes_on_where_it_is(bare):
    """Nobody takes what is said, so it is on its way for as long as it takes."""
    told = []

    def goes_on(percent):
        told.append(percent)
        return percent == 0

    with bare.sent_nowhere() as way, pytest.raises(GuestStays, match="called off"):
        bare.here.migrate("i-1", lambda: way, goes_on)

    assert 0 < told[-1] < 100
    assert status(bare.here) == "running"
    assert bare.is_written()
    assert not marks(bare.here).is_between
    bare.send()
    bare.there.take_over("i-1")


def test_a_guest_goes_on_where_it_was_when_nobody_says_that_all_has_come(bare):
    """It stands still by then, and what waits has all of it: but it runs in one, and this is the one."""
    with pytest.raises(MachineRefused, match="did not say in time"):
        bare.send_unheard()

    assert status(bare.here) == "running"
    assert bare.is_written()
    assert not marks(bare.here).is_between
    assert marks(bare.there).arriving.exists()


def test_what_qemu_tells_of_an_earlier_move_does_not_count_for_the_next(bare):
    """A Kiln that was killed as it began again finds that word of the first."""
    bare.send()
    bare.give(bare.here, "a0")
    bare.here.recall("i-1")
    marks(bare.here).mark_leaving()
    bare.there.stop("i-1", force=True)

    with pytest.raises(MachineRefused, match="No machine waits"):
        bare.send()

    assert status(bare.here) == "running"
    assert not marks(bare.here).is_between


def test_one_that_qemu_may_let_run_by_itself_keeps_its_disks_when_qemu_has_let_them_go(of_qemu, reachable):
    """Its host may stand still just then, for so long that the instance is started elsewhere, and ends there."""
    near, ours = cut_by(of_qemu.there.entrance("i-1"))
    with dies_at("machines.leaving"):
        of_qemu.here.migrate("i-1", lambda: near, chains=of_qemu.chains)
    wait_for(lambda: status(of_qemu.there) == "paused" and not of_qemu.is_written(), within_s=LIMIT_S)
    pool, third = Qcow2Pool(of_qemu.disks.folder), at(reachable / "third")
    of_qemu.give(third, "a0")

    with pytest.raises(VolumeBusy, match="may go on elsewhere"):
        third.start(of_qemu.machine("a0"), lambda: pool.require_sole(["a0"]))

    assert not third.is_running("i-1")
    ours.shutdown(socket.SHUT_RDWR)
    wait_for(lambda: status(of_qemu.here) == "running", within_s=LIMIT_S)
    assert of_qemu.is_written()
    of_qemu.here.recall("i-1")
    locks.require_not_kept(of_qemu.disks.path("a0"))


def test_one_that_has_left_keeps_nothing_any_more_and_neither_does_one_that_did_not_go(of_qemu):
    with pytest.raises(MachineRefused, match="No machine waits"):
        of_qemu.here.migrate("i-1", nowhere, chains=of_qemu.chains)
    locks.require_not_kept(of_qemu.disks.path("a0"))

    of_qemu.send()

    locks.require_not_kept(of_qemu.disks.path("a0"))


def nowhere():
    raise MachineMissing("No machine waits.")


def test_one_that_is_owed_the_end_of_a_restart_is_not_sent(of_qemu):
    """A guest that powers off stays in its machine then, and the other's would not know what to do with it."""
    marks(of_qemu.here).mark_restarting()

    with pytest.raises(MachineBusy, match="restart"):
        of_qemu.send()

    assert status(of_qemu.here) == "running"
    assert not marks(of_qemu.here).is_between


def test_what_waits_is_taken_over_and_cannot_be_recalled(bare):
    bare.send()

    with pytest.raises(MachineRefused, match="can only be taken over"):
        bare.there.recall("i-1")

    assert status(bare.there) == "paused"


def test_a_source_that_is_killed_takes_the_machine_that_waits_with_it(bare):
    """What has come in part is nobody's guest: QEMU ends by itself, and nothing ran."""
    connection = bare.there.entrance("i-1")
    kill(bare.here)
    connection.close()

    wait_for(lambda: not bare.there.is_running("i-1"))
    wait_for(lambda: not is_open(bare.there))


def test_nothing_comes_to_a_machine_that_does_not_wait(bare):
    bare.end()
    with pytest.raises(MachineMissing):
        bare.there.entrance("i-1")
    bare.give(bare.here, "a0")
    bare.here.start(bare.machine("a0"))
    with pytest.raises(MachineMissing):
        bare.here.entrance("i-1")
    with pytest.raises(MachineRefused, match="runs here already"):
        bare.here.receive(bare.machine("a0"), bare.here.make("i-1"))


@pytest.mark.parametrize(
    ("part", "value", "said"),
    [*((part, "another", "another") for part in ("program", "board", "engine")), ("is_cabled", True, "a cable")],
)
def test_refuses_a_guest_of_another_make(two, part, value, said):
    two.disks.blank("a0")
    two.give(two.here, "a0")
    two.here.start(two.machine("a0"))
    other = replace(two.here.make("i-1"), **{part: value})
    two.give(two.there, "a0")

    with pytest.raises(MachineRefused, match=rf"cannot come from .*{said}.* to QEMU .*pc-q35"):
        two.there.receive(two.machine("a0"), other)

    assert not two.there.is_running("i-1")
    assert status(two.here) == "running"


def test_a_machine_that_waits_is_started_anew_by_who_starts_it(bare):
    bare.here.stop("i-1", force=True)

    bare.there.start(bare.machine("a0"))

    assert status(bare.there) == "running"
    assert not marks(bare.there).is_between


def test_what_is_not_the_machines_own_socket_is_no_entrance(of_qemu):
    entrance = of_qemu.there.folder("i-1").arrival / "guest"
    entrance.unlink()
    entrance.symlink_to(of_qemu.there.folder("i-1").qmp)

    with pytest.raises(MachineMissing):
        of_qemu.there.entrance("i-1")


STEPS = {
    "receive": lambda two: two.there.receive(two.machine("a0"), two.here.make("i-1")),
    "migrate": lambda two: two.send(),
    "recall": lambda two: two.here.recall("i-1"),
    "take_over": lambda two: two.take_over(),
}
POINTS = {
    "receive": {"before_start", "spawned", "started", "waiting"},
    "migrate": {"before_leave", "leaving", "left"},
    "recall": {"before_recall", "disks_held", "goes_on", "recalled"},
    "take_over": {"before_take_over", "told", "disks_held", "arrived", "runs", "taken_over"},
}


def make_ready(two, step):
    begin(two)
    if step in ("recall", "take_over"):
        two.send()


@pytest.mark.parametrize("kind", ["plain", "encrypted", "simulated"])
@pytest.mark.parametrize("step", list(STEPS))
def test_a_kill_at_any_point_of_a_step_is_mended_by_doing_it_again(request, tmp_path, step, kind):
    two = Simulated(tmp_path) if kind == "simulated" else request.getfixturevalue("two")
    is_encrypted = kind == "encrypted"
    two.prepare(is_encrypted=is_encrypted)
    make_ready(two, step)
    points = points_of(lambda: STEPS[step](two))
    wanted = POINTS[step] | ({"told"} if is_encrypted and step == "migrate" else set())
    assert {point.rpartition(".")[2] for point in points} >= wanted

    for number in range(len(points)):
        make_ready(two, step)
        assert two.killed_at(number, lambda: STEPS[step](two))
        assert not (runs(two.here) and runs(two.there))

        again(two, step)

        ends_well(two, step)


def runs(machines):
    """Whether the guest does there. A machine whose other end was killed may end at this very moment."""
    try:
        return machines.is_running("i-1") and status(machines) == "running"
    except MachineMissing:
        return False


def again(two, step):
    try:
        STEPS[step](two)
    except MachineRefused:
        # A machine that waits takes one connection, which may have ended with who was killed: then another waits.
        assert step == "migrate"
        assert status(two.here) == "running"
        assert not marks(two.here).is_between
        wait_there(two)
        two.send()


def ends_well(two, step):
    if step == "receive":
        two.send()
    if step in ("receive", "migrate"):
        two.take_over()
    runs = two.here if step == "recall" else two.there
    assert status(runs) == "running"
    assert two.is_written()
    assert marks(two.there).arriving.exists() == (step == "recall")
    assert secrets(runs) == []
