"""What a conversation over QMP makes of what comes back; with a real QEMU it is tested in test_guest and test_qemu."""

import contextlib
import json
import socket
import threading
from contextlib import contextmanager

import pytest

from kiln.machines import qmp, sockets
from kiln.machines.errors import MachineGarbled, MachineMissing, MachineRefused, MachineSilent

GREETING = b'{"QMP": {"version": {}, "capabilities": []}}\n'
READY = b'{"return": {}, "id": 0}\n'
EVENT = b'{"event": "STOP", "timestamp": {"seconds": 1, "microseconds": 2}}\n'


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
    with talking(tmp_path, GREETING, READY, EVENT, answer(0, "late"), answer(1, "first"), EVENT) as (session, _):
        assert session.execute("query-status") == "first"


@pytest.mark.parametrize(
    "late",
    [
        answer(0, {}),
        answer(1, {"mbps": 1.5}),
        answer(1, "x" * 300_000),
        b'{"error": {"class": "GenericError", "desc": "no"}, "id": 1}\n',
        b'{"error": {"class": "GenericError", "desc": "no"}}\n',
    ],
    ids=["to the hail", "with a fraction", "long", "refusal", "refusal of no command"],
)
def test_what_was_meant_for_the_connection_before_is_passed_over(tmp_path, late):
    for said in ([EVENT, late, GREETING, READY], [late, EVENT, GREETING, READY], [GREETING, EVENT, late, READY]):
        with talking(tmp_path, *said, answer(1, "first")) as (session, _):
            assert session.execute("query-status") == "first"


@pytest.mark.parametrize(("before", "is_too_much"), [(1000, False), (1001, True)])
def test_no_more_is_passed_over_before_the_greeting_than_after_it(tmp_path, before, is_too_much):
    refused = pytest.raises(MachineGarbled, match="more than it was asked") if is_too_much else contextlib.nullcontext()
    with refused, talking(tmp_path, *[EVENT * before, GREETING, READY, answer(1, "first")]) as (session, _):
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


@pytest.mark.parametrize("said", [[], [GREETING, b'{"error": 7, "id": 0}\n']])
def test_what_hangs_up_is_gone(tmp_path, said):
    with pytest.raises(MachineMissing), talking(tmp_path, *said):
        pass


@pytest.mark.parametrize("said", [b"{", b""])
def test_what_hangs_up_within_its_answer_is_gone(tmp_path, said):
    with (
        talking(tmp_path, GREETING, READY, said) as (session, _),
        pytest.raises(MachineMissing, match="query-status"),
    ):
        session.execute("query-status")


@pytest.mark.parametrize(
    "said",
    [
        [b"SSH-2.0\n"],
        [b'{"hello": 1}\n', READY],
        [EVENT, b'{"hello": 1}\n'],
        [b'{"error": "no"}\n'],
        [b"[]\n", READY],
        [b'\xff\xfe"\n'],
        [b"[" * 200_000 + b"\n"],
    ],
)
def test_what_does_not_greet_as_qemu_cannot_be_understood(tmp_path, said):
    with pytest.raises(MachineGarbled), talking(tmp_path, *said):
        pass


NONSENSE = {
    "no JSON": b"nonsense\n",
    "a number": b"7\n",
    "deep lists": b"[" * 200_000 + b"\n",
    "deep objects": b'{"return":' * 20_000 + b"0" + b"}" * 20_000 + b"\n",
    "deep behind a string": b'{"id": 1, "a": "[\\"", "return": ' + b"[" * 900 + b"]" * 900 + b"}\n",
    "a name twice": b'{"return": 1, "return": 2, "id": 1}\n',
    "NaN": b'{"return": NaN, "id": 1}\n',
    "a huge float": b'{"return": 1e999, "id": 1}\n',
    "a huge number": b'{"return": ' + b"9" * 5000 + b', "id": 1}\n',
    "half a character": b'{"return": "\xc3", "id": 1}\n',
    "UTF-16": '{"return": 1, "id": 1}\n'.encode("utf-16"),
    "an answer and an error": b'{"return": 1, "error": 2, "id": 1}\n',
    "an error that is none": b'{"error": {"desc": {"a": 1}}, "id": 1}\n',
    "events without end": b'{"event": "STOP"}\n' * 5000,
    "greetings without end": GREETING * 5000,
    "answers to others": b'{"return": 1, "id": 900719925474099}\n' * 5000,
    "answers to numbers that are true": b'{"return": 1, "id": true}\n' * 5000,
    "answers to lists": b'{"return": 1, "id": []}\n' * 5000,
    "empty lines": b"\n" * 5000,
    "a line too long": answer(1, "x" * 300_000),
}


@pytest.mark.parametrize("said", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_for_an_answer_is_not_understood(tmp_path, said):
    with talking(tmp_path, GREETING, READY, said) as (session, _), pytest.raises(MachineGarbled):
        session.execute("query-status")


def test_a_refusal_is_told_in_printable_words(tmp_path):
    said = json.dumps({"error": {"desc": "no\0such\n\x1b[31m" + "x" * 100_000}, "id": 1}).encode() + b"\n"
    with talking(tmp_path, GREETING, READY, said) as (session, _), pytest.raises(MachineRefused) as refused:
        session.execute("query-status")

    assert str(refused.value).startswith("query-status: no such [31mxxx")
    assert len(str(refused.value)) < 1100


def test_a_conversation_is_over_in_its_time_however_it_trickles():
    stop = threading.Event()
    ours, theirs = socket.socketpair()

    def trickle():
        while not stop.wait(0.01):
            theirs.sendall(b" ")

    talker = threading.Thread(target=trickle)
    talker.start()
    try:
        session = qmp.Session(ours, 0.3)
        with pytest.raises(MachineSilent):
            session.execute("query-status")
        with pytest.raises(MachineSilent):
            session.execute("query-status")
    finally:
        stop.set()
        talker.join()
        ours.close()
        theirs.close()


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
