"""Connections that are passed on: whole, in both directions, to the end, and without harm to the loop."""

from __future__ import annotations

import socket
import struct
import threading

import pytest

from kiln.networks.polling import Poll
from kiln.networks.relays import Relay


def joined():
    """Two ends of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        other, _ = server.accept()
    return one, other


@pytest.fixture
def relay():
    """A loop, the far ends of a relay in it, and those that have ended."""
    ended = []
    (client, came), (guest, gone) = joined(), joined()
    with Poll() as poll:
        made = Relay(poll, came, gone, ended.append)
        yield poll, client, guest, ended
        if not ended:
            made.close()
    client.close()
    guest.close()


def turn_until(poll, is_so):
    for _ in range(10_000):
        if is_so():
            return
        poll.turn(0.1)
    raise AssertionError


def test_what_each_says_comes_to_the_other_and_the_end_of_it_too(relay):
    poll, client, guest, ended = relay
    said, heard = bytes(range(256)) * 20_000, bytearray()

    def say():
        client.sendall(said)
        client.shutdown(socket.SHUT_WR)

    def hear():
        while more := guest.recv(65536):
            heard.extend(more)
        guest.sendall(b"thanks")
        guest.close()

    threads = [threading.Thread(target=one) for one in (say, hear)]
    for one in threads:
        one.start()
    turn_until(poll, lambda: ended)
    for one in threads:
        one.join()

    assert bytes(heard) == said
    assert client.recv(100) == b"thanks"
    assert client.recv(100) == b""


def test_both_ends_may_break_in_one_turn(relay):
    poll, client, guest, ended = relay
    client.sendall(b"x")
    turn_until(poll, lambda: readable(guest))
    for end in (client, guest):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end.close()

    turn_until(poll, lambda: ended)
    assert len(poll.get_map()) == 0


def readable(end):
    try:
        return end.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK)
    except BlockingIOError:
        return b""
