from __future__ import annotations

import socket

import pytest

from kiln.service import http


@pytest.fixture
def listener():
    """A socket, bound by the test."""
    with socket.socket() as made:
        yield made


def test_tells_the_port_that_was_free(listener):
    listener.bind(("127.0.0.1", 0))

    assert http.reach(listener) == http.bound(listener) == f"127.0.0.1:{listener.getsockname()[1]}"


def test_tells_an_address_of_this_host_where_it_listens_on_all(listener):
    listener.bind(("0.0.0.0", 0))

    host, port = http.reach(listener).rsplit(":", 1)

    assert host != "0.0.0.0"
    assert int(port) == listener.getsockname()[1]
    listener.listen()
    with socket.create_connection((host, int(port)), timeout=300):
        pass


def test_writes_an_address_of_ipv6_in_brackets():
    assert http._joined("::1", 8787) == "[::1]:8787"
