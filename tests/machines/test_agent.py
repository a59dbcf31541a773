"""The guest agent as it should not be: what a guest does with the other end of the channel is its own business."""

from __future__ import annotations

import contextlib
import json
import socket
import threading

import pytest

from kiln.declare.metrics import FREEZES, THAWS_UNANSWERED
from kiln.machines import agent, sockets
from kiln.machines.agent import frozen, thaw
from kiln.machines.errands import QemuInside
from kiln.machines.errors import AgentSilent
from kiln.machines.runfolder import RunFolder
from tests.machines.patience import LIMIT_S
from tests.waiting import wait_for

pytestmark = pytest.mark.usefixtures("patient")


@pytest.fixture
def channel(tmp_path):
    """Where an agent answers as a test wants: a function of the command gives the bytes."""
    threads, heard, listener = [], [], sockets.listen(tmp_path / "agent")

    def serve(answer):
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as lines, contextlib.suppress(ConnectionResetError):
            for line in lines:
                command = json.loads(line.lstrip(b"\xff"))
                heard.append(command["execute"])
                with contextlib.suppress(BrokenPipeError):
                    connection.sendall(answer(command))

    def start(answer):
        threads.append(threading.Thread(target=serve, args=[answer]))
        threads[-1].start()
        return tmp_path / "agent", heard

    yield start
    for thread in threads:
        thread.join()
    listener.close()


def obedient(command):
    if command["execute"] == "guest-sync-delimited":
        return b"\xff" + json.dumps({"return": command["arguments"]["id"]}).encode() + b"\n"
    return b'{"return": 2}\n'


def test_freezes_and_thaws(channel):
    path, heard = channel(obedient)
    told = sum(FREEZES.value().counts), THAWS_UNANSWERED.value()

    with frozen(path, LIMIT_S) as freeze:
        was_held, before = freeze.is_held, list(heard)

    assert was_held
    assert before == ["guest-sync-delimited", "guest-fsfreeze-freeze"]
    assert heard[2] == "guest-fsfreeze-thaw"
    assert (sum(FREEZES.value().counts), THAWS_UNANSWERED.value()) == (told[0] + 1, told[1]), (
        "kiln_freeze_duration_seconds"
    )


def test_takes_back_a_freeze_that_comes_too_late(channel):
    given_up = threading.Event()

    def slow(command):
        if command["execute"] == "guest-fsfreeze-freeze":
            assert given_up.wait(300)
        return obedient(command)

    for within_s in (0.5, 2.0, 10.0, 60.0):
        given_up.clear()
        path, heard = channel(slow)
        with frozen(path, within_s) as freeze:
            given_up.set()
        if "guest-fsfreeze-freeze" in heard:  # Else the time was up before it was asked for.
            break

    assert not freeze.is_held
    assert heard[-2:] == ["guest-fsfreeze-thaw", "guest-sync-delimited"]


def test_goes_on_without_an_agent_that_is_silent(channel):
    path, heard = channel(lambda _: b"")

    with frozen(path, 0.2) as freeze:
        pass

    assert not freeze.is_held
    # What was said is read from the channel also after who said it has left.
    wait_for(lambda: heard == ["guest-sync-delimited"])


@pytest.mark.parametrize("noise", [b"\xff\xff no JSON \n", b'{"return": 7}\n\xff{"return": 7}\n', b"\xff[]\n\xff\n"])
def test_hears_the_agent_through_what_was_left_in_the_channel(channel, noise):
    def noisy(command):
        return (noise if command["execute"] == "guest-sync-delimited" else b"") + obedient(command)

    path, _ = channel(noisy)

    with frozen(path, LIMIT_S) as freeze:
        was_held = freeze.is_held

    assert was_held


@pytest.mark.parametrize(
    "answer",
    [
        b"[]\n",
        b'{"return": null}\n',
        b'{"return": true}\n',
        b'{"return": "2"}\n',
        b'{"return": 1, "return": 2}\n',
        b'{"return": NaN}\n',
        b'{"return": 2e3}\n',
        b'{"return": ' + b"9" * 5000 + b"}\n",
        b'{"return": \xff\xfe}\n',
        b'"text"\n',
        b'{"error": "text"}\n',
        b"{}\n",
        b"[" * 50_000 + b"\n",
        b'{"return":' * 5_000 + b"\n",
        b"\n" * 50_000,
    ],
)
def test_is_not_led_astray_by_answers_that_are_none(channel, answer):
    path, heard = channel(lambda c: answer if c["execute"] == "guest-fsfreeze-freeze" else obedient(c))

    with frozen(path, LIMIT_S) as freeze:
        was_held = freeze.is_held

    assert not was_held
    assert "guest-fsfreeze-thaw" in heard


