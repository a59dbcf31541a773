"""A guest with disks on Ceph goes from one machine to another: the pool's fences do what QEMU's locks do for files."""

from __future__ import annotations

import os
import signal

import pytest

from kiln.guest.session import open_session
from kiln.machines import blocks, process, qmp
from kiln.machines.errors import MachineRefused
from kiln.machines.port import Drive
from kiln.machines.qemu import QemuMachines
from kiln.pools.errors import VolumeBusy
from tests.contract.rbd import RbdKind
from tests.guests import guest_image, reachable  # noqa: F401 - fixtures
from tests.machines.disks import a_machine
from tests.machines.patience import LIMIT_S
from tests.pools.kills import killed_at, points_of
from tests.pools.patterns import SIZE, bring_in, holds, inspected
from tests.tools import needs
from tests.waiting import wait_for

pytestmark = [pytest.mark.ceph, pytest.mark.vm, pytest.mark.usefixtures("patient")]

RUNS = ("machines.runs", "machines.taken_over")  #: From there on its guest does.
SHUT_OUT = "Cannot send after transport endpoint shutdown"


class Two:
    """Machines of two hosts of one pool, and the volumes of the one that goes."""

    def __init__(self, kind, folder):
        self.kind, self.place = kind, folder / "pool"
        self.volumes, self.writers = [], frozenset()
        self.place.mkdir()
        self.open()
        self.here, self.there = (QemuMachines(folder / name, accel="tcg", patience_s=0.5) for name in ("here", "there"))

    def open(self):
        self.pool = self.kind.open(self.place)
        self.pool.make_known()

    def machine(self):
        drives = [
            Drive(
                node=self.pool.node(volume),
                blockdevs=tuple(self.pool.blockdevs(volume)),
                serial=str(number),
                device=f"/dev/xvd{letter}",
                files=self.pool.files(volume),
            )
            for number, (volume, letter) in enumerate(zip(self.volumes, "ab", strict=False))
        ]
        return a_machine(drives=drives)

    def wait_there(self):
        """As ``upkeep.live`` has it done before it asks for a machine."""
        self.writers = self.writers or self.open_in()
        self.pool.shut_out(self.open_in() - self.writers)
        self.there.receive(self.machine(), self.here.make("i-1"))

    def open_in(self):
        """What names the machines that have any of its disks open."""
        return frozenset().union(*self.pool.writers(self.volumes).values())

    def send(self):
        self.here.migrate("i-1", lambda: self.there.entrance("i-1"))

    def keep_out(self):
        self.pool.shut_out(self.writers)
        self.pool.require_sole(self.volumes)

    def take_over(self):
        self.there.take_over("i-1", keep_out=self.keep_out)

    def recall(self):
        self.here.recall("i-1", lambda: self.pool.shut_out(self.open_in() - self.writers))

    def end(self):
        for machines in (self.here, self.there):
            machines.stop("i-1", force=True)


@pytest.fixture
def two(ceph, reachable):  # noqa: F811 - the fixture.
    needs("qemu-system-x86_64", "qemu-io")
    kind = RbdKind()
    kind.ceph = ceph
    made = Two(kind, reachable)
    yield made
    made.end()
    kind.close()


@pytest.fixture
def bare(two):
    """A machine without a system runs here and has written, and another waits for its guest there."""
    begin(two)
    return two


def begin(two):
    two.end()
    two.volumes, two.writers = [f"v-{len(list(two.pool.volumes()))}"], frozenset()
    two.pool.create(two.volumes[0], SIZE)
    two.here.start(two.machine(), lambda: two.pool.require_sole(two.volumes))
    write(two, two.here, 1)
    two.wait_there()


def write(two, machines, byte):
    """Write as the guest's disk does. Of what fails QEMU complains."""
    tell(two, machines, f"write -P {byte} 0 64k", "flush")


def go_on_in_vain(two, machines):
    """Have a guest go on whose machine is shut out, and write. QEMU refuses that where Ceph has told it by then."""
    refused = ""
    try:
        qmp.execute(machines.folder("i-1").qmp, "cont")
        write(two, machines, 9)
    except MachineRefused as error:
        refused = str(error)
    wait_for(lambda: SHUT_OUT in refused + machines.last_words("i-1"), within_s=300)


