from __future__ import annotations

import pytest

from kiln.cli import console

LONG = b"".join(b"line %d\n" % n for n in range(20_000))
KEPT = 64 * 1024


@pytest.mark.parametrize(
    ("seen", "printed", "new"),
    [
        (b"", b"boot", b"boot"),
        (b"boot", b"boot\nlogin:", b"\nlogin:"),
        (b"boot", b"boot", b""),
        (LONG[:KEPT], LONG[1000 : KEPT + 1000], LONG[KEPT : KEPT + 1000]),
        (b"before the restart", b"after it", b"after it"),
    ],
)
def test_finds_what_is_new(seen, printed, new):
    assert console.new_part(seen, printed) == new


def test_lets_no_guest_command_the_terminal(capsysbinary):
    console.write(b"a\x1b]0;title\x07\r\n\tb", raw=False)

    assert capsysbinary.readouterr().out == "a\ufffd]0;title\ufffd\n    b".encode()


def test_shows_a_guest_as_it_is_when_asked_to(capsysbinary):
    console.write(b"a\x1b[31mred", raw=True)

    assert capsysbinary.readouterr().out == b"a\x1b[31mred"
