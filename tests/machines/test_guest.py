"""What a pool and an operation may ask of a guest that runs; and the machine around it, while it is up."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from kiln.declare.states import InstanceStatus
from kiln.machines import agent, sockets
from kiln.machines import guest as guests
from kiln.machines.errors import MachineBusy, MachineRefused
from kiln.machines.process import find
from kiln.machines.qemu import QemuMachines
from kiln.machines.qmp import open_session
from kiln.wire.http.bounds import Room
from kiln.wire.paths.events import Limits
from tests.clouds import make_cloud
from tests.machines.disks import MIB, a_machine, settle
from tests.pools.kills import in_child, killed_at, points_of
from tests.stock import an_instance
from tests.waiting import wait_for
from tests.wire.paths.site import start_site
from tests.wire.paths.test_terminal import joined

# The first of the module's tests waits for the boot.
pytestmark = [pytest.mark.vm, pytest.mark.usefixtures("patient")]


def nodes_of(booted):
    with open_session(booted.machines.folder("i-1").qmp) as qmp:
        return nodes_of_session(qmp)


def nodes_of_session(qmp):
    return {node["node-name"] for node in qmp.execute("query-named-block-nodes", {"flat": True})}


def status_of(booted, field):
    pid = find(booted.machines.folder("i-1"))
    return re.search(rf"^{field}:[ \t]*(.*)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)[1].split()


# The machine.


def test_starting_what_runs_changes_nothing(booted):
    before = find(booted.machines.folder("i-1"))

    booted.machines.start(a_machine())

    assert find(booted.machines.folder("i-1")) == before


def test_is_found_again_by_a_restarted_kiln(booted):
    again = QemuMachines(booted.machines.run, accel="tcg")

    assert again.is_running("i-1")
    assert list(again.running()) == ["i-1"]
    assert again.guest("i-1").has_node("d0")


def test_runs_behind_a_filter_of_system_calls(booted):
    assert status_of(booted, "Seccomp") == ["2"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give machines users of their own")
def test_runs_as_a_user_of_its_own_without_rights(booted):
    assert status_of(booted, "Uid") == [str(booted.uid)] * 4
    assert status_of(booted, "Gid") == [str(booted.uid)] * 4
    assert status_of(booted, "Groups") == []
    assert status_of(booted, "CapEff") == ["0" * 16]
    assert status_of(booted, "NoNewPrivs") == ["1"]


def test_knows_nothing_of_kilns_environment(booted):
    pid = find(booted.machines.folder("i-1"))

    names = {pair.split(b"=")[0] for pair in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") if pair}

    assert names == {b"PATH", b"LC_ALL"}


def test_boots_from_an_encrypted_disk_and_is_told_its_passphrases_by_descriptors_once(booted):
    pid = find(booted.machines.folder("i-1"))
    arguments = Path(f"/proc/{pid}/cmdline").read_bytes()

    assert b"secret,id=key-" in arguments
    assert not [one for one in booted.disks.passphrases.values() if one.text.encode() in arguments]
    assert secrets_of(booted) == []


def secrets_of(booted):
    with open_session(booted.machines.folder("i-1").qmp) as qmp:
        return [one["name"] for one in qmp.execute("qom-list", {"path": "/objects"}) if one["type"] == "child<secret>"]


def test_is_typed_to_over_a_websocket_while_nobody_else_has_its_console(booted, tmp_path, sqlite):
    with pytest.raises(MachineBusy, match="Another program"):
        booted.machines.terminal("i-1")
    booted.session.console.close()
    try:
        cloud = make_cloud(tmp_path, sqlite, machines=booted.machines)
        with start_site(cloud, Limits(), Room(64, 64)) as site:
            site.instance = an_instance(cloud, id="i-1", status=InstanceStatus.RUNNING).id
            with joined(site) as one, joined(site) as other:
                one.until(b"KILN-GUEST READY")
                one.type(b"run echo forty-$((40 + 2))\n")
                one.until(b">> ok forty-42")
                other.until(b">> ok forty-42")
    finally:
        booted.session.console = sockets.connect(booted.machines.folder("i-1").console, 20)
    assert "up" in booted.session.ask("run echo up")


def test_is_not_forgotten_while_it_runs(booted):
    with pytest.raises(MachineRefused, match="runs"):
        booted.machines.forget("i-1")


def test_keeps_what_the_guest_printed(booted):
    booted.session.ask("cmdline")

    assert b"KILN-GUEST READY" in booted.machines.console("i-1")
    deadline = time.monotonic() + 300  # Who keeps the log may write after the answer has come.
    while b">> ok BOOT_IMAGE=/vmlinuz" not in booted.machines.console("i-1"):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_forwards_ports_to_the_guest(booted):
    booted.session.ask("network")
    booted.session.ask("serve 2277 hello")
    deadline = time.monotonic() + 300
    heard = b""

    while not heard and time.monotonic() < deadline:
        # QEMU takes the connection at once; only what arrives shows that the guest listens already.
        with socket.create_connection((booted.address, 2277), timeout=300) as connection:
            heard = connection.recv(100)

    assert heard == b"hello\n"
    assert b"not forwarded" not in booted.machines.console("i-1")


# Disks that come and go.


def test_plugs_in_a_disk_and_takes_it_out_again(booted):
    booted.disks.blank("plugged0", uid=booted.uid)
    drive = booted.disks.drive("plugged0", "e", "serial-of-plugged")

    booted.machines.attach("i-1", drive)
    booted.machines.attach("i-1", drive)
    wait_for(lambda: "serial-of-plugged" in booted.session.ask("disks"))
    folder = booted.session.ask("mount").split()[-1]
    booted.session.ask(f"write {folder}/file kept")
    booted.session.ask(f"unmount {folder}")
    booted.machines.detach("i-1", "plugged0")
    booted.machines.detach("i-1", "plugged0")

    assert "serial-of-plugged" not in booted.session.ask("disks")
    assert not booted.guest.has_node("plugged0")


def test_completes_a_detachment_that_was_killed_at_any_point(booted):
    drive = booted.disks.drive(booted.disks.blank("pulled0", uid=booted.uid), "h")
    booted.machines.attach("i-1", drive)
    points = points_of(lambda: booted.machines.detach("i-1", "pulled0"))
    assert points
    for number in range(len(points)):
        booted.machines.attach("i-1", drive)
        assert killed_at(number, lambda: booted.machines.detach("i-1", "pulled0"))

        booted.machines.detach("i-1", "pulled0")

        assert not booted.guest.has_node("pulled0"), points[number]


def test_opens_shared_layers_once_and_closes_them_with_the_last_disk(booted):
    booted.disks.blank("shared")
    booted.disks.above("left0", "shared", booted.uid)
    booted.disks.above("right0", "shared", booted.uid)

    booted.machines.attach("i-1", booted.disks.drive("left0", "f"))
    booted.machines.attach("i-1", booted.disks.drive("right0", "g"))
    booted.machines.detach("i-1", "left0")
    with_one = nodes_of(booted)
    booted.machines.detach("i-1", "right0")
    with_none = nodes_of(booted)

    assert {"left0", "right0", "shared"} & with_one == {"right0", "shared"}
    assert {"left0", "right0", "shared"} & with_none == set()


def test_closes_what_it_opened_when_a_disk_cannot_be_plugged_in(booted):
    booted.disks.blank("refused0", uid=booted.uid)

    with pytest.raises(MachineRefused, match="disk-b"):
        booted.machines.attach("i-1", booted.disks.drive("refused0", "b"))

    assert not booted.guest.has_node("refused0")


def test_opens_several_nodes_at_once_and_says_which_was_refused(booted):
    for name in ("batch0", "batch2"):
        booted.disks.blank(name)
    first, last = (booted.disks.node(name, is_head=False) for name in ("batch0", "batch2"))
    missing = first | {"node-name": "batch1", "file": {"driver": "file", "filename": "/none"}}

    with open_session(booted.machines.folder("i-1").qmp) as qmp:
        with pytest.raises(MachineRefused, match=r"blockdev-add.*/none"):
            qmp.execute_each("blockdev-add", [first, missing, last])
        assert {"batch0", "batch2"} <= nodes_of_session(qmp)
        answers = qmp.execute_each("blockdev-del", [{"node-name": "batch0"}, {"node-name": "batch2"}])

    assert answers == [{}, {}]
    assert not {"batch0", "batch1", "batch2"} & nodes_of(booted)


def test_grows_a_disk_under_the_guest(booted):
    booted.guest.resize("d0", 96 * MIB)
    booted.guest.resize("d0", 96 * MIB)

    wait_for(lambda: f"1=vdb:{96 * MIB}" in booted.session.ask("disks"))


# Freezing and merging.


def test_quiesces_through_the_agent(booted):
    wait_for(lambda: quiesces(booted))

    assert booted.session.ask("write /data1/after thaw") == ""


def test_switches_while_all_is_held_still_and_lets_go_of_it(booted):
    disks, ask = booted.disks, booted.session.ask
    disks.blank("still0", uid=booted.uid)
    booted.machines.attach("i-1", disks.drive("still0", "i", "still"))
    wait_for(lambda: "still=" in ask("disks"))
    folder = ask("mount").split()[-1]
    disks.above("still1", "still0", booted.uid)
    nodes = [("still0", disks.node("still1"))]
    wait_for(lambda: quiesces(booted))

    first, again = booted.guest.switch(nodes, settle), booted.guest.switch(nodes, settle)

    assert first is True
    # It was done before: nobody can say any more how.
    assert again is False
    assert ask(f"write {folder}/after thaw") == ""
    ask(f"unmount {folder}")
    booted.machines.detach("i-1", "still1")


def test_thaws_also_when_the_work_in_between_fails(booted):
    with pytest.raises(ZeroDivisionError), held_still(booted):
        raise ZeroDivisionError

    assert booted.session.ask("write /data1/after thaw") == ""


def test_goes_on_where_a_kiln_left_off_that_was_killed_while_all_was_frozen(booted):
    def freeze_and_die():
        while True:
            with held_still(booted) as freeze:
                if freeze.is_held:
                    os.kill(os.getpid(), signal.SIGKILL)

    assert os.WIFSIGNALED(in_child(freeze_and_die))
    wait_for(lambda: quiesces(booted))

    assert booted.session.ask("write /data1/after thaw") == ""


def test_stands_still_and_quiesced_while_something_is_done_and_then_goes_on(booted):
    owed, seen = booted.machines.folder("i-1").resumption_owed, []
    wait_for(lambda: quiesces(booted))

    is_quiesced = booted.guest.hold(lambda: seen.append(owed.exists()))

    assert is_quiesced is True
    assert (seen, owed.exists(), run_state(booted)) == ([True], False, "running")
    assert booted.session.ask("write /data1/after hold") == ""


def test_goes_on_also_when_what_was_to_be_done_fails(booted):
    with pytest.raises(ZeroDivisionError):
        booted.guest.hold(lambda: 1 // 0)

    assert run_state(booted) == "running"
    assert not booted.machines.folder("i-1").resumption_owed.exists()


def test_is_woken_where_a_kiln_was_killed_while_it_stood_still(booted):
    def hold():
        booted.guest.hold(lambda: None)

    points, found = points_of(hold), []
    for number, point in enumerate(points):
        assert killed_at(number, hold), point
        found.append(run_state(booted))

        booted.machines.wake("i-1")

        assert run_state(booted) == "running", point
        assert booted.session.ask("write /data1/after hold") == "", point
    assert found == ["running", "paused", "paused", "running"]


def run_state(booted):
    with open_session(booted.machines.folder("i-1").qmp) as qmp:
        return qmp.execute("query-status")["status"]


def test_waits_for_no_agent_where_there_is_none(booted, monkeypatch):
    monkeypatch.setattr(guests, "QUIESCE_LIMIT_S", 3600.0)
    booted.session.ask("agent stop")
    try:
        assert booted.guest.switch([], settle) is False
    finally:
        booted.session.ask("agent start")


def test_merges_layers_upwards_while_the_guest_writes(booted):
    disks, guest, ask = booted.disks, booted.guest, booted.session.ask
    disks.blank("merge0", uid=booted.uid)
    booted.machines.attach("i-1", disks.drive("merge0", "k", "merge"))
    wait_for(lambda: "merge=" in ask("disks"))
    file = ask("mount").split()[-1] + "/file"
    ask(f"fill {file} 8")
    for number in (1, 2):
        # A page here and there, so that clusters are in part of this layer and in part of those below.
        ask(f"run for i in 1 9 33 70 400 999; do {write_page(file)} seek=$((i+{number})); done; sync")
        disks.above(f"merge{number}", f"merge{number - 1}", booted.uid)
        guest.switch([(f"merge{number - 1}", disks.node(f"merge{number}"))], settle)
    write_on = f"while [ ! -e /run/enough ]; do i=$((i%2000+7)); {write_page(file)} seek=$i; sync; done; rm /run/enough"
    ask(f"run ({write_on}) >/dev/null 2>&1 &")

    guest.stream("merge2", "merge0", "merge0.qcow2")
    above_one = nodes_of(booted)
    guest.stream("merge2", None, None)
    above_none = nodes_of(booted)

    ask("run touch /run/enough; while [ -e /run/enough ]; do sleep 0.1; done")
    before = ask(f"sum {file}")
    ask("run sync; echo 3 >/proc/sys/vm/drop_caches")
    assert ask(f"sum {file}") == before
    assert {"merge0", "merge1", "merge2"} & above_one == {"merge0", "merge2"}
    assert {"merge0", "merge1", "merge2"} & above_none == {"merge2"}
    ask(f"unmount {file.removesuffix('/file')}")
    booted.machines.detach("i-1", "merge2")
    subprocess.run(["qemu-img", "check", "-q", disks.path("merge2")], check=True)


def test_freezes_and_merges_encrypted_disks_and_writes_nothing_plain(booted):
    disks, guest, ask = booted.disks, booted.guest, booted.session.ask
    disks.encrypted("seal0", uid=booted.uid)
    booted.machines.attach("i-1", disks.drive("seal0", "j", "seal"))
    wait_for(lambda: "seal=" in ask("disks"))
    folder = ask("mount").split()[-1]
    ask(f"write {folder}/file {'a-word-that-nobody-may-read-' * 20}")
    for number in (1, 2):
        ask(f"run for i in 1 9 33 70; do {write_page(folder + '/pages')} seek=$((i+{number})); done; sync")
        disks.encrypted(f"seal{number}", f"seal{number - 1}", uid=booted.uid)
        guest.switch([(f"seal{number - 1}", disks.node(f"seal{number}"))], settle)
    before = ask(f"sum {folder}/pages")

    guest.stream("seal2", "seal0", "seal0.qcow2", disks.passphrases)
    guest.stream("seal2", None, None, disks.passphrases)

    ask("run sync; echo 3 >/proc/sys/vm/drop_caches")
    assert ask(f"sum {folder}/pages") == before
    assert not {"seal0", "seal1"} & nodes_of(booted)
    ask(f"unmount {folder}")
    booted.machines.detach("i-1", "seal2")
    assert secrets_of(booted) == []
    assert not [n for n in range(3) if b"nobody-may-read" in disks.path(f"seal{n}").read_bytes()]


def write_page(file):
    return f"dd if=/dev/urandom of={file} bs=4k count=1 conv=notrunc"


def held_still(booted):
    """As a switch holds the guest still, for as long as what stands in its place takes."""
    folder = booted.machines.folder("i-1")
    return agent.frozen(folder.agent, guests.QUIESCE_LIMIT_S, folder.owe_thaw, folder.pay_thaw)


def quiesces(booted):
    with held_still(booted) as freeze:
        return freeze.is_held
