"""Questions for metadata over their connections: bounded, apart from each other, and answered whatever they say."""

from __future__ import annotations

import contextlib
import threading

import pytest

from kiln.networks.answering import Answering
from kiln.networks.memory import MemoryNetworks
from kiln.networks.metadata import tree_of
from tests.networks.places import interface, place
from tests.networks.test_metadata import NOW, TOKENS, described

INTERFACES = {one.id: one for one in (interface(1), interface(2))}
PLACE = place(*INTERFACES.values())
HOSTNAME = b"GET /latest/meta-data/hostname HTTP/1.1\r\nHost: x\r\n\r\n"


def find(vpc, name):
    if name == "eni-2":
        return None
    told = described(host_name=f"{vpc}-{name}")
    return told, tree_of(told, PLACE, INTERFACES[name])


@pytest.fixture
def networks(tmp_path):
    made = MemoryNetworks(tmp_path)
    made.hold(PLACE)
    stop = threading.Event()
    thread = threading.Thread(target=Answering(made, find, TOKENS, lambda: NOW).run, args=(stop,))
    thread.start()
    try:
        yield made
    finally:
        stop.set()
        thread.join()


def ask(networks, said, name="eni-1"):
    with networks.asks("vpc-1", name) as asker:
        asker.settimeout(300)
        asker.sendall(said)
        with contextlib.suppress(ConnectionResetError):
            return b"".join(iter(lambda: asker.recv(4096), b""))
    return b""


def test_is_answered_by_the_way_it_came(networks):
    head, _, body = ask(networks, HOSTNAME).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert body == b"vpc-1-eni-1"


def test_is_told_the_length_alone_when_that_is_asked(networks):
    head, _, body = ask(networks, HOSTNAME.replace(b"GET", b"HEAD")).partition(b"\r\n\r\n")

    assert b"Content-Length: 11" in head
    assert body == b""


def test_whose_instance_is_gone_is_told_nothing(networks):
    assert ask(networks, HOSTNAME, "eni-2").startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize(
    "said",
    [b"\r\n\r\n", b"GET /\r\n\r\n", b"GET / HTTP/2\r\n\r\n", b"GET / HTTP/1.1\r\nno-colon\r\n\r\n",
     b"GET / HTTP/1.1\r\nA: 1\r\na: 2\r\n\r\n", b"GET / HTTP/1.1\r\n A: 1\r\n\r\n", b"\xff\xfe / x\r\n\r\n",
     b"GET  / HTTP/1.1\r\n\r\n", b"x" * 20_000],
    ids=range(9),
)  # fmt: skip
def test_what_is_no_request_is_refused_and_the_next_is_answered(networks, said):
    assert ask(networks, said)[:12] in (b"HTTP/1.1 400", b"")
    assert b"200 OK" in ask(networks, HOSTNAME)


def test_who_says_nothing_takes_no_others_turn(networks):
    # More than are answered at a time in all.
    silent = [networks.asks("vpc-1", "eni-2") for _ in range(80)]
    try:
        assert b"200 OK" in ask(networks, HOSTNAME)
    finally:
        for one in silent:
            one.close()
