"""Guests with encrypted disks go to another machine while they run, and nobody but QEMU is told their passphrases.

What QEMU lets go of while it lacks a passphrase it loses for good, and runs the
guest without it: so each test sees that the disks are there when it goes on.
"""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from pathlib import Path
from socket import socketpair

import pytest

from kiln.machines import moving, process, qmp
from kiln.machines.errors import MachineBusy, MachineMissing, MachineRefused
from kiln.pools.qcow2 import Qcow2Pool
from tests.guests import guest_image  # noqa: F401 - a fixture
from tests.machines.between import begin_to_write, deaf, kill, secrets, status, still_writing, wait_there
from tests.machines.disks import qemu_img
from tests.ring import passphrase
from tests.waiting import wait_for

pytestmark = [pytest.mark.vm, pytest.mark.usefixtures("patient")]


@pytest.fixture
def sealed(two):
    """A machine without a system runs here, whose disk stands on two encrypted layers; another waits there."""
    below = None
    for name in ("l0", "l1"):
        two.disks.encrypted(name, below)
        two.disks.path(name).chmod(0o444)
        below = name
    two.disks.encrypted("a0", below)
    two.give(two.here, "a0")
    two.here.start(two.machine("a0"))
    wait_there(two)
    return two


def nodes(machines):
    """The volumes that QEMU has open and not lost; of one that it lost it says nothing of any."""
    with qmp.open_session(machines.folder("i-1").qmp) as session:
        described = session.execute("query-named-block-nodes", {"flat": True})
    return sorted(node["node-name"] for node in described if node["encrypted"])


def goes_on(machines):
    return status(machines) == "running" and nodes(machines) == ["a0", "l0", "l1"] and secrets(machines) == []


def heard(way, words):
    """A way by which all goes that goes by *way*, and of which what is sent is heard."""
    near, ours = socketpair()

    def hand_on(source, target, kept):
        with suppress(OSError):
            while piece := source.recv(1 << 20):
                kept.append(piece)
                target.sendall(piece)
            target.shutdown(1)

    def carry():
        with way, ours:
            back = threading.Thread(target=hand_on, args=(way, ours, []))
            back.start()
            hand_on(ours, way, words)
            back.join()

    threading.Thread(target=carry).start()
    return near


