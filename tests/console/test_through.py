"""What passes through a console of a Kiln elsewhere: files in both directions and terminals, for who has signed in."""

from __future__ import annotations

import http.client
import json
import os
import socket
import threading
from collections import deque
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from http.client import HTTPConnection
from urllib.parse import urlencode, urlsplit

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from kiln.console.through import BELOW, Refused, Share
from kiln.ground.clock import system_clock
from kiln.ground.terminal_messages import Type, pack, unpack
from kiln.wire.http.bounds import Room
from kiln.wire.paths.events import Limits
from tests.browser.visiting import Visitor
from tests.clouds import make_cloud
from tests.console.elsewhere import serve_alone
from tests.consoled import Consoled, a_running_instance
from tests.waiting import wait_for
from tests.wire.paths.site import start_site

CONTENT = os.urandom(300_000)


@pytest.fixture
def cloud(tmp_path, sqlite):
    with closing(Consoled(tmp_path / "run", b"Debian\r\n")) as machines:
        yield make_cloud(tmp_path, sqlite, machines=machines)


@pytest.fixture
def alone(cloud):
    """A console of its own before a Kiln of this process."""
    with (
        start_site(cloud, Limits(), Room(200, 200)) as served,
        serve_alone("http://{}:{}".format(*served.address), cloud.clock, beat_s=0.05) as console,
    ):
        yield console


@pytest.fixture
def visitor(alone):
    """One who has signed in there."""
    with closing(Visitor(alone.host)) as one:
        one.get(alone.link().removeprefix(alone.origin))
        yield one


def test_a_link_that_was_used_says_how_another_of_this_console_is_had(alone):
    link = alone.link().removeprefix(alone.origin)
    with closing(Visitor(alone.host)) as one:
        assert "You are signed in" in one.get(link).text

        again = one.get(link).text

    assert f"<pre><code>kiln console --endpoint {alone.place.endpoint}</code></pre>" in again


def tell(visitor, path: str, **given: str) -> dict:
    """What the console tells a script."""
    token = visitor.get("/console/files").text.partition('data-token="')[2].partition('"')[0]
    answer = visitor.ask("POST", path, urlencode({"form_token": token, **given}))
    assert answer.status == 200, answer.text
    found: dict = json.loads(answer.text)
    return found


@pytest.fixture
def begun(visitor):
    """The path at which the first part of an upload is to be put, and whose it is."""
    told = tell(visitor, "/console/files/begin", name="disk.raw", size=str(len(CONTENT)))
    whose = {"object": told["object"], "upload": told["upload"]}
    return tell(visitor, "/console/files/sign", first="1", **whose)["paths"]["1"], whose


def send(at: str, method: str, path: str, cookies=(), body: bytes | None = None, **headers: str):
    """The answer to a request as it is made, with its whole body."""
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    told["cookie"] = "; ".join(f"{name}={value}" for name, value in dict(cookies).items())
    with closing(HTTPConnection(at, timeout=300)) as connection:
        connection.request(method, path, body, told)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


def test_a_file_goes_to_the_service_and_comes_back_whole(alone, visitor, begun):
    path, whose = begun
    assert path.startswith(f"{BELOW}/uploads-")

    status, _, _ = send(alone.host, "PUT", path, visitor.cookies, CONTENT)
    assert status == 200
    tell(visitor, "/console/files/complete", **whose)
    page = visitor.get("/console/files").text
    href = page.partition('<th scope="row"><a href="')[2].partition('"')[0]
    place = visitor.get(href).headers["location"]
    status, headers, came = send(alone.host, "GET", place, visitor.cookies)

    assert (status, came == CONTENT) == (200, True)
    assert headers["content-disposition"] == f'attachment; filename="{whose["object"]}"'
    assert headers["content-type"] == "application/octet-stream"
    assert headers["content-security-policy"].startswith("default-src 'none'")


def test_nothing_passes_of_who_has_not_signed_in_or_asks_from_elsewhere(alone, visitor, begun):
    path, whose = begun

    def put(cookies=visitor.cookies, at=path, body: bytes | None = b"x", **headers: str) -> int:
        return send(alone.host, "PUT", at, cookies, body, **headers)[0]

    assert put(cookies={}) == 403
    assert put(sec_fetch_site="cross-site") == 403
    assert put(origin="http://evil.example") == 403
    assert put(host="evil.example") == 421
    assert put(at=f"{BELOW}/readyz") == 404
    assert put(at=f"{BELOW}/a/b") == 404
    assert put(at=f"{BELOW}//?x-oss-signature=1") == 404
    assert send(alone.host, "DELETE", path, visitor.cookies)[0] == 405
    assert put(transfer_encoding="chunked", body=None) == 411
    status, _, said = send(alone.host, "PUT", path.replace("partNumber=1", "partNumber=2"), visitor.cookies, b"x")
    assert (status, b"SignatureDoesNotMatch" in said) == (403, True)
    assert tell(visitor, "/console/files/find", **whose) == {"parts": {}}