def tell(two, machines, *commands):
    """Have its disk do something; what comes of it QEMU writes in its log, at its end."""
    (volume,) = two.volumes
    with qmp.open_session(machines.folder("i-1").qmp) as session:
        disk = f"/machine/peripheral/{blocks.disks(session)[two.pool.node(volume)]}/virtio-backend"
        for command in commands:
            told = session.execute("human-monitor-command", {"command-line": f'qemu-io -d {disk} "{command}"'})
            assert told == "", "it was not understood"


def owner(two):
    """Whose Ceph's lock of the disk is: the address of the client; empty while nobody has written."""
    (volume,) = two.volumes
    (image,) = (entry.image for name, entry in two.pool._directory.read().entries.items() if name == volume)
    with two.pool._cluster.image(image, is_looked_at=True) as looked_at:
        found = looked_at.list_lockers()
    return found["lockers"][0][2] if found else ""


def status(machines):
    return qmp.execute(machines.folder("i-1").qmp, "query-status")["status"]


def kill(machines):
    with process.open_process(machines.folder("i-1")) as qemu:
        qemu.kill()
        assert qemu.is_gone(LIMIT_S)


def test_a_guest_that_writes_goes_on_in_another_machine_and_misses_nothing(two, guest_image):  # noqa: F811
    bring_in(two.pool, guest_image, inspected(two.pool, guest_image), "v-image")
    two.pool.clone("v-image", "v-0", two.pool.size("v-image"))
    two.volumes = ["v-0"]
    two.here.start(two.machine())
    with open_session(two.here.folder("i-1").console) as session:
        session.ask("write /data0/kept before")
        session.ask("sync")
        session.ask("seq start")
        wait_for(lambda: int(session.ask("seq") or 0) > 3, within_s=300)
    two.wait_there()

    two.send()
    two.take_over()
    two.here.stop("i-1", force=False)

    assert not two.here.is_running("i-1")
    with open_session(two.there.folder("i-1").console) as session:
        sent = int(wait_for(lambda: session.ask("seq")))
        wait_for(lambda: int(session.ask("seq") or 0) > sent + 3, within_s=300)
        last = session.ask("seq stop")
        assert session.ask("read /data0/kept") == "before"
        assert session.ask("run dd if=/dev/vda bs=512 skip=1 count=1 2>/dev/null").strip() == last


def test_ceph_alone_would_let_both_write_and_says_whose_its_lock_is(bare):
    """QEMU hands the lock over to whoever asks for it, and else it stays with the machine that has written."""
    (source,) = bare.writers
    assert owner(bare) == source
    bare.send()
    assert owner(bare) == source

    bare.there.take_over("i-1")
    write(bare, bare.there, 2)
    assert owner(bare) != source
    bare.here.recall("i-1")
    write(bare, bare.here, 3)

    assert owner(bare) == source


def test_once_the_guest_runs_there_the_machine_that_it_left_writes_no_more(bare):
    (source,) = bare.writers
    bare.send()
    wait_for(lambda: (status(bare.here), status(bare.there)) == ("postmigrate", "paused"), within_s=300)

    bare.take_over()
    bare.take_over()
    write(bare, bare.there, 2)

    assert status(bare.there) == "running"
    assert owner(bare) != source
    go_on_in_vain(bare, bare.here)
    bare.end()
    assert holds(bare.pool, bare.volumes[0], {0: 2})


def test_what_the_machine_that_waits_had_read_it_reads_anew(bare):
    """It may have looked at its disks as it was started, and the guest wrote on elsewhere."""
    tell(bare, bare.there, "read -P 1 0 64k")
    write(bare, bare.here, 2)
    bare.send()
    bare.take_over()

    tell(bare, bare.there, "read -P 2 0 64k")

    bare.there.stop("i-1", force=True)  # With which all is there that it has said.
    said = bare.there.folder("i-1").qemu_log.read_text()
    assert said.count("read 65536/65536 bytes") == 2
    assert "verification failed" not in said


