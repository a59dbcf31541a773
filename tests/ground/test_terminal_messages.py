from __future__ import annotations

import pytest

from kiln.ground.terminal_messages import Malformed, Message, Type, pack, unpack

#: As ali-instance-cli writes what was typed first, at 2026-11-23T06:07:05.123Z: "ls".
TYPED = bytes.fromhex("00000000312e30310000a3e6e3ac9d0100000000000000000000020000006c73")


def test_is_what_the_official_client_writes():
    assert pack(Type.INPUT, b"ls", 0, 0x19DACE3E6A3) == TYPED
    assert unpack(TYPED) == Message(Type.INPUT, b"ls")


def test_reads_messages_that_name_their_session_and_instance():
    named = TYPED[:8] + b"\4ts-1" + b"\3i-1" + TYPED[10:]

    assert unpack(named) == Message(Type.INPUT, b"ls")


@pytest.mark.parametrize("length", range(len(TYPED)))
def test_refuses_a_part_of_one(length):
    with pytest.raises(Malformed):
        unpack(TYPED[:length])


def test_refuses_more_than_one():
    with pytest.raises(Malformed, match="says 2 bytes and has 3"):
        unpack(TYPED + b"x")
