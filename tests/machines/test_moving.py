"""A guest goes from one machine to another while it runs: it runs once, and keeps what it wrote."""

from __future__ import annotations

import socket
import subprocess
from dataclasses import replace

import pytest

from kiln.machines import moving
from kiln.machines.errors import GuestStays, MachineBusy, MachineMissing, MachineRefused, MachineSilent
from tests.machines.between import begin_to_write, deaf, kill, secrets, status, still_writing, wait_there
from tests.machines.disks import qemu_img
from tests.machines.test_variables import FRESH
from tests.pools.kills import killed_at, points_of
from tests.tools import needs
from tests.waiting import wait_for

pytestmark = [pytest.mark.vm, pytest.mark.usefixtures("patient")]


@pytest.fixture
def bare(two):
    """A machine without a system runs here, and another waits for its guest there."""
    two.disks.blank("a0")
    begin(two)
    return two


def begin(two):
    two.end()
    two.give(two.here, "a0")
    two.here.start(two.machine("a0"))
    wait_there(two)


def is_open(machines):
    try:
        machines.entrance("i-1").close()
    except MachineMissing:
        return False
    return True


def is_written(two):
    """Whether a machine has the disk to write: then QEMU's own tool is refused it."""
    done = subprocess.run(
        ["qemu-io", "-c", "read -q 0 512", two.disks.path("a0")], capture_output=True, text=True, check=False
    )
    assert not done.returncode or "lock" in done.stderr
    return bool(done.returncode)


def test_a_guest_that_writes_goes_on_in_another_machine_and_misses_nothing(two, guest_image):
    two.disks.bring_in("system", guest_image)
    two.disks.above("a0", "system")
    two.disks.blank("seed")
    subprocess.run(["qemu-io", "-c", "write -q -P 1 0 64k", two.disks.path("seed")], check=True)
    two.disks.above("b0", "seed")
    two.give(two.here, "a0", "b0")
    machine = two.machine("a0", "b0")
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
    assert not is_written(bare)
    bare.send()  # Again, as after a crash.
    bare.there.take_over("i-1")
    bare.there.take_over("i-1")
    assert status(bare.there) == "running"
    assert is_written(bare)
    with pytest.raises(MachineRefused, match="lock"):
        bare.here.recall("i-1")


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
    assert is_written(bare)
    with pytest.raises(MachineRefused, match="lock"):
        bare.there.take_over("i-1")
    assert bare.there.folder("i-1").arriving.exists()


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
        seen.append(is_written(bare))
        raise NoMore

    if side == "take_over":
        with pytest.raises(NoMore):
            runs.take_over("i-1", may_run)
    else:
        with pytest.raises(NoMore):
            moving.recall(runs.folder("i-1"), may_run)

    assert seen == [True]
    assert status(runs) == ("paused" if side == "take_over" else "postmigrate")
    assert bare.there.folder("i-1").arriving.exists()
    runs.stop("i-1", force=True)
    assert not is_written(bare)


def test_one_whose_disks_another_has_is_not_even_asked_about(bare):
    bare.send()
    bare.give(bare.here, "a0")
    bare.here.recall("i-1")

    with pytest.raises(MachineRefused, match="Another machine has the lock of a0"):
        bare.there.take_over("i-1", lambda: pytest.fail("it was asked"))


def test_of_one_that_may_have_run_it_is_never_said_that_it_did_not(bare):
    """Asked again, after a kill or an outage of the database, it may be refused what it was granted the first time."""
    bare.send()
    bare.give(bare.here, "a0")
    bare.here.recall("i-1")
    bare.there.folder("i-1").mark_arrived()

    with pytest.raises(MachineSilent, match="may have run here"):
        bare.there.take_over("i-1")

    assert not bare.there.folder("i-1").arriving.exists()


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
    assert not bare.here.folder("i-1").is_between
    wait_there(bare)
    bare.send()
    bare.there.take_over("i-1")


