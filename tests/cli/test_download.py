"""Fetching by HTTP from a server on the loopback that breaks off, changes its mind, or sends too much."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket
from threading import Thread

import pytest

from kiln.cli import exits
from kiln.cli.download import Download, check_digest, check_url
from kiln.cli.exits import Refusal

BODY = bytes(range(256)) * 4096


class Server:
    """Answers each GET by the next of its answers, the last one for ever."""

    def __init__(self) -> None:
        self.answers: list[Callable[[BaseHTTPRequestHandler], None]] = []
        self.ranges: list[str | None] = []
        here = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                here.ranges.append(self.headers.get("Range"))
                answer = here.answers.pop(0) if len(here.answers) > 1 else here.answers[0]
                answer(self)
                self.close_connection = True

            def log_message(self, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/disk.qcow2"


def sends(body: bytes = BODY, *, said: int | None = None, start: int = 0, tag: str = '"one"'):
    """An answer with *body*, of a file of which *said* bytes are promised, from *start* on."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(body) if said is None else said))
        handler.send_header("ETag", tag)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(BODY) - 1}/{len(BODY)}")
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def says(code: int, **headers: str):
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


@pytest.fixture
def server():
    made = Server()
    thread = Thread(target=made.http.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.http.shutdown()
    thread.join()
    made.http.server_close()


@pytest.fixture
def fetch(tmp_path):
    def fetched(url: str, digest: str = "") -> bytes:
        path = tmp_path / "disk"
        with path.open("xb") as file:
            Download(url, file, digest).run(lambda *_: None)
        return path.read_bytes()

    return fetched


def test_brings_a_file_whole(server, fetch):
    server.answers = [sends()]

    assert fetch(server.url, "sha256:" + hashlib.sha256(BODY).hexdigest()) == BODY


def test_takes_up_where_a_connection_broke(server, fetch):
    half = len(BODY) // 2
    server.answers = [sends(BODY[:half], said=len(BODY)), sends(BODY[half:], start=half)]

    assert fetch(server.url, hashlib.sha256(BODY).hexdigest()) == BODY
    assert server.ranges == [None, f"bytes={half}-"]


@pytest.mark.parametrize("again", [sends(tag='"two"'), sends(BODY[7:], start=7)])
def test_begins_again_where_the_file_is_another_or_the_part_is_not_the_one(server, fetch, again):
    server.answers = [sends(BODY[:1000], said=len(BODY)), again, sends()]

    assert fetch(server.url, hashlib.sha256(BODY).hexdigest()) == BODY


def test_gives_up_when_every_connection_breaks(server, fetch):
    server.answers = [sends(BODY[:1000], said=len(BODY)), says(503)]

    with pytest.raises(Refusal, match="503") as refused:
        fetch(server.url)

    assert refused.value.code == exits.UNREACHABLE


def test_a_file_that_is_not_there_is_asked_for_once(server, fetch):
    server.answers = [says(404)]

    with pytest.raises(Refusal, match="404"):
        fetch(server.url)

    assert len(server.ranges) == 1


def test_says_of_a_server_that_is_not_there_what_is_the_matter_without_a_number(fetch):
    with socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        with pytest.raises(Refusal, match=r"/disk.qcow2: Connection refused$") as refused:
            fetch(f"http://127.0.0.1:{deaf.getsockname()[1]}/disk.qcow2")

    assert refused.value.hint == "Nothing was imported."


def test_refuses_what_has_another_digest(server, fetch):
    server.answers = [sends(b"something else")]

    with pytest.raises(Refusal, match="is not what it should be") as refused:
        fetch(server.url, "sha256:" + "0" * 64)

    assert refused.value.code == exits.UNSOUND


def test_refuses_what_there_is_no_room_for(server, fetch):
    server.answers = [sends(b"x", said=2**40)]

    with pytest.raises(Refusal, match="there is room for"):
        fetch(server.url)


def test_refuses_what_is_larger_than_an_image_can_be(server, fetch):
    server.answers = [sends(b"x", said=2**42)]

    with pytest.raises(Refusal, match="more than an image can have"):
        fetch(server.url)


@pytest.mark.parametrize("where", ["file:///etc/passwd", "ftp://127.0.0.1/disk"])
def test_follows_no_way_out_of_http(server, fetch, where):
    server.answers = [says(302, Location=where)]

    with pytest.raises(Refusal, match=r"less safe|not allowed"):
        fetch(server.url)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "ftp://h/x", "http://", "https://h:0/x", "https://h:x/x", "disk.qcow2", "http://h/a b",
        "http://user:word@h/x", "http://h/\n", "http://h/é",
    ],
)  # fmt: skip
def test_refuses_what_is_no_url(url):
    with pytest.raises(Refusal) as refused:
        check_url(url)

    assert refused.value.code == exits.USAGE


def test_knows_a_digest_by_its_length():
    assert check_digest("A" * 64) == ("sha256", "a" * 64)
    assert check_digest("SHA512:" + "0" * 128) == ("sha512", "0" * 128)


@pytest.mark.parametrize("text", ["", "sha256:", "sha256:xyz", "crc32:00000000", "sha256:" + "0" * 63, "0" * 65])
def test_refuses_what_is_no_digest(text):
    with pytest.raises(Refusal, match="is no digest"):
        check_digest(text)


def sends_part(start: int, end: int, *, of: int = len(BODY), tag: str = '"one"'):
    """A part of the file from *start* to before *end*, as a server may send that was asked for more."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(206)
        handler.send_header("Content-Length", str(end - start))
        handler.send_header("Content-Range", f"bytes {start}-{end - 1}/{of}")
        handler.send_header("ETag", tag)
        handler.end_headers()
        handler.wfile.write(BODY[start:end])

    return answer


def test_goes_on_after_a_part_that_is_shorter_than_the_rest(server, fetch):
    half = len(BODY) // 2
    server.answers = [
        sends(BODY[:half], said=len(BODY)),
        sends_part(half, half + 1000),
        sends_part(half + 1000, len(BODY)),
    ]

    assert fetch(server.url) == BODY


def test_begins_again_where_the_rest_is_another_file_s(server, fetch):
    half = len(BODY) // 2
    server.answers = [sends(BODY[:half], said=len(BODY)), sends_part(half, len(BODY), tag='"two"'), sends()]

    assert fetch(server.url) == BODY


@pytest.mark.parametrize(
    "answer", [sends_part(0, 1000), sends_part(5000, 6000), says(204)], ids=["first", "middle", "none"]
)
def test_refuses_what_is_no_whole_file(server, fetch, answer):
    server.answers = [answer]

    with pytest.raises(Refusal, match="no whole file"):
        fetch(server.url)


def test_refuses_to_be_led_to_what_is_no_address(server, fetch):
    server.answers = [says(302, Location="http://[::1")]

    with pytest.raises(Refusal):
        fetch(server.url)