def test_what_was_sent_can_be_recalled_and_the_other_never_runs(bare):
    bare.send()

    bare.recall()
    write(bare, bare.here, 2)

    assert status(bare.here) == "running"
    assert bare.open_in() == bare.writers
    with pytest.raises(MachineRefused, match=SHUT_OUT):
        bare.there.take_over("i-1")
    assert bare.there.folder("i-1").arriving.exists()
    bare.end()
    assert holds(bare.pool, bare.volumes[0], {0: 2})


def test_a_source_that_is_killed_with_the_lock_holds_nobody_up(bare):
    """By itself Ceph would believe for half a minute that it lives, and have the first write wait for that."""
    (source,) = bare.writers
    bare.send()
    kill(bare.here)
    assert owner(bare) == source

    bare.take_over()

    write(bare, bare.there, 2)
    assert owner(bare) != source
    assert len(bare.open_in()) == 1


def test_a_machine_that_waited_and_was_killed_is_in_nobodys_way(bare):
    kill(bare.there)
    assert len(bare.open_in()) == 2

    bare.wait_there()
    bare.send()
    bare.take_over()

    write(bare, bare.there, 2)
    bare.end()
    assert holds(bare.pool, bare.volumes[0], {0: 2})


def test_a_source_that_nobody_sees_as_the_guest_goes_on_writes_no_more_when_it_wakes(bare):
    """Ceph forgets it after half a minute, and knows it again by the same name."""
    bare.send()
    with process.open_process(bare.here.folder("i-1")) as qemu:
        os.kill(qemu.pid, signal.SIGSTOP)
        wait_for(lambda: not bare.open_in() & bare.writers, within_s=300)
        bare.take_over()
        write(bare, bare.there, 2)
        os.kill(qemu.pid, signal.SIGCONT)

    go_on_in_vain(bare, bare.here)
    bare.end()
    assert holds(bare.pool, bare.volumes[0], {0: 2})


def test_one_that_is_shut_out_before_it_has_its_disks_can_be_recalled(bare):
    bare.send()
    bare.pool.shut_out(bare.open_in() - bare.writers)

    with pytest.raises(MachineRefused, match=SHUT_OUT):
        bare.take_over()

    assert bare.there.folder("i-1").arriving.exists()
    bare.recall()
    assert status(bare.here) == "running"


def test_one_that_is_shut_out_just_as_it_is_let_run_writes_nothing(bare):
    """Its host was given up in that moment, and somebody started the instance elsewhere."""
    bare.send()

    def lose():
        bare.keep_out()
        bare.pool.cut_off(bare.volumes)

    bare.there.take_over("i-1", keep_out=lose)
    write(bare, bare.there, 9)

    wait_for(lambda: SHUT_OUT in bare.there.last_words("i-1"), within_s=300)
    bare.end()
    assert holds(bare.pool, bare.volumes[0], {0: 1})


def test_what_keeps_the_other_out_is_done_before_the_guest_runs_and_once_it_cannot_go_back(bare):
    bare.send()

    def fail():
        assert not bare.there.folder("i-1").arriving.exists()
        raise VolumeBusy("said by the test")

    with pytest.raises(VolumeBusy, match="by the test"):
        bare.there.take_over("i-1", keep_out=fail)

    assert status(bare.there) == "paused"
    bare.take_over()
    assert status(bare.there) == "running"


def test_a_kill_at_any_point_of_taking_over_is_mended_by_doing_it_again(two):
    def take_over_anew():
        """By a connection of its own, of which a process that is forked has nothing."""
        two.open()
        two.take_over()

    def make_ready():
        begin(two)
        two.send()
        two.kind.close()

    make_ready()
    points = points_of(take_over_anew)
    first = points.index("machines.before_take_over")
    assert {"machines.arrived", "rbd.shut_out.before", "rbd.shut_out.done", "machines.others_kept_out"} <= set(points)

    for number in range(first, len(points)):
        make_ready()
        assert killed_at(number, take_over_anew)
        assert status(two.there) == ("running" if points[number] in RUNS else "paused")

        take_over_anew()

        write(two, two.there, 2)
        assert status(two.there) == "running"
        two.end()
        assert holds(two.pool, two.volumes[0], {0: 2})
