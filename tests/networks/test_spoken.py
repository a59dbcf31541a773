"""What Kiln and a keeper say to each other, and what is no such thing."""

from __future__ import annotations

import os
import socket
import struct
from contextlib import suppress
from pathlib import Path

import pytest

from kiln.networks import spoken


def times_open(path: Path) -> int:
    """How many descriptors of this process are of that file."""
    count = 0
    for one in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # One that somebody else had.
            count += one.readlink() == path
    return count


def test_is_heard_with_its_descriptors():
    one, other = socket.socketpair()
    with one, other:
        with Path(os.devnull).open("rb") as file:
            spoken.say(one, {"give": ["a"], "counts": [1]}, [file.fileno()])
        said, (descriptor,) = spoken.hear(other)
        os.close(descriptor)

    assert said == {"give": ["a"], "counts": [1]}


@pytest.mark.parametrize("body", [b"[]", b'{"a": 1, "a": 2}', b'{"a": NaN}', b"\xff", b"{" * 5000])
def test_refuses_what_is_no_message_and_keeps_none_of_its_descriptors(body, tmp_path):
    one, other = socket.socketpair()
    with one, other:
        with (tmp_path / "given").open("wb") as file:
            socket.send_fds(one, [struct.pack("!I", len(body))], [file.fileno()])
        one.sendall(body)

        with pytest.raises(ValueError):  # noqa: PT011 - whatever it says: JSON has words of its own.
            spoken.hear(other)

        assert times_open(tmp_path / "given") == 0
