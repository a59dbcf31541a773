"""What somebody without a key can do to a server over HTTP, each in a process of its own until it is ended."""

from __future__ import annotations

import multiprocessing
import os
import resource
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

Address = tuple[str, int]

_HOST = b"Host: h\r\n"
_PAUSE_S = 0.01


@contextmanager
def attacked(attack: Callable[[Address], None], address: Address, after_s: float) -> Iterator[None]:
    """Have *attack* go on within the context, which begins *after_s* later."""
    process = multiprocessing.get_context("fork").Process(target=_attack, args=(attack, address), daemon=True)
    process.start()
    try:
        time.sleep(after_s)
        yield
    finally:
        process.kill()
        process.join()


def _attack(attack: Callable[[Address], None], address: Address) -> None:
    # The client that is measured has the same core, and what is asked is what the server makes of this.
    os.nice(19)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    while True:
        with suppress(OSError):
            attack(address)


def _silent(address: Address) -> None:
    """1,400 connections that say nothing, made again when they are closed."""
    _keep(address, 1400, b"")


def _half(address: Address) -> None:
    """600 halves of a request."""
    _keep(address, 600, b"POST / HTTP/1.1\r\n" + _HOST + b"Content-Length: 1000\r\n\r\nhalf")


def _keep(address: Address, count: int, raw: bytes) -> None:
    streams: list[socket.socket] = []
    try:
        while True:
            with suppress(OSError):
                while len(streams) < count:
                    streams.append(socket.create_connection(address, timeout=5))
                    streams[-1].sendall(raw)
            time.sleep(_PAUSE_S)
            streams = [stream for stream in streams if not _is_closed(stream)]
    finally:
        for stream in streams:
            stream.close()


def _is_closed(stream: socket.socket) -> bool:
    try:
        is_over = stream.recv(4096, socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        is_over = True
    if is_over:
        stream.close()
    return is_over


def _header(address: Address) -> None:
    """One header of 32 MiB after another."""
    with socket.create_connection(address, timeout=5) as stream:
        stream.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * 32 * 1024 * 1024)


def _pipeline(address: Address) -> None:
    """Requests without end, of which no answer is read."""
    with socket.create_connection(address, timeout=5) as stream:
        while True:
            stream.sendall((b"GET /?Action=DescribeImages HTTP/1.1\r\n" + _HOST + b"\r\n") * 1000)


def _chunks(address: Address) -> None:
    """A body in pieces of one byte."""
    with socket.create_connection(address, timeout=5) as stream:
        stream.sendall(b"POST / HTTP/1.1\r\n" + _HOST + b"Transfer-Encoding: chunked\r\n\r\n")
        while True:
            stream.sendall(b"1\r\nx\r\n" * 1000)


def _trailers(address: Address) -> None:
    """A body that has come, and trailers without end."""
    with socket.create_connection(address, timeout=5) as stream:
        stream.sendall(b"POST / HTTP/1.1\r\n" + _HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n")
        while True:
            stream.sendall(b"X: x\r\n" * 1000)


def _parameters(address: Address) -> None:
    """Forms of 100,000 parameters."""
    _send_whole(
        address, b"application/x-www-form-urlencoded", b"&".join(b"A.%d=" % n for n in range(100_000))[:1_000_000]
    )


def _escapes(address: Address) -> None:
    """Forms that are nothing but escapes."""
    _send_whole(address, b"application/x-www-form-urlencoded", b"A=" + b"%E4%BD%A0" * 100_000)


def _brackets(address: Address) -> None:
    """JSON that is nothing but lists, within each other and one after the other."""
    _send_whole(address, b"application/json", b"[" * 400_000)
    _send_whole(address, b"application/json", b'{"A":[' + b"[]," * 300_000 + b"[]]}")


def _send_whole(address: Address, kind: bytes, body: bytes) -> None:
    head = b"POST /?Action=DescribeImages&AccessKeyId=a&Signature=b HTTP/1.1\r\nConnection: close\r\n" + _HOST
    with socket.create_connection(address, timeout=5) as stream:
        stream.sendall(head + b"Content-Type: %s\r\nContent-Length: %d\r\n\r\n" % (kind, len(body)) + body)
        while stream.recv(4096):
            pass


ATTACKS: Mapping[str, Callable[[Address], None]] = {
    "1,400 silent connections": _silent,
    "600 half requests": _half,
    "headers of 32 MiB": _header,
    "requests whose answers nobody reads": _pipeline,
    "bodies in pieces of a byte": _chunks,
    "trailers without end": _trailers,
    "forms of 100,000 parameters": _parameters,
    "forms of nothing but escapes": _escapes,
    "JSON that is nothing but lists": _brackets,
}