@pytest.mark.parametrize("odd", ["é", "a", "YQ=", "%%%%", "YQ==é"])
def test_a_file_that_is_no_base64_is_silence(channel, tmp_path, odd):
    path, _ = channel(
        lambda c: (
            json.dumps({"return": {"buf-b64": odd}}).encode() + b"\n"
            if c["execute"] == "guest-file-read"
            else obedient(c)
        )
    )

    with pytest.raises(AgentSilent):
        QemuInside(RunFolder(path.parent)).boot()


def test_does_not_listen_for_ever_to_a_guest_that_never_ends_its_line(channel):
    path, _ = channel(lambda _: b"x" * 1_000_000)

    with frozen(path, 600) as freeze:
        pass

    assert not freeze.is_held


@pytest.mark.parametrize("noise", [b"\xff\n" * 500_000, b"\xff{}\n" * 500_000])
def test_does_not_listen_to_noise_until_the_deadline(channel, noise):
    path, heard = channel(lambda _: noise)

    with frozen(path, 600) as freeze:
        was_held = freeze.is_held

    assert not was_held
    assert heard == ["guest-sync-delimited"]


def test_owes_the_thaw_that_the_agent_did_not_say_it_did(channel, monkeypatch):
    monkeypatch.setattr(agent, "THAW_TIMEOUT_S", 0.5)
    path, _ = channel(lambda command: b"" if heard_thaw(command) else obedient(command))
    said, unanswered = [], THAWS_UNANSWERED.value()

    def heard_thaw(command):
        seen.append(command["execute"])
        return "guest-fsfreeze-thaw" in seen

    seen: list[str] = []
    with frozen(path, LIMIT_S, lambda: said.append("owed"), lambda: said.append("paid")) as freeze:
        was_held = freeze.is_held

    assert was_held
    assert said == ["owed"]
    assert THAWS_UNANSWERED.value() == unanswered + 1, "kiln_thaws_unanswered_total"


def test_owes_the_thaw_before_it_freezes_until_the_agent_says_that_it_did(channel):
    path, heard = channel(obedient)
    asked_before = []

    with frozen(path, LIMIT_S, lambda: asked_before.extend(heard), lambda: heard.append("paid")) as freeze:
        assert freeze.is_held
        assert "paid" not in heard

    assert asked_before == ["guest-sync-delimited"]
    assert heard[2:] == ["guest-fsfreeze-thaw", "guest-sync-delimited", "paid"]


def test_pays_nothing_where_no_agent_is(tmp_path):
    """What an earlier freeze owes is owed still."""
    said = []

    with frozen(tmp_path / "none", 0.2, lambda: said.append("owed"), lambda: said.append("paid")) as freeze:
        assert not freeze.is_held

    assert said == []


def test_thaws_what_was_left_frozen(channel):
    path, heard = channel(obedient)

    assert thaw(path, LIMIT_S)
    assert heard == ["guest-fsfreeze-thaw", "guest-sync-delimited"]


def test_does_not_take_silence_for_a_thaw(channel):
    path, _ = channel(lambda _: b"")

    assert not thaw(path, 0.2)


def test_goes_on_without_a_channel(tmp_path):
    with frozen(tmp_path / "agent", 0.2) as freeze:
        pass

    assert not freeze.is_held


def test_connects_below_folders_of_any_depth(tmp_path):
    path = tmp_path / ("a-long-name/" * 20) / "socket"
    path.parent.mkdir(parents=True)

    with sockets.listen(path) as listener, sockets.connect(path, 1) as client:
        server, _ = listener.accept()
        client.sendall(b"hello")
        assert server.recv(10) == b"hello"
        server.close()


def test_says_who_is_busy_and_who_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        sockets.connect(tmp_path / "socket", 1)
    with sockets.listen(tmp_path / "socket") as listener:
        listener.listen(0)
        with sockets.connect(tmp_path / "socket", 1), pytest.raises(TimeoutError):
            sockets.connect(tmp_path / "socket", 0.1)
    with pytest.raises(ConnectionRefusedError):
        sockets.connect(tmp_path / "socket", 1)
    assert isinstance(listener, socket.socket)
