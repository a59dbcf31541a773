"""Whoever is answered before it has sent everything hears the answer, and is not read for ever."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from http.client import HTTPConnection

import pytest

from kiln.wire.http import bounds
from kiln.wire.http.bounds import Room
from kiln.wire.http.lingering import Linger
from kiln.wire.paths.events import Limits
from tests.clouds import make_cloud
from tests.wire.paths.site import start_site

MUCH = b"a" * 20_000_000


@pytest.fixture
def site(tmp_path, sqlite):
    with start_site(make_cloud(tmp_path, sqlite), Limits(), Room(64, 32)) as served:
        yield served


@pytest.mark.parametrize("chunked", [False, True], ids=["told", "chunked"])
@pytest.mark.parametrize("connection", ["keep-alive", "close"])
@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("POST", "/?Action=DescribeImages", 413),
        ("POST", "/healthz", 405),
        ("PUT", "http://others.example.com/a", 403),
    ],
)
def test_is_told_once_why(site, method, target, status, connection, chunked):  # noqa: PLR0917 - a table.
    client = HTTPConnection(*site.address, timeout=300)
    body = iter([MUCH[:1_000_000]] * 20) if chunked else MUCH
    client.request(method, target, body, {"Connection": connection}, encode_chunked=chunked)
    with client.sock.dup() as stream:
        response = client.getresponse()

        assert response.status == status
        assert response.headers["connection"] == "close"
        response.read()
        assert stream.recv(1000) == b""
    client.close()


def test_gives_its_place_to_whoever_asks(tmp_path, sqlite):
    with start_site(make_cloud(tmp_path, sqlite), Limits(), Room(2, 2)) as site, ExitStack() as opened:
        for _ in range(2):
            stream = opened.enter_context(socket.create_connection(site.address, timeout=300))
            stream.sendall(b"POST /healthz HTTP/1.1\r\nHost: h\r\nContent-Length: 50000000\r\n\r\n")
            assert stream.recv(1000).startswith(b"HTTP/1.1 405 ")

        assert site.ask("GET", "/healthz").status == 200
        assert site.crowd.counts["gave_way"] == 1


def test_ends_where_nothing_comes_or_too_little():
    linger = Linger(0.0)
    linger.take(1000, 1.0)
    assert not linger.is_over(1.0 + bounds.LINGER_PAUSE_S)
    assert linger.is_over(1.1 + bounds.LINGER_PAUSE_S)
    linger.take(1000, bounds.LINGER_S + 1.0)
    assert linger.is_over(bounds.LINGER_S + 1.0)
    linger.take(2 * bounds.LINGER_LEAST, bounds.LINGER_S + 1.0)
    assert not linger.is_over(bounds.LINGER_S + 1.0)


def test_rests_now_and_then_for_others_sake():
    linger = Linger(0.0)

    rests = [linger.take(bounds.LINGER_PIECE // 4, 0.0) for _ in range(10)]

    assert rests == ([False] * 4 + [True]) * 2


def test_ends_with_more_than_any_request_has():
    linger = Linger(0.0)
    linger.take(bounds.LINGER, 0.0)
    assert not linger.is_over(0.0)
    linger.take(1, 0.0)
    assert linger.is_over(0.0)
