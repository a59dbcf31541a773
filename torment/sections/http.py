"""Hostile connections against a served Kiln: a healthy client is answered beside each of them.

Every try opens some connections that do what a broken or hostile client does
before anybody has signed anything, and then has a healthy client ask.
"""

from __future__ import annotations

import contextlib
import http.client
import random
import socket
from collections.abc import Callable, Iterator, Mapping

from bench.server import Server, start_server
from kiln.client.client import ApiFailure
from torment.campaign import Outcome, Place, Verdict

_PATIENCE_S = 10.0
_LIVES_S = 300.0  #: Whether it answers at all is asked, on a machine that stands still now and then.
_MANY = 60
_CHUNK = 64 * 1024


def run(place: Place) -> Iterator[Outcome]:
    """See the module."""
    with (
        start_server(place.folder / "data", one_core=False, log=place.folder / "log") as server,
        contextlib.closing(server.client()) as client,
    ):
        for number in range(place.tries):
            name = list(_ATTACKS)[number % len(_ATTACKS)]
            with contextlib.ExitStack() as held:
                try:
                    _ATTACKS[name](server, held, place.chance)
                except OSError as refused:  # It was sent away, which is what may be done with it.
                    seen = str(refused)
                else:
                    seen = ""
                try:
                    client.call("DescribeRegions")
                    outcome = Outcome(name)
                except (ApiFailure, OSError) as error:
                    outcome = Outcome(name, Verdict.FAILED, f"a healthy client saw {error!r} {seen}")
            yield outcome
            if not _lives(server):
                yield Outcome(name, Verdict.FAILED, "it does not answer any more")
                return


def _lives(server: Server) -> bool:
    address = server.endpoint.removeprefix("http://")
    connection = http.client.HTTPConnection(address, timeout=_LIVES_S)
    with contextlib.closing(connection), contextlib.suppress(OSError):
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.client.OK
    return False


def _connect(server: Server, held: contextlib.ExitStack) -> socket.socket:
    host, _, port = server.endpoint.removeprefix("http://").rpartition(":")
    connection = socket.create_connection((host, int(port)), timeout=_PATIENCE_S)
    held.callback(connection.close)
    return connection


def _silent(server: Server, held: contextlib.ExitStack, _: random.Random) -> None:
    for _n in range(_MANY):
        _connect(server, held)


def _half_a_head(server: Server, held: contextlib.ExitStack, chance: random.Random) -> None:
    whole = b"POST /?Action=DescribeRegions HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabc"
    for _ in range(_MANY):
        _connect(server, held).sendall(whole[: chance.randrange(1, len(whole))])


def _long_header(server: Server, held: contextlib.ExitStack, _: random.Random) -> None:
    _pour(_connect(server, held), b"GET / HTTP/1.1\r\nX: ", b"x" * _CHUNK, 512)


def _many_headers(server: Server, held: contextlib.ExitStack, _: random.Random) -> None:
    _pour(_connect(server, held), b"GET / HTTP/1.1\r\n", b"a: b\r\n" * 10_000, 100)


def _long_line(server: Server, held: contextlib.ExitStack, _: random.Random) -> None:
    _pour(_connect(server, held), b"GET /", b"y" * _CHUNK, 512)


def _long_body(server: Server, held: contextlib.ExitStack, _: random.Random) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    _pour(_connect(server, held), head, b"%x\r\n%s\r\n" % (_CHUNK, b"z" * _CHUNK), 256)


def _tiny_chunks(server: Server, held: contextlib.ExitStack, _: random.Random) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    _pour(_connect(server, held), head, b"1\r\nz\r\n" * 10_000, 20)


def _unread(server: Server, held: contextlib.ExitStack, _: random.Random) -> None:
    _pour(_connect(server, held), b"", b"GET /?Action=DescribeRegions HTTP/1.1\r\nHost: x\r\n\r\n" * 200, 200)


def _noise(server: Server, held: contextlib.ExitStack, chance: random.Random) -> None:
    for _ in range(_MANY):
        _connect(server, held).sendall(chance.randbytes(chance.randrange(1, 4000)))


def _odd_lines(server: Server, held: contextlib.ExitStack, chance: random.Random) -> None:
    targets = [
        b"*",
        b"//",
        b"/%2f",
        b"http://x/",
        b"/..",
        b"/\xff",
        b"",
        b"/?%00",
        b"/?a=%ff",
        b"/apsara/route/Ecs/",
        b"/asapi/v3/x",
    ]
    methods = [b"GET", b"POST", b"OPTIONS", b"HEAD", b"PUT", b"CONNECT", b"TRACE", b"X" * 30]
    for _ in range(_MANY):
        connection = _connect(server, held)
        line = b"%s %s HTTP/%s\r\n" % (
            chance.choice(methods),
            chance.choice(targets),
            chance.choice([b"1.1", b"1.0", b"9.9"]),
        )
        connection.sendall(line + b"Host: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        answer = connection.recv(200)
        if b" 500 " in answer.partition(b"\r\n")[0]:
            raise AssertionError(f"{line!r} was answered {answer!r}")


def _half_handshakes(server: Server, held: contextlib.ExitStack, _: random.Random) -> None:
    for _n in range(_MANY):
        _connect(server, held).sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")


def _endless_handshake(server: Server, held: contextlib.ExitStack, _: random.Random) -> None:
    _pour(_connect(server, held), b"", b"\x16\x03\x01\x00\x01\x01" * 1000, 100)


def _tunnels(server: Server, held: contextlib.ExitStack, chance: random.Random) -> None:
    """Each is asked for, and then nothing comes, or what is no TLS."""
    for _ in range(_MANY):
        connection = _connect(server, held)
        name = chance.choice([b"ecs.aliyuncs.com", b"%x.aliyuncs.com" % chance.randrange(1 << 32), b"example.com"])
        connection.sendall(
            b"CONNECT %s:443 HTTP/1.1\r\nHost: x\r\n\r\n" % name + chance.randbytes(chance.randrange(50))
        )


def _pour(connection: socket.socket, head: bytes, part: bytes, times: int) -> None:
    """Send until it is all sent, or the other side takes no more of it for a moment."""
    connection.settimeout(1.0)
    with contextlib.suppress(TimeoutError):
        connection.sendall(head)
        for _ in range(times):
            connection.sendall(part)


_ATTACKS: Mapping[str, Callable[[Server, contextlib.ExitStack, random.Random], None]] = {
    "silent connections": _silent,
    "half a head": _half_a_head,
    "one long header": _long_header,
    "many headers": _many_headers,
    "a long request line": _long_line,
    "a long body": _long_body,
    "tiny chunks": _tiny_chunks,
    "answers that nobody reads": _unread,
    "noise": _noise,
    "odd request lines": _odd_lines,
    "half handshakes": _half_handshakes,
    "a handshake without end": _endless_handshake,
    "tunnels": _tunnels,
}
