"""Processes of a deployment ask each other; strangers are told nothing, and a host that says nothing is given up."""

from __future__ import annotations

import json
import logging
import socket
import ssl
import threading
import uuid
from contextlib import ExitStack, closing

import pytest

from kiln.calls.errors import ServiceUnavailableHostSilent
from kiln.machines.none import NoMachines
from kiln.service.peers import prove
from kiln.wire.peers import answering as far
from kiln.wire.peers.asking import MOST_OPEN
from kiln.wire.peers.proof import name_of
from tests.clouds import make_cloud
from tests.consoled import Consoled, a_running_instance
from tests.waiting import wait_for
from tests.wire.peers.deployments import Deployment, a_sealer, loop  # noqa: F401 - a fixture.
from tests.wire.peers.test_arrivals import MAKE


@pytest.fixture
def deployed(loop, tmp_path, sqlite):  # noqa: F811
    machines = Consoled(tmp_path / "run", b"login: ")
    with closing(machines):
        yield Deployment(loop, make_cloud(tmp_path, sqlite, machines=machines), tmp_path)


def test_what_a_console_has_printed_is_had_from_its_host(deployed):
    with deployed.answering():
        assert deployed.console().result(300) == b"login: "


def test_where_a_guest_is_reached_is_had_from_its_host(deployed):
    instance = a_running_instance(deployed.cloud)
    with deployed.answering():
        assert deployed.asking.reach(None, "far", instance).result(300).network == "user"
        assert deployed.asking.reach(None, "far", "i-other").result(300).network == ""


def test_agents_that_say_nothing_are_not_told_of(deployed):
    with deployed.answering():
        assert deployed.asking.agents(None, "far", ["i-1", "i-2"]).result(300) == {}


def test_a_question_about_what_is_no_instance_is_refused_before_anything_is_looked_for(deployed):
    with deployed.answering():
        assert deployed.refuses(deployed.console("../../etc")) == "it can't be reached"


def test_a_host_without_a_process_is_told_of_at_once(deployed):
    error = deployed.asking.console(None, "nowhere", "i-1").exception(0)
    assert error.facts == {"host": "nowhere", "reason": "no process of Kiln is seen there"}


def test_a_process_of_before_takes_no_questions(deployed):
    assert deployed.refuses(deployed.console()) == "its process takes no questions"


def test_a_host_that_has_gone_is_told_of(deployed):
    with deployed.answering():
        pass
    assert deployed.refuses(deployed.console()) == "it can't be reached"


def test_one_that_stands_still_is_given_up_and_holds_up_no_more_than_its_own_questions(loop, tmp_path, sqlite):  # noqa: F811
    with closing(Consoled(tmp_path / "run", b"login: ")) as machines:
        deployed = Deployment(loop, make_cloud(tmp_path, sqlite, machines=machines), tmp_path, within_s=1.0)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            deployed.lies_at(listener)
            all_are_asked = threading.Event()
            loop.loop.call_soon_threadsafe(all_are_asked.wait)  # Else the first might be given up before the last.
            asked = [deployed.console() for _ in range(MOST_OPEN + 5)]
            all_are_asked.set()
            reasons = [deployed.refuses(one) for one in asked]
        assert reasons.count("too much is asked of it at a time") == 5
        assert reasons.count("it did not answer in time") == MOST_OPEN
        with deployed.answering():
            assert wait_for(lambda: answered(deployed.console())) == b"login: ", (
                "those that were given up count no more"
            )


def test_arrivals_at_a_host_keep_nobody_from_asking_it_something_else(deployed):
    """Each may take minutes. Those that are one too many are refused all the same."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        deployed.lies_at(listener)
        coming = [deployed.asking.entrance(None, "far", "i-1", MAKE) for _ in range(MOST_OPEN + 1)]
        assert deployed.refuses(coming.pop()) == "too much is asked of it at a time"
        with deployed.answering():
            assert deployed.console().result(300) == b"login: "
        for one in coming:
            one.cancel()


def answered(question):
    """The answer; None where it did not come in time."""
    return None if isinstance(question.exception(300), ServiceUnavailableHostSilent) else question.result()


def test_the_process_of_another_deployment_is_told_nothing_and_believed_nothing(deployed, tmp_path):
    other = prove(a_sealer(tmp_path / "other"), deployed.member.id)
    with deployed.answering(other):
        assert deployed.refuses(deployed.console()) == "it can't be reached"
    with deployed.answering() as address, pytest.raises((ssl.SSLError, ConnectionError)):
        ask(address, other.asks, deployed.member.id)


def test_another_process_of_the_deployment_is_not_taken_for_the_one_that_is_meant(deployed):
    """As where the port of one that has ended is another's by now."""
    with deployed.answering(prove(deployed.sealer, uuid.uuid4().hex)):
        assert deployed.refuses(deployed.console()) == "it can't be reached"


def ask(address, context, member):
    with (
        socket.create_connection(address, timeout=300) as plain,
        context.wrap_socket(plain, server_hostname=f"{member}.kiln.internal") as connection,
    ):
        connection.sendall(json.dumps({"about": "console", "instances": ["i-1"]}).encode() + b"\n")
        said = connection.recv(1000)
        if not said:
            raise ConnectionResetError
        return said


def test_a_stranger_is_read_no_further_than_its_proof(deployed, caplog):
    caplog.set_level(logging.WARNING)
    anybody = ssl.create_default_context()
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    with deployed.answering() as address:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            ask(address, anybody, deployed.member.id)
        for words in (b"GET / HTTP/1.1\r\n\r\n", b'{"about":"console","instances":["i-1"]}\n'):
            with socket.create_connection(address, timeout=300) as plain:
                plain.sendall(words)
                assert b"login" not in until_end(plain)
        assert deployed.console().result(300) == b"login: "

    told = [record.message for record in caplog.records if "peer_refused" in record.message]
    assert len(told) == 1


