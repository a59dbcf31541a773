"""Terminals over real WebSockets: what is shown and typed, who may come in, and how a session ends."""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from http.client import HTTPResponse

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.sync.client import ClientConnection, connect

from kiln.calls.origin import Origin
from kiln.calls.terminals import MOST_CONNECTED
from kiln.ground.terminal_messages import CLOSED, Type, pack, unpack
from kiln.ground.units import MiB
from kiln.service.authority import Authority
from kiln.service.certificates import KnownCertificates
from kiln.service.datafolder import DataFolder
from kiln.store import terminals
from kiln.store.terminals import URL_S
from kiln.wire.http import bounds
from kiln.wire.http.bounds import SOCKET_MESSAGE, Room
from kiln.wire.paths.events import Limits
from kiln.wire.paths.terminal import TerminalLimits
from tests.catalogue import key_of
from tests.clouds import ACCOUNT, REGION, make_cloud
from tests.consoled import Consoled, a_running_instance
from tests.waiting import wait_for
from tests.wire.paths.site import Served, start_site

ROOM = Room(400, 400)

#: The rest of a request for a WebSocket.
HEAD = (
    b"Host: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)

#: Frames without a payload.
PING, PONG = b"\x89\x80\0\0\0\0", b"\x8a\0"


class Terminal:
    """A client of a session."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.shown = b""

    def type(self, typed: bytes, kind: Type = Type.INPUT) -> None:
        self.socket.send(pack(kind, typed, 0, 1))

    def until(self, text: bytes) -> None:
        """Read until it has been shown."""
        while text not in self.shown:
            kind, payload = unpack(self.socket.recv(60))
            assert kind == Type.OUTPUT, payload
            self.shown += payload

    def goodbye(self) -> str:
        """Why it ended; reads to the end, and waits for that of the connection."""
        while (message := unpack(self.socket.recv(60))).type == Type.OUTPUT:
            self.shown += message.payload
        assert message.type == Type.STATUS
        assert message.payload[0] == CLOSED
        with pytest.raises(ConnectionClosed):
            self.socket.recv(60)
        return message.payload[1:].decode().removeprefix("Exit: ")


@contextmanager
def serve(tmp_path, sqlite, printed: bytes = b"", **more) -> Iterator[Served]:
    cloud = make_cloud(tmp_path, sqlite, machines=Consoled(tmp_path / "run", printed))
    # A console may be connected to until the server has stopped.
    with closing(cloud.ports.machines), start_site(cloud, Limits(), more.pop("room", ROOM), **more) as served:
        served.instance = a_running_instance(cloud)
        yield served


@pytest.fixture
def site(tmp_path, sqlite):
    with serve(tmp_path, sqlite) as served:
        yield served


def start(site: Served, **more) -> dict:
    """The answer of StartTerminalSession, as it was asked of the server."""
    host, port = site.address
    origin = Origin(access_key_id=ACCOUNT, host=f"{host}:{port}", **more)
    params = {"RegionId": REGION, "InstanceId.1": site.instance}
    return site.cloud.dispatcher.dispatch(ACCOUNT, key_of("StartTerminalSession"), params, origin)


@contextmanager
def joined(site: Served, url: str | None = None, **more) -> Iterator[Terminal]:
    with connect(url or start(site)["WebSocketUrl"], proxy=None, compression=None, **more) as socket:
        yield Terminal(socket)


def guest(site: Served):
    """The far end of the console that was connected to last."""
    return closing(site.cloud.ports.machines.guests.get(timeout=300))


def refused(site: Served, url: str, **more) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as error, joined(site, url, **more):
        pass
    return error.value.response.status_code, error.value.response.body.decode()


def status_of(site: Served, session: str) -> tuple[str, str]:
    answer = site.cloud.call("DescribeTerminalSessions", SessionId=session)
    (one,) = answer["Sessions"]["Session"]
    (connection,) = one["Connections"]["Connection"]
    return connection["Status"], connection["ClosedReason"]


def test_shows_what_the_guest_prints_and_types_what_is_typed(site):
    with joined(site) as terminal, guest(site) as far:
        far.sendall(b"login: ")
        terminal.until(b"login: ")
        terminal.type(b"root\r")

        assert far.recv(100) == b"root\r"


def test_a_key_that_is_sent_reaches_the_guest_as_it_is(site):
    with joined(site) as terminal, guest(site) as far:
        terminal.type(bytes(range(256)))

        assert far.recv(1000) == bytes(range(256))


def test_shows_what_was_printed_before_without_orders_to_a_terminal(tmp_path, sqlite):
    with serve(tmp_path, sqlite, b"Debian 12\r\n\x1b[6n\x1b[1mlogin: ") as site, joined(site) as terminal:
        terminal.until(b"Debian 12\r\nlogin: ")


def test_shows_who_comes_later_what_the_others_saw(site):
    with joined(site) as first, guest(site) as far:
        far.sendall(b"one\r\ntwo")
        first.until(b"two")
        with joined(site) as second:
            second.until(b"one\r\ntwo")
            far.sendall(b" three")
            first.until(b"three")
            second.until(b"three")
            second.type(b"x")
            assert far.recv(10) == b"x"
        first.type(b"y")
        assert far.recv(10) == b"y"

    assert site.cloud.ports.machines.guests.empty(), "the console was connected to once"


def test_leaves_the_console_with_the_last_who_looks(site):
    with joined(site), guest(site):
        pass
    with joined(site) as again, guest(site) as anew:
        anew.sendall(b"again")
        again.until(b"again")


def test_a_guest_that_reads_nothing_keeps_no_console(tmp_path, sqlite):
    limits = TerminalLimits(idle_s=1)
    with serve(tmp_path, sqlite, terminals=limits) as site, joined(site) as terminal, guest(site) as far:
        terminal.socket.socket.settimeout(1)
        with suppress(TimeoutError, ConnectionClosed):
            for _ in range(200):
                terminal.type(b"x" * 60_000)
        terminal.socket.socket.close()
        ended = select.poll()
        ended.register(far, select.POLLHUP)

        assert ended.poll(60_000), "though what was typed is not read"


def test_sends_an_empty_message_first_since_clients_wait_for_one(site):
    with joined(site) as terminal:
        assert unpack(terminal.socket.recv(60)) == (Type.OUTPUT, b"")


def test_a_url_is_good_for_one_time(site):
    url = start(site)["WebSocketUrl"]
    with joined(site, url) as terminal:
        terminal.type(b"a")
        status, words = refused(site, url)
        assert (status, words) == (403, "The session was joined before: its URL is good for one time.\n")

    assert refused(site, url)[0] == 403


def test_a_url_is_good_for_ten_minutes(site):
    url = start(site)["WebSocketUrl"]
    site.cloud.clock.now += URL_S

    assert refused(site, url) == (
        403,
        "The session is over: its URL is good for ten minutes, or until it is ended.\n",
    )


def test_a_token_opens_its_own_session_and_no_other(site):
    one, other = start(site), start(site)
    mixed = one["WebSocketUrl"].replace(one["SecurityToken"], other["SecurityToken"])
    unknown = one["WebSocketUrl"].replace(one["SessionId"], "ts-none")
    bare = one["WebSocketUrl"].partition("&")[0]

    answers = {refused(site, url) for url in (mixed, unknown, bare, bare + "&token=%FF%00")}

    assert answers == {(403, "There is no such session, or this is not its token.\n")}
    with joined(site, one["WebSocketUrl"]):
        assert status_of(site, one["SessionId"])[0] == "Connected"


def test_reads_no_long_query_for_who_is_not_known(site):
    url = start(site)["WebSocketUrl"]

    assert refused(site, url + "&a=b" * 1000) == (403, "The query is longer than 2 KiB.\n")
    with joined(site, url) as terminal:
        terminal.type(b"a")


def test_takes_the_token_as_a_header_and_the_id_as_the_official_client_spells_it(site):
    answer = start(site)
    url = answer["WebSocketUrl"].partition("&")[0].replace("sessionid", "sessionId")

    with joined(site, url, additional_headers={"X-Acs-Session-Token": answer["SecurityToken"]}):
        assert status_of(site, answer["SessionId"]) == ("Connected", "")


def test_a_page_of_another_origin_is_refused_and_one_of_the_server_is_not(site):
    url = start(site)["WebSocketUrl"]

    assert refused(site, url, origin="https://evil.example")[0] == 403
    assert refused(site, url, origin="http://[")[0] == 403
    assert refused(site, url, origin="null")[0] == 403
    with joined(site, url, origin=f"http://{site.address[0]}:{site.address[1]}") as terminal:
        terminal.type(b"a")


def test_says_in_words_what_asks_for_no_websocket(site):
    answer = site.ask("GET", "/session")

    assert (answer.status, answer.headers["upgrade"]) == (426, "websocket")
    assert b"WebSocket" in answer.body
    keyless = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    assert site.ask("GET", "/session", keyless).status == 400
    assert site.ask("GET", "/healthz", keyless).status == 200, "an upgrade elsewhere is not heeded"


def answer_to(site, head: bytes) -> tuple[int, dict[str, str]]:
    """Status and headers of the answer to a request for a session whose head, but for its first line, is *head*."""
    with socket.create_connection(site.address, 300) as connection:
        connection.sendall(head)
        answer = HTTPResponse(connection)
        answer.begin()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}


def test_another_version_is_told_which_one_is_spoken(site):
    status, headers = answer_to(site, b"GET /session HTTP/1.1\r\n" + HEAD.replace(b"Version: 13", b"Version: 8"))

    assert (status, headers["sec-websocket-version"], headers["upgrade"]) == (426, "13", "websocket")


def test_what_http_does_not_let_upgrade_is_refused(site):
    first = b"GET /session HTTP/1.1\r\n"

    assert answer_to(site, first + HEAD)[0] == 403, "it lacks a token alone"
    assert answer_to(site, first.replace(b"1.1", b"1.0") + HEAD)[0] == 426
    assert answer_to(site, first + HEAD.replace(b"Host: h\r\n", b""))[0] == 400
    assert answer_to(site, first + HEAD.replace(b"Host: h", b"Host: h\r\nContent-Length: 2") + b"ab")[0] == 400
    chunked = HEAD.replace(b"Host: h", b"Host: h\r\nTransfer-Encoding: chunked")
    assert answer_to(site, first + chunked + b"0\r\n\r\n")[0] == 400
    assert answer_to(site, first + HEAD.replace(b"Host: h", b"Host: h\r\nContent-Length: 0"))[0] == 403


def test_ends_with_the_machine_and_shows_its_last_words(site):
    answer = start(site)
    with joined(site, answer["WebSocketUrl"]) as terminal:
        with guest(site) as far:
            far.sendall(b"Power down")

        assert terminal.goodbye() == "the machine has stopped"
        assert terminal.shown == b"Power down"
        assert terminal.socket.close_code == 1000
    wait_for(lambda: status_of(site, answer["SessionId"]) == ("Terminated", "the machine has stopped"))


def test_ends_with_end_terminal_session(site):
    answer = start(site)
    with joined(site, answer["WebSocketUrl"]) as terminal, guest(site) as far:
        site.cloud.call("EndTerminalSession", SessionId=answer["SessionId"])

        assert terminal.goodbye() == "EndTerminalSession ended it"
        assert far.recv(10) == b""
    assert status_of(site, answer["SessionId"])[0] == "Terminated"


def test_tells_what_has_ended_it_where_that_was_not_asked_for(site):
    """As who looks at a process that stood still until others gave it up."""
    answer = start(site)
    with joined(site, answer["WebSocketUrl"]) as terminal, guest(site):
        site.cloud.ports.database.write(lambda tx: terminals.door_gone(tx, "", site.cloud.clock(), is_given_up=True))

        assert terminal.goodbye() == "the others gave up the Kiln where it was joined"


def test_ends_with_its_client(site):
    answer = start(site)
    with joined(site, answer["WebSocketUrl"]) as terminal, guest(site) as far:
        terminal.type(b"1", Type.CLOSE)

        assert terminal.goodbye() == "its client left"
        assert far.recv(10) == b""


def test_ends_with_a_client_that_says_nothing(site):
    answer = start(site)
    with joined(site, answer["WebSocketUrl"]) as terminal, guest(site) as far:
        terminal.socket.socket.close()

        assert far.recv(10) == b""
        wait_for(lambda: status_of(site, answer["SessionId"]) == ("Terminated", "its client left"))
    site.until(connections=0)


def test_ends_where_no_console_can_be_had(site):
    answer = start(site)
    site.cloud.ports.machines.is_busy = True

    with joined(site, answer["WebSocketUrl"]) as terminal:
        assert terminal.goodbye() == "Another program is connected."
    wait_for(lambda: status_of(site, answer["SessionId"]) == ("Failed", "Another program is connected."))
    site.cloud.ports.machines.is_busy = False
    with joined(site) as terminal, guest(site) as far:
        far.sendall(b"here")
        terminal.until(b"here")


def test_ends_where_the_console_cannot_be_read_and_the_next_one_is_joined(site):
    answer = start(site)
    site.cloud.ports.machines.is_unreadable = True

    with joined(site, answer["WebSocketUrl"]) as terminal, guest(site) as far:
        assert terminal.goodbye().endswith("Too many open files.")
        assert far.recv(10) == b"", "nobody holds the console"
    wait_for(lambda: status_of(site, answer["SessionId"])[0] == "Failed")
    site.cloud.ports.machines.is_unreadable = False
    with joined(site) as terminal, guest(site) as far:
        far.sendall(b"here")
        terminal.until(b"here")


def test_a_key_that_has_gone_since_is_shown_nothing(tmp_path, sqlite):
    with serve(tmp_path, sqlite, b"a secret") as site:
        url = start(site)["WebSocketUrl"]
        site.keys.off.add(ACCOUNT)

        with joined(site, url) as terminal:
            assert terminal.goodbye() == "its key is no more in use"
        assert terminal.shown == b""
        assert site.cloud.ports.machines.guests.empty()


def test_ends_with_its_key(tmp_path, sqlite):
    with serve(tmp_path, sqlite, terminals=TerminalLimits(beat_s=0.05)) as site, joined(site) as terminal:
        site.keys.off.add(ACCOUNT)

        assert terminal.goodbye() == "its key is no more in use"


def test_ends_with_silence(tmp_path, sqlite):
    with serve(tmp_path, sqlite, terminals=TerminalLimits(idle_s=0.2)) as site, joined(site) as terminal:
        assert terminal.goodbye() == "nothing came from its client for too long"


def test_ends_with_the_server_which_does_not_wait(site):
    with joined(site) as terminal, guest(site) as far:
        site.stop()

        assert terminal.goodbye() == "this Kiln stops"
        assert terminal.socket.close_code == 1001
        assert far.recv(10) == b""


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"ls\r", "its client does not speak Session Manager's protocol: a message is at least its head"),
        ("ls", "its client does not speak Session Manager's protocol: a message is at least its head"),
        (pack(Type.INPUT, b"ls", 0, 1)[:-1], "its client does not speak Session Manager's protocol: a message says 2"),
        (pack(Type.OUTPUT, b"ls", 0, 1), "its client sent a message of type 1"),
        (b"\xff" * 40, "its client does not speak Session Manager's protocol: a message ends within"),
    ],
)
def test_ends_with_what_is_no_message(site, said, why):
    with joined(site) as terminal, guest(site) as far:
        terminal.socket.send(said)

        assert terminal.goodbye().startswith(why)
        assert far.recv(10) == b""


def say_too_much(terminal):
    """Whoever still sends the last piece hears there that it was refused."""
    terminal.socket.send(iter([b"x" * 1000] * (SOCKET_MESSAGE // 1000 + 1)))
    terminal.socket.recv(60)


def test_a_message_that_is_too_long_is_refused_as_it_comes(site):
    answer = start(site)
    with joined(site, answer["WebSocketUrl"]) as terminal, guest(site) as far:
        assert terminal.socket.recv(60)[:4] == b"\1\0\0\0"
        with pytest.raises(ConnectionClosed) as closed:
            say_too_much(terminal)

        assert closed.value.rcvd.code == 1009
        assert far.recv(10) == b""


def test_a_crowd_of_frames_holds_nobody_up(site):
    with joined(site) as terminal, guest(site) as far:
        with terminal.socket.protocol_mutex:
            for _ in range(2_000):
                terminal.socket.protocol.send_frame(Frame(Opcode.PING, b""))
            flood = b"".join(terminal.socket.protocol.data_to_send())
        terminal.socket.socket.sendall(flood)
        terminal.type(b"after")

        assert site.ask("GET", "/healthz").status == 200
        assert far.recv(10) == b"after"


def test_a_flood_of_frames_takes_a_little_of_the_time_of_others(site, monkeypatch):
    monkeypatch.setattr(bounds, "SOCKET_FRAME_S", 3600)
    with raw_client(site) as flooding, guest(site) as far, joined(site) as other:
        flooding.sendall(PING * 50_000)
        other.type(b"x")
        assert far.recv(10) == b"x"
        assert site.ask("GET", "/healthz").status == 200

        pongs = b""
        while len(pongs) < 100 * len(PONG):
            pongs += flooding.recv(65536)
        assert pongs.count(PONG) <= bounds.SLICE // len(PING) + 1, "the rest waits for the end of a rest"


def test_what_comes_after_a_refusal_is_read_for_a_while_and_not_kept(site):
    with socket.socket() as flooding:
        flooding.settimeout(300)
        flooding.connect(site.address)
        flooding.sendall(b"GET /session?token=x HTTP/1.1\r\n" + HEAD)
        assert flooding.recv(12) == b"HTTP/1.1 403"
        sent = flooding.send(b"x")
        with suppress(BrokenPipeError, ConnectionResetError):
            while True:
                sent += flooding.send(b"x" * MiB)

    assert sent < bounds.LINGER_PIECE + 24 * MiB, "what is more was read by the server"
    site.until(connections=0)


def test_who_reads_nothing_does_not_hold_up_the_end(site):
    with raw_client(site), guest(site) as far:
        for _ in range(600):
            far.sendall(b"x" * 16 * 1024)

        site.stop()


def test_who_reads_slowly_holds_up_neither_the_guest_nor_others(tmp_path, sqlite):
    limits = TerminalLimits(waiting=64 * 1024)
    with serve(tmp_path, sqlite, terminals=limits) as site, raw_client(site) as slow, joined(site) as terminal:
        with guest(site) as far:
            for _ in range(600):
                far.sendall(b"x" * 16 * 1024)
            far.sendall(b"the end")
            terminal.until(b"the end")
        shown = b""
        while piece := slow.recv(65536):
            shown += piece

    assert b"bytes are left out here" in shown
    assert b"the end" in shown


@contextmanager
def raw_client(site: Served):
    """A connection whose upgrade was accepted, and from which nothing is read."""
    path = start(site)["WebSocketUrl"].partition(":")[2].partition("/session")[2]
    with socket.socket() as sent:
        sent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sent.settimeout(300)
        sent.connect(site.address)
        sent.sendall(f"GET /session{path} HTTP/1.1\r\n".encode() + HEAD)
        assert sent.recv(12) == b"HTTP/1.1 101"
        yield sent


def test_a_client_that_answers_the_closing_is_let_go_at_once(site, monkeypatch):
    monkeypatch.setattr(bounds, "SOCKET_CLOSE_S", 60.0)
    with raw_client(site) as client, guest(site) as far:
        far.close()
        said = b""
        while b"the machine has stopped" not in said[said.find(b"\x88") :] or b"\x88" not in said:
            said += client.recv(65536)
        client.sendall(b"\x88\x82\0\0\0\0" + (1000).to_bytes(2, "big"))

        assert client.recv(10) == b""


def test_no_more_are_joined_than_may_be(tmp_path, sqlite):
    with serve(tmp_path, sqlite, terminals=TerminalLimits(in_all=1)) as site:
        with joined(site):
            status, words = refused(site, start(site)["WebSocketUrl"])
            assert (status, words) == (429, "There are as many terminals as there may be.\n")
        wait_for(lambda: not site.crowd.counts["connections"])
        with joined(site) as terminal:
            terminal.type(b"a")


def test_no_more_are_joined_to_an_instance_than_may_be(site):
    with ExitStack() as stack:
        for _ in range(MOST_CONNECTED):
            stack.enter_context(joined(site))

        assert refused(site, start(site)["WebSocketUrl"])[1].startswith("20 sessions are joined")


def test_speaks_over_tls(tmp_path, sqlite):
    (folder := tmp_path / "data").mkdir()
    authority = Authority(DataFolder(folder))
    authority.make()
    with serve(tmp_path, sqlite, certify=lambda _: KnownCertificates(authority)) as site:
        answer = start(site, is_tls=True)
        context = ssl.create_default_context(cafile=str(authority.path))
        assert answer["WebSocketUrl"].startswith("wss://")
        with joined(site, answer["WebSocketUrl"], ssl=context) as terminal, guest(site) as far:
            far.sendall(b"hidden")
            terminal.until(b"hidden")
            terminal.type(b"x" * 50_000)
            assert len(far.recv(50_000)) > 0
            site.cloud.call("EndTerminalSession", SessionId=answer["SessionId"])
            assert terminal.goodbye() == "EndTerminalSession ended it"


def test_no_token_is_logged(site, caplog):
    caplog.set_level("DEBUG")
    answer = start(site)
    with joined(site, answer["WebSocketUrl"]):
        pass
    refused(site, answer["WebSocketUrl"])

    ours = [r for r in caplog.records if r.name.startswith("kiln")]
    assert any(r.msg == "terminal_opened" for r in ours)
    assert not [r for r in ours if answer["SecurityToken"] in f"{r.getMessage()} {vars(r)}"]
