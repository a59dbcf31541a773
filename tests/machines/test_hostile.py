"""Machines in the hands of somebody else: whatever they say is an error of machines, in its time, and nothing more."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time

import pytest

from kiln.machines import guest as guests
from kiln.machines import hearing, sockets
from kiln.machines.errors import MachineError, MachineRefused, MachineSilent
from kiln.machines.hearing import parse, words
from kiln.machines.port import Drive
from kiln.machines.qemu import QemuMachines
from kiln.machines.runfolder import RunFolder
from tests.machines.disks import settle
from tests.machines.hostile import GREETING, MANNERS, posing
from tests.pools.kills import killed_at, points_of
from tests.waiting import wait_for

OVERLAY = ("a0", {"driver": "qcow2", "node-name": "a1", "backing": None, "file": {}})
ODD = [
    None, True, 7, -1, 2**63, "", "x", [], [None], [[]], [7], ["x"], {}, {"status": None}, {"status": []}, [{}],
    [{"label": 7}], [{"label": "agent", "frontend-open": True}], [{"node-name": {}}], [{"name": "x"}],
    [{"name": [], "type": "child<virtio-blk-pci>"}], [{"name": "a", "type": "child<virtio-blk-pci>"}],
    [{"node-name": "a0", "image": 7}], [{"node-name": "a0", "ro": True, "image": {}, "file": 7}],
    {"nodes": 7, "edges": []}, {"nodes": [{"id": [], "name": "a", "type": "block-driver"}], "edges": []},
    {"nodes": [{"id": 1, "name": "a0", "type": "block-driver"}], "edges": [{"parent": 1, "child": {}, "name": []}]},
    [{"id": "stream-a0", "status": 7}], [{"id": "stream-a0", "status": "concluded", "error": [1]}],
    {"qemu": {"major": "7", "minor": 2}}, {"qemu": {"major": 7, "minor": 2}},
]  # fmt: skip


@pytest.fixture
def machines(tmp_path):
    return QemuMachines(tmp_path / "run", confined=False, patience_s=0.2, end_timeout_s=0.2)


@pytest.fixture
def answering(machines, tmp_path):
    """A machine that answers each command as a function of it says; the function may be set again."""
    (tmp_path / "run" / "i-1").mkdir(parents=True)
    said = {"answer": lambda command: {}}
    stopping = threading.Event()

    def serve(connection):
        with connection, connection.makefile("rwb") as stream:
            stream.write(GREETING)
            stream.flush()
            for line in stream:
                command = json.loads(line)
                value = {} if command["id"] == 0 else said["answer"](command["execute"])
                stream.write(json.dumps({"return": value, "id": command["id"]}).encode() + b"\n")
                stream.flush()

    def listen(listener):
        while not stopping.is_set():
            connection, _ = listener.accept()
            try:
                serve(connection)
            except OSError:
                continue

    with posing(tmp_path / "run", ["i-1"], "silent"), sockets.listen(tmp_path / "run" / "i-1" / "qmp") as listener:
        thread = threading.Thread(target=listen, args=[listener])
        thread.start()
        yield said
        stopping.set()
        sockets.connect(tmp_path / "run" / "i-1" / "qmp", 5).close()
        thread.join()


def asked_everything(machines):
    """Everything that is asked of a machine that runs."""
    guest = machines.guest("i-1")
    drive = Drive(node="a0", blockdevs=(OVERLAY[1],), serial="a", device="/dev/xvdb")
    return {
        "wake": lambda: machines.wake("i-1"),
        "reboot": lambda: machines.reboot("i-1", force=True),
        "attach": lambda: machines.attach("i-1", drive),
        "detach": lambda: machines.detach("i-1", "a0"),
        "resize": lambda: guest.resize("a0", 1024),
        "switch": lambda: guest.switch([OVERLAY], settle),
        "switch to what leads home": lambda: guest.switch([OVERLAY], settle, (), lambda node, name: name == "a"),
        "stream": lambda: guest.stream("a0", "b0", "b0.qcow2"),
        "follow": lambda: guest.follow([[OVERLAY[1] | {"node-name": "a0"}]]),
        "has_node": lambda: guest.has_node("a0"),
        "stands_above": lambda: guest.stands_above("a0"),
    }


@pytest.mark.parametrize("odd", ODD, ids=[json.dumps(odd)[:60] for odd in ODD])
def test_an_answer_of_any_shape_raises_nothing_else(machines, answering, odd, monkeypatch):
    monkeypatch.setattr("kiln.machines.merging._STANDSTILL_S", 0.1)
    answering["answer"] = lambda command: odd

    for ask in asked_everything(machines).values():
        try:
            ask()
        except MachineError as error:
            words(error).encode()


@pytest.mark.slow
@pytest.mark.parametrize("manner", MANNERS)
def test_a_conversation_ends(machines, tmp_path, manner):
    with posing(tmp_path / "run", ["i-1"], manner):
        if manner == "never thaws":  # It is well until then, but for a host that stands still.
            wait_for(lambda: quiesces(machines))
        else:
            assert not quiesces(machines)
        with contextlib.suppress(MachineError):
            machines.wake("i-1")


def quiesces(machines):
    """Whether a switch is made with the guest held still."""
    with contextlib.suppress(MachineError):
        return machines.guest("i-1").switch([OVERLAY], settle)
    return False


@pytest.mark.slow
def test_a_thaw_that_was_not_confirmed_is_asked_for_until_it_is(machines, tmp_path):
    folder = RunFolder(tmp_path / "run" / "i-1")
    with posing(tmp_path / "run", ["i-1"], "never thaws"):
        wait_for(lambda: quiesces(machines))
        owed = folder.thaw_owed.exists()
        with contextlib.suppress(MachineSilent):
            machines.wake("i-1")
        still_owed = folder.thaw_owed.exists()
    with posing(tmp_path / "run", ["i-1"], "well"):
        wait_for(lambda: is_thawed(machines))

    assert (owed, still_owed) == (True, True)


def is_thawed(machines):
    """Whether nothing is owed to the guest any more once it was woken."""
    with contextlib.suppress(MachineSilent):
        machines.wake("i-1")
    return not machines.folder("i-1").thaw_owed.exists()


@pytest.mark.usefixtures("patient")
def test_a_guest_is_thawed_that_a_kiln_was_killed_over_and_no_other(machines, tmp_path):
    folder = RunFolder(tmp_path / "run" / "i-1")
    with posing(tmp_path / "run", ["i-1"], "well"):
        guest = machines.guest("i-1")
        points = points_of(lambda: guest.switch([OVERLAY], settle))
        assert not folder.thaw_owed.exists()
        assert killed_at(points.index("machines.switched"), lambda: guest.switch([OVERLAY], settle))
        owed = folder.thaw_owed.exists()
        with folder.held():
            machines.wake("i-1")
            still_owed = folder.thaw_owed.exists()
        machines.wake("i-1")

    assert (owed, still_owed, folder.thaw_owed.exists()) == (True, True, False)


@pytest.mark.slow
def test_a_stopped_machine_is_silent(machines, tmp_path):
    with posing(tmp_path / "run", ["i-1"], "well") as process:
        os.kill(process.pid, signal.SIGSTOP)
        with pytest.raises(MachineSilent):
            machines.guest("i-1").switch([OVERLAY], settle)

    assert guests._SWITCH_TIMEOUT_S == 5.0


@pytest.mark.usefixtures("patient")
def test_a_guest_that_is_held_is_let_go_while_a_slow_switch_is_waited_for(machines, tmp_path, monkeypatch):
    monkeypatch.setattr(guests, "QUIESCE_LIMIT_S", 0.5)
    with posing(tmp_path / "run", ["i-1"], "slow switch"):
        assert machines.guest("i-1").switch([OVERLAY], settle) is False


@pytest.mark.usefixtures("patient")
def test_overlays_are_opened_while_what_a_switch_needs_is_settled_and_used_after_that(machines, answering):
    heard, at_the_end = [], []

    def answer(command):
        heard.append(command)
        return [] if command == "query-chardev" else {}

    def settle_late():
        deadline = time.monotonic() + 300
        while "query-chardev" not in heard and time.monotonic() < deadline:
            time.sleep(0.01)
        at_the_end.extend(heard)

    answering["answer"] = answer
    machines.guest("i-1").switch([OVERLAY], settle_late)

    assert at_the_end == ["blockdev-add", "query-chardev"]
    assert heard[len(at_the_end) :] == ["transaction"]


def test_a_refusal_is_told_in_words_that_a_database_takes(machines, answering):
    answering["answer"] = lambda command: [{"id": "stream-a0", "status": "concluded", "error": "a\0b\ud800\n"}]

    with pytest.raises(MachineRefused) as refused:
        machines.guest("i-1").stream("a0", None, None)

    assert str(refused.value) == "block-stream into a0: a b"


def test_brackets_in_strings_are_not_deep():
    assert parse(b'{"a": "' + b"[" * 100_000 + b'", "b": "\\"[["}')["b"] == '"[['


@pytest.mark.parametrize(("line", "is_deep"), [(b"[" * 64 + b"]" * 64, False), (b"[" * 65, True), (b"[]" * 99, False)])
def test_depth_is_what_is_within_each_other(line, is_deep):
    assert hearing._is_deep(line) == is_deep
