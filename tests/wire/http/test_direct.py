"""Requests that are answered without a task: what a client sees of that is nothing."""

from __future__ import annotations

import socket
import threading
from contextlib import closing

import pytest

from kiln.wire.http.bounds import Room
from kiln.wire.paths.events import Limits
from tests.clouds import make_cloud
from tests.wire.paths.site import Served, start_site

QUERY = "Action=DescribeRegions&Format=JSON"


@pytest.fixture
def site(tmp_path, sqlite):
    with start_site(make_cloud(tmp_path, sqlite), Limits(), Room(100, 100)) as served:
        yield served


def say(site: Served, *pieces: str) -> list[tuple[str, list[str], str]]:
    """What comes back until the server closes: status line, names of the headers and body of each answer."""
    with closing(socket.create_connection(site.address, timeout=300)) as sent:
        sent.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            sent.sendall(piece.encode())
        with sent.makefile("rb") as received:
            return list(_answers(received))


def _answers(received):
    while status := received.readline().decode().strip():
        lines = [line.decode().strip() for line in iter(received.readline, b"\r\n")]
        headers = {name: value for name, _, value in (line.partition(": ") for line in lines)}
        yield status, sorted(headers), received.read(int(headers.get("content-length", "0"))).decode()


def a_request(more: str = "", *, close: bool = True, method: str = "GET", query: str = QUERY) -> str:
    last = "Connection: close\r\n" if close else ""
    return f"{method} /?{query} HTTP/1.1\r\nHost: h\r\n{last}{more}\r\n"


def test_is_answered_as_by_a_task(site):
    (direct,) = say(site, a_request("Content-Length: 3\r\n", method="POST") + "a=1")
    (by_task,) = say(site, a_request("Transfer-Encoding: chunked\r\n", method="POST") + "3\r\na=1\r\n0\r\n\r\n")

    assert direct[0] == by_task[0] == "HTTP/1.1 400 Bad Request"
    assert direct[1] == by_task[1]
    assert "MissingParameter" in direct[2]


def test_a_body_in_parts_is_awaited(site):
    head = a_request("Content-Length: 17\r\n", method="POST", query="Action=None")
    (answer,) = say(site, head, "Format=J", "SON&Pad=1")

    assert answer[2].startswith("{"), "the body's Format was read"


def test_requests_sent_ahead_are_answered_in_their_order(site):
    whole = [a_request(close=False, query=f"Format={format_}") for format_ in ("JSON", "XML")]
    answers = say(site, "".join([*whole, a_request(close=True)]))

    assert [answer[2][:1] for answer in answers] == ["{", "<", "{"]


def test_what_comes_in_one_piece_with_a_long_body_is_answered_after_it(site):
    long = a_request("Content-Length: 300000\r\n", close=False, method="POST") + "A=" + "x" * 299_998
    answers = say(site, long + a_request(close=False, query="Format=XML") + long + a_request(query=QUERY))

    assert [answer[2][:1] for answer in answers] == ["{", "<", "{", "{"]


def test_the_go_ahead_is_given_to_who_waits_for_it(site):
    pieces = a_request("Content-Length: 3\r\nExpect: 100-continue\r\n", method="POST"), "a=1"
    answers = say(site, *pieces)

    assert [answer[0] for answer in answers] == ["HTTP/1.1 100 Continue", "HTTP/1.1 400 Bad Request"]


def test_who_is_being_answered_gives_no_way_though_something_came_before(tmp_path, sqlite):
    """Of two sent ahead the first is answered, and the second is being: two newcomers want the other place."""
    is_asked, may_answer = threading.Event(), threading.Event()

    def health():
        is_asked.set()
        assert may_answer.wait(300)
        return True, {"status": "late"}

    with (
        start_site(make_cloud(tmp_path, sqlite), Limits(), Room(2, 2), health) as site,
        closing(socket.create_connection(site.address, timeout=300)) as sent,
        sent.makefile("rb") as received,
    ):
        last = "GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
        sent.sendall((a_request(close=False) + last).encode())
        answers = _answers(received)
        next(answers)
        assert is_asked.wait(300)
        with closing(socket.create_connection(site.address)) as one, closing(socket.create_connection(site.address)):
            one.settimeout(300)
            assert one.recv(1) == b"", "the silent one gives way"
        may_answer.set()

        assert "late" in next(answers)[2]