def until_end(connection: socket.socket) -> bytes:
    said = b""
    try:
        while piece := connection.recv(1000):
            said += piece
    except ConnectionError:
        pass
    return said


@pytest.mark.parametrize(("addresses", "of_each"), [(1, far._MOST_STRANGERS), (far._MOST_STRANGERS_IN_ALL // 8 + 2, 8)])
def test_strangers_who_say_nothing_keep_nobody_out(deployed, addresses, of_each):
    with deployed.answering() as address, ExitStack() as silent:
        for n in range(addresses):
            for _ in range(of_each):
                source = (f"127.0.0.{n + 1}", 0)
                silent.enter_context(socket.create_connection(address, timeout=300, source_address=source))
        for _ in range(3):
            assert deployed.console().result(300) == b"login: "


def test_who_has_said_nothing_for_longest_makes_room(deployed):
    with deployed.answering() as address, ExitStack() as silent:
        first = silent.enter_context(socket.create_connection(address, timeout=300))
        for _ in range(far._MOST_STRANGERS):
            last = silent.enter_context(socket.create_connection(address, timeout=300))

        assert first.recv(1) == b""
        last.settimeout(0)
        with pytest.raises(BlockingIOError):
            last.recv(1)


def test_a_stranger_who_says_nothing_is_let_go(deployed, monkeypatch):
    monkeypatch.setattr(far, "PROOF_S", 0.1)
    with deployed.answering() as address, socket.create_connection(address, timeout=300) as silent:
        assert silent.recv(1) == b""


def test_who_has_proved_who_it_is_and_asks_nothing_is_let_go(deployed, monkeypatch):
    proof = prove(deployed.sealer, uuid.uuid4().hex)
    with (
        deployed.answering() as address,
        socket.create_connection(address, timeout=300) as plain,
        proof.asks.wrap_socket(plain, server_hostname=name_of(deployed.member.id)) as silent,
    ):
        monkeypatch.setattr(far, "PROOF_S", 0.1)
        assert until_end(silent) == b""


def test_who_has_proved_who_it_is_makes_room_for_nobody(deployed, monkeypatch):
    monkeypatch.setattr(far, "PROOF_S", 60.0)
    proof = prove(deployed.sealer, uuid.uuid4().hex)
    with (
        deployed.answering() as address,
        socket.create_connection(address, timeout=300) as plain,
        proof.asks.wrap_socket(plain, server_hostname=name_of(deployed.member.id)) as proved,
        ExitStack() as silent,
    ):
        first, *_ = [
            silent.enter_context(socket.create_connection(address, timeout=300)) for _ in range(far._MOST_STRANGERS + 1)
        ]
        assert first.recv(1) == b"", "all have come"

        proved.sendall(b'{"about":"console","instances":["i-1"]}\n')
        assert b"found" in proved.recv(1000)


CONSOLE, REACH, AGENTS = (
    lambda asking: asking.console(None, "far", "i-1"),
    lambda asking: asking.reach(None, "far", "i-1"),
    lambda asking: asking.agents(None, "far", ["i-1"]),
)


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        *((CONSOLE, said) for said in (b"{}", b"[]", b"\xff", b'{"found":{"printed":"*"}}', b'{"found":{}}')),
        (CONSOLE, '{"found":{"printed":"ä"}}'.encode()),
        (REACH, b'{"found":{"network":"","ssh":"","ports":[["127.0.0.2",Infinity,22]]}}'),
        (AGENTS, b'{"found":{"agents":[["i-1","1",true,NaN]]}}'),
        (AGENTS, b'{"found":{"agents":[["i-1","1",true,1' + b"0" * 400 + b"]]}}"),
        *((AGENTS, b'{"found":{"agents":[["i-1","1",true,%s]]}}' % at) for at in (b"1e300", b"253402300800", b"-1")),
    ],
)
def test_an_answer_that_makes_no_sense_is_no_answer(deployed, ask, said):
    proof = prove(deployed.sealer, deployed.member.id)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        deployed.lies_at(listener)
        teller = threading.Thread(target=tell_once, args=[listener, proof, said + b"\n"])
        teller.start()
        try:
            assert deployed.refuses(ask(deployed.asking)) == "its answer makes no sense"
        finally:
            teller.join(300)


def tell_once(listener, proof, said):
    accepted, _ = listener.accept()
    with accepted, proof.answers.wrap_socket(accepted, server_side=True) as connection:
        connection.recv(1000)
        connection.sendall(said)
        until_end(connection)


def test_an_answer_without_end_is_given_up(deployed):
    proof = prove(deployed.sealer, deployed.member.id)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        deployed.lies_at(listener)
        teller = threading.Thread(target=tell_much, args=[listener, proof])
        teller.start()
        try:
            assert deployed.refuses(deployed.console()) == "it can't be reached"
        finally:
            teller.join(300)


def tell_much(listener, proof):
    accepted, _ = listener.accept()
    with accepted, proof.answers.wrap_socket(accepted, server_side=True) as connection:
        try:
            while True:
                connection.sendall(b"x" * 65_536)
        except OSError:
            pass


def test_what_the_host_cannot_do_it_says(loop, tmp_path, sqlite):  # noqa: F811
    class Broken(NoMachines):
        def console(self, instance: str) -> bytes:
            raise OSError(24, "Too many open files")

    deployed = Deployment(loop, make_cloud(tmp_path, sqlite, machines=Broken(tmp_path / "run")), tmp_path)
    with deployed.answering():
        assert deployed.refuses(deployed.console()) == "its disk or a limit of it failed"