def is_told_to_others(two, said):
    """Whether one of the passphrases is in what was *said*, or in what any process or file of the machines shows."""
    shown = [said]
    for machines in (two.here, two.there):
        pid = process.find(machines.folder("i-1"))
        if pid is not None:
            shown += [Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ")]
        shown += [path.read_bytes() for path in machines.run.rglob("*") if path.is_file()]
    texts = [one.text.encode() for one in two.disks.passphrases.values()]
    return any(text in each for text in texts for each in shown)


def check(disks, head):
    """See that the file of a head that no machine has open is whole."""
    one = disks.passphrases[head]
    told = f"secret,id={one},data={one.text}"
    qemu_img("check", "--object", told, f"json:{json.dumps(disks.node(head) | {'backing': None})}")


def test_a_guest_goes_on_here_and_there_and_its_passphrases_are_told_to_nobody(two, guest_image):  # noqa: F811 - the fixture.
    two.disks.bring_in("system", guest_image)
    two.disks.encrypted("a0", "sealed", two.disks.encrypted_copy("system", "sealed"))
    two.disks.encrypted("b0")
    two.give(two.here, "a0", "b0")
    machine = two.machine("a0", "b0")
    two.here.start(machine)
    begin_to_write(two.here)
    two.give(two.there, "a0", "b0")
    two.there.receive(machine, two.here.make("i-1"))
    assert secrets(two.there) == []
    two.send()
    two.there.stop("i-1", force=True)
    two.give(two.here, "a0", "b0")

    two.here.recall("i-1")

    assert secrets(two.here) == []
    with still_writing(two.here):
        pass
    two.give(two.there, "a0", "b0")
    two.there.receive(machine, two.here.make("i-1"))
    words = []

    two.here.migrate("i-1", lambda: heard(two.there.entrance("i-1"), words), chains=two.chains)
    two.take_over()

    assert not is_told_to_others(two, b"".join(words))
    assert secrets(two.there) == []
    two.here.stop("i-1", force=False)
    with still_writing(two.there) as session:
        last = session.ask("seq stop").strip()
        assert session.ask("run dd if=/dev/vdb bs=512 skip=1 count=1 2>/dev/null").strip() == last
    two.there.stop("i-1", force=False)
    for head in ("a0", "b0"):
        check(two.disks, head)


def test_it_has_its_disks_when_it_is_recalled(sealed):
    sealed.send()
    kill(sealed.there)
    sealed.give(sealed.here, "a0")

    sealed.here.recall("i-1")

    assert goes_on(sealed.here)


def test_it_has_its_disks_when_nobody_says_that_all_has_come(sealed):
    """QEMU has let them go by then, and takes them back by itself."""
    with pytest.raises(MachineRefused, match="did not say in time"):
        moving.send(
            sealed.here.folder("i-1"), lambda: deaf(sealed.there.entrance("i-1")), chains=sealed.chains, still_s=0.5
        )

    assert goes_on(sealed.here)
    assert not sealed.here.folder("i-1").is_between


def test_it_has_its_disks_when_it_is_recalled_just_before_it_lets_them_go(sealed):
    """As by a Kiln that comes after one that was killed there."""
    sealed.here.folder("i-1").mark_leaving()
    with qmp.open_session(sealed.here.folder("i-1").qmp) as session:
        states = [{"capability": name, "state": True} for name in ("return-path", "pause-before-switchover")]
        session.execute("migrate-set-capabilities", {"capabilities": states})
        with sealed.there.entrance("i-1") as way:
            session.hand_over("way", way.fileno())
            session.execute("migrate", {"uri": "fd:way"})
        wait_for(lambda: session.execute("query-migrate")["status"] == "pre-switchover", within_s=300)

    sealed.here.recall("i-1")

    assert goes_on(sealed.here)


def test_it_has_its_disks_where_it_comes_to_and_they_are_refused_to_the_other(sealed):
    sealed.send()

    sealed.take_over()

    assert goes_on(sealed.there)
    with pytest.raises(MachineRefused, match="lock"):
        sealed.here.recall("i-1")


def test_what_was_opened_ahead_of_a_capture_where_it_comes_to_is_in_nobodys_way(sealed):
    sealed.send()
    sealed.disks.encrypted("n0")
    sealed.give(sealed.there, "n0")
    sealed.there.guest("i-1").open_ahead([sealed.disks.node("n0")], ())

    sealed.take_over()

    assert goes_on(sealed.there)


def test_it_is_not_let_run_where_a_passphrase_is_not_known(sealed):
    sealed.send()

    with pytest.raises(MachineRefused, match="encrypted"):
        sealed.there.take_over("i-1")

    assert sealed.there.folder("i-1").arriving.exists()
    assert secrets(sealed.there) == []
    sealed.give(sealed.here, "a0")
    sealed.here.recall("i-1")
    assert goes_on(sealed.here)


def no_entrance():
    raise MachineMissing("No machine waits.")


def merge(sealed):
    """Have a layer of the disk take in what it stands on; it is encrypted with another passphrase from then on."""
    pool = Qcow2Pool(sealed.disks.folder)
    pool.keys = passphrase
    pool.absorb("l1", None)
    pool.grant("a0", sealed.here.uid("i-1"))
    sealed.chains = [pool.blockdevs("a0")]


def test_one_whose_layers_were_merged_is_not_sent_before_it_reads_them_as_they_are(sealed):
    merge(sealed)

    with pytest.raises(MachineBusy, match="merged"):
        sealed.send()

    assert goes_on(sealed.here)
    assert not sealed.here.folder("i-1").is_between
    sealed.here.guest("i-1").follow(sealed.chains)
    with pytest.raises(MachineRefused, match="No machine waits"):
        sealed.here.migrate("i-1", no_entrance, chains=sealed.chains)


def test_one_whose_layers_are_merged_on_the_way_goes_on_where_it_came_from(sealed):
    sealed.send()
    merge(sealed)

    with pytest.raises(MachineRefused, match="merged"):
        sealed.take_over()

    assert sealed.there.folder("i-1").arriving.exists()
    sealed.there.stop("i-1", force=True)
    sealed.give(sealed.here, "a0")
    sealed.here.recall("i-1")
    assert goes_on(sealed.here)