def test_one_that_is_called_off_on_the_way_goes_on_where_it_is(bare):
    """Nobody takes what is said, so it is on its way for as long as it takes."""
    near, far = socket.socketpair()
    told = []

    def goes_on(percent):
        told.append(percent)
        return percent == 0

    with far, pytest.raises(GuestStays, match="called off"):
        bare.here.migrate("i-1", lambda: near, goes_on)

    assert 0 < told[-1] < 100
    assert status(bare.here) == "running"
    assert is_written(bare)
    assert not bare.here.folder("i-1").is_between
    bare.send()
    bare.there.take_over("i-1")


def test_a_guest_goes_on_where_it_was_when_nobody_says_that_all_has_come(bare):
    """It stands still by then, and what waits has all of it: but it runs in one, and this is the one."""
    with pytest.raises(MachineRefused, match="did not say in time"):
        moving.send(bare.here.folder("i-1"), lambda: deaf(bare.there.entrance("i-1")), still_s=0.5)

    assert status(bare.here) == "running"
    assert is_written(bare)
    assert not bare.here.folder("i-1").is_between
    assert bare.there.folder("i-1").arriving.exists()


def test_what_qemu_tells_of_an_earlier_move_does_not_count_for_the_next(bare):
    """A Kiln that was killed as it began again finds that word of the first."""
    bare.send()
    bare.give(bare.here, "a0")
    bare.here.recall("i-1")
    bare.here.folder("i-1").mark_leaving()
    bare.there.stop("i-1", force=True)

    with pytest.raises(MachineRefused, match="No machine waits"):
        bare.send()

    assert status(bare.here) == "running"
    assert not bare.here.folder("i-1").is_between


def test_one_that_is_owed_the_end_of_a_restart_is_not_sent(bare):
    """A guest that powers off stays in its machine then, and the other's would not know what to do with it."""
    bare.here.folder("i-1").mark_restarting()

    with pytest.raises(MachineBusy, match="restart"):
        bare.send()

    assert status(bare.here) == "running"
    assert not bare.here.folder("i-1").is_between


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


def test_nothing_comes_to_a_machine_that_does_not_wait(two):
    with pytest.raises(MachineMissing):
        two.there.entrance("i-1")
    two.disks.blank("a0")
    two.give(two.here, "a0")
    two.here.start(two.machine("a0"))
    with pytest.raises(MachineMissing):
        two.here.entrance("i-1")
    with pytest.raises(MachineRefused, match="runs here already"):
        two.here.receive(two.machine("a0"), two.here.make("i-1"))


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
    assert not bare.there.folder("i-1").is_between


def test_what_is_not_the_machines_own_socket_is_no_entrance(bare):
    entrance = bare.there.folder("i-1").arrival / "guest"
    entrance.unlink()
    entrance.symlink_to(bare.there.folder("i-1").qmp)

    with pytest.raises(MachineMissing):
        bare.there.entrance("i-1")


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


@pytest.mark.parametrize("is_encrypted", [False, True], ids=["plain", "encrypted"])
@pytest.mark.parametrize("step", list(STEPS))
def test_a_kill_at_any_point_of_a_step_is_mended_by_doing_it_again(two, step, is_encrypted):
    if is_encrypted:
        two.disks.encrypted("a0")
    else:
        two.disks.blank("a0")
    make_ready(two, step)
    points = points_of(lambda: STEPS[step](two))
    wanted = POINTS[step] | ({"told"} if is_encrypted and step == "migrate" else set())
    assert {point.rpartition(".")[2] for point in points} >= wanted

    for number in range(len(points)):
        make_ready(two, step)
        assert killed_at(number, lambda: STEPS[step](two))
        assert [status(machines) for machines in (two.here, two.there) if machines.is_running("i-1")].count(
            "running"
        ) <= 1

        again(two, step)

        ends_well(two, step)


def again(two, step):
    try:
        STEPS[step](two)
    except MachineRefused:
        # A machine that waits takes one connection, which may have ended with who was killed: then another waits.
        assert step == "migrate"
        assert status(two.here) == "running"
        assert not two.here.folder("i-1").is_between
        wait_there(two)
        two.send()


def ends_well(two, step):
    if step == "receive":
        two.send()
    if step in ("receive", "migrate"):
        two.take_over()
    runs = two.here if step == "recall" else two.there
    assert status(runs) == "running"
    assert is_written(two)
    assert two.there.folder("i-1").arriving.exists() == (step == "recall")
    assert secrets(runs) == []