def test_so_many_pass_at_a_time_and_others_have_room():
    share = Share(4, "files")
    with ExitStack() as held:
        for _ in range(2):
            held.enter_context(share.take("loud"))
        with pytest.raises(Refused, match="As many files"):
            held.enter_context(share.take("loud"))
        for _ in range(2):
            held.enter_context(share.take("other"))
        with pytest.raises(Refused):
            held.enter_context(share.take("third"))
    with share.take("loud"):
        pass


def test_one_account_has_half_of_the_transfers(alone, visitor, begun):
    """Those that are held up have sent half of a part, and go on when their turn comes."""
    path, _ = begun
    cookies = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
    head = f"PUT {path} HTTP/1.1\r\nhost: {alone.host}\r\ncookie: {cookies}\r\ncontent-length: 8\r\n\r\nhalf"
    address = urlsplit(alone.origin)
    with ExitStack() as held:
        for _ in range(8):
            slow = held.enter_context(socket.create_connection((address.hostname, address.port), 20))
            slow.sendall(head.encode())
        wait_for(lambda: send(alone.host, "PUT", path, visitor.cookies, b"x")[0] == 429)
    wait_for(lambda: send(alone.host, "PUT", path, visitor.cookies, b"x")[0] == 200)


@contextmanager
def answering(words: bytes):
    """A service that answers its first request so, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            taken, _ = listener.accept()
            with taken:
                taken.recv(65536)
                taken.sendall(words)

        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(300)


FETCHED = f"{BELOW}/bucket/name?x-oss-signature=1"


def fetched(endpoint: str):
    """The answer to a download through a console of that service."""
    with serve_alone(endpoint, system_clock) as console:
        return send(console.host, "GET", FETCHED, console.session())


def test_half_a_file_is_not_taken_for_a_whole_one():
    half = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"
    with answering(half) as broken, pytest.raises((http.client.IncompleteRead, ConnectionError)):
        fetched(broken)


def test_what_the_service_gives_is_saved_and_no_page_of_the_console():
    page = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 9\r\nset-cookie: a=b\r\n\r\n<script/>"
    with answering(page) as hostile:
        status, headers, said = fetched(hostile)

    assert (status, said) == (200, b"<script/>")
    assert (headers["content-type"], headers["content-disposition"]) == ("application/octet-stream", "attachment")
    assert "set-cookie" not in headers


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nx"], ids=len)
def test_what_is_no_answer_is_said_to_be_none(said):
    with answering(said) as broken:
        assert fetched(broken)[0] == 502


def test_says_so_where_nothing_answers():
    with socket.create_server(("127.0.0.1", 0)) as free:
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"

    status, _, said = fetched(nobody)

    assert status == 502
    assert said.startswith(f"Nothing answers at {nobody}".encode())


def session(visitor, instance: str) -> str:
    """The path of a terminal's session, as a page is given it."""
    return str(tell(visitor, f"/console/instances/{instance}/terminal")["path"])


def join(alone, visitor, path: str, origin: str = ""):
    headers = {"cookie": "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())}
    url = f"ws://{alone.host}{path}"
    return connect(url, additional_headers=headers, proxy=None, origin=origin or alone.origin)


def refused():
    return pytest.raises(InvalidStatus, match="403")


def test_a_terminal_is_joined_through_the_console_until_its_session_ends(alone, visitor, cloud):
    instance = a_running_instance(cloud)
    path = session(visitor, instance)
    assert path.startswith(f"{BELOW}/session?")

    with join(alone, visitor, path) as terminal:
        guest = cloud.ports.machines.guests.get(timeout=300)
        terminal.send(pack(Type.INPUT, b"root\r", 0, 1))
        with guest.makefile("rb") as typed:  # A socket with a time limit returns what has come so far.
            assert typed.read(5) == b"root\r"
        guest.sendall(b"welcome")
        shown = b""
        while b"welcome" not in shown:
            shown += unpack(terminal.recv(60)).payload
        assert b"Debian" in shown
        alone.place.sessions.close()
        with pytest.raises(ConnectionClosed):
            deque(iter(partial(terminal.recv, 20), None))
    wait_for(lambda: states_of(cloud) == ["Terminated"])


def states_of(cloud):
    found = cloud.call("DescribeTerminalSessions")["Sessions"]["Session"]
    return [connection["Status"] for one in found for connection in one["Connections"]["Connection"]]


def test_a_terminal_is_joined_by_its_own_page_alone_and_once(alone, visitor, cloud):
    path = session(visitor, a_running_instance(cloud))
    with closing(Visitor(alone.host)) as nobody, refused(), join(alone, nobody, path):
        pass
    with refused(), join(alone, visitor, path, origin="http://evil.example"):
        pass
    with join(alone, visitor, path):
        pass
    with refused(), join(alone, visitor, path):
        pass


def test_an_address_that_no_session_has_is_refused_as_the_browser_s_own_fault(alone, visitor):
    asked = {
        "Cookie": "; ".join(f"{name}={value}" for name, value in visitor.cookies.items()),
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    with closing(HTTPConnection(alone.host, timeout=300)) as connection:
        connection.request("GET", f"{BELOW}/session?token=a#b", headers=asked)
        answer = connection.getresponse()
        said = answer.read()

    assert (answer.status, said) == (400, b"the address of a session has no fragment\n")
