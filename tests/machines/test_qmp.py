"""What a conversation over QMP makes of what comes back; with a real QEMU it is tested in test_guest and test_qemu."""

import contextlib
import json
import socket
import threading
from contextlib import contextmanager

import pytest

from kiln.machines import qmp, sockets
from kiln.machines.errors import MachineMissing, MachineRefused, MachineSilent

GREETING = b'{"QMP": {"version": {}, "capabilities": []}}\n'
READY = b'{"return": {}, "id": 0}\n'


@contextmanager
def talking(folder, *said):
    """A session with one that says these things, and then nothing more; yields it and what the other has heard."""
    heard: list[bytes] = []

    def talk(listener):
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):  # Whoever has heard enough hangs up.
            for part in said:
                connection.sendall(part)
            connection.shutdown(socket.SHUT_WR)
            while more := connection.recv(65536):
                heard.append(more)

    with sockets.listen(folder / "qmp") as listener:
        talker = threading.Thread(target=talk, args=(listener,))
        talker.start()
        try:
            with qmp.open_session(folder / "qmp", 5.0) as session:
                yield session, heard
        finally:
            talker.join()


def answer(number, value):
    return json.dumps({"return": value, "id": number}).encode() + b"\n"


def test_answers_are_told_from_events_and_from_late_ones(tmp_path):
    event = b'{"event": "STOP", "timestamp": {"seconds": 1, "microseconds": 2}}\n'
    with talking(tmp_path, GREETING, READY, event, answer(0, "late"), answer(1, "first"), event) as (session, _):
        assert session.execute("query-status") == "first"


def test_answers_that_come_in_pieces_are_put_together(tmp_path):
    pieces = [bytes([byte]) for byte in GREETING + READY + answer(1, "whole")]
    with talking(tmp_path, *pieces) as (session, _):
        assert session.execute("query-status") == "whole"


def test_several_answers_come_back_in_the_order_of_their_commands(tmp_path):
    with talking(tmp_path, GREETING, READY, answer(2, "b"), answer(1, "a")) as (session, heard):
        assert session.execute_each("qom-get", [{"path": "/a"}, {"path": "/b"}]) == ["a", "b"]

    sent = [json.loads(line) for line in b"".join(heard).splitlines()]
    assert [(one["execute"], one["arguments"]) for one in sent] == [
        ("qmp_capabilities", {}),
        ("qom-get", {"path": "/a"}),
        ("qom-get", {"path": "/b"}),
    ]


def test_the_first_refusal_of_several_is_raised(tmp_path):
    refusals = [
        json.dumps({"error": {"class": "GenericError", "desc": words}, "id": number}).encode() + b"\n"
        for number, words in ((2, "second"), (3, "third"))
    ]
    with (
        talking(tmp_path, GREETING, READY, answer(1, {}), *refusals) as (session, _),
        pytest.raises(MachineRefused, match="blockdev-add: second"),
    ):
        session.execute_each("blockdev-add", [{}, {}, {}])


@pytest.mark.parametrize(
    "said",
    [
        [],
        [b"SSH-2.0\n"],
        [b'{"hello": 1}\n', READY],
        [b"[]\n", READY],
        [GREETING, b'{"error": 7, "id": 0}\n'],
        [b'\xff\xfe"\n'],
    ],
)
def test_what_does_not_greet_as_qemu_is_none(tmp_path, said):
    with pytest.raises(MachineMissing), talking(tmp_path, *said):
        pass


@pytest.mark.parametrize("said", [b"nonsense\n", b"7\n", b"{", b""])
def test_nonsense_for_an_answer_is_the_end(tmp_path, said):
    with (
        talking(tmp_path, GREETING, READY, said) as (session, _),
        pytest.raises(MachineMissing, match="query-status"),
    ):
        session.execute("query-status")


def test_a_line_without_end_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(qmp, "_LONGEST_LINE", 1000)
    # Only the limit can tell: the line's end does come, and what it holds would be an answer.
    line = answer(1, "x" * 200_000)
    with talking(tmp_path, GREETING, READY, line) as (session, _), pytest.raises(MachineMissing):
        session.execute("query-status")


def test_one_that_talks_but_does_not_answer_is_silent_in_the_end(tmp_path):
    stop = threading.Event()
    ours, theirs = socket.socketpair()

    def chatter():
        while not stop.wait(0.01):
            theirs.sendall(b'{"event": "RESUME"}\n')

    talker = threading.Thread(target=chatter)
    talker.start()
    try:
        with pytest.raises(MachineSilent, match="did not answer query-status"):
            qmp.Session(ours, 0.2).execute("query-status")
    finally:
        stop.set()
        talker.join()
        ours.close()
        theirs.close()
