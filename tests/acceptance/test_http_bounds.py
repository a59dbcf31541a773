"""What is refused before anybody is known, and that others are answered meanwhile."""

from __future__ import annotations

import json
import resource
import socket
import time
import uuid
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from urllib.parse import urlencode

import pytest

from kiln.ground.clock import to_seconds_text
from kiln.wire.signatures import rpc
from tests.acceptance.wire import connect, encode, signed
from tests.waiting import wait_for

pytestmark = pytest.mark.sdk

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
NOBODY = {"Action": "DescribeImages", "ImageId": "m-nobody"}
HOST = b"Host: h\r\n"


def counts(kiln) -> dict[str, int]:
    """What the service tells of its connections and refusals."""
    with connect(kiln) as connection:
        return connection.request("GET /healthz", {}).members["http"]


def is_answered(kiln) -> bool:
    """Whether somebody who asks as he should gets an answer."""
    with connect(kiln) as connection:
        return connection.request(f"POST /?{encode(signed(kiln, 'POST', NOBODY))}", {}).status == 200


def refusal_of(kiln, *pieces: bytes) -> bytes:
    """The status line of the answer to *pieces*, after which nothing more comes; empty where none came."""
    with socket.create_connection(kiln.address, timeout=300) as stream:
        with suppress(ConnectionError):
            for piece in pieces:
                stream.sendall(piece)
        with suppress(ConnectionError), stream.makefile("rb") as file:
            status = file.readline()
            while file.read(65536):
                pass
            return status.strip()
    return b""


@pytest.mark.parametrize(
    ("pieces", "status", "reason"),
    [
        ([b"GET /?" + b"a" * 140_000 + b" HTTP/1.1\r\n\r\n"], b"414 Request-URI Too Long", "line_too_long"),
        ([b"G" * 300_000], b"400 Bad Request", "bad_request"),
        ([b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n"], b"431 ", "headers_too_large"),
        ([b"GET / HTTP/1.1\r\n" + HOST + b"X: x\r\n" * 101 + b"\r\n"], b"431 ", "headers_too_large"),
        ([b"GET / HTTP/1.1\r\nX: ", *[b"x" * 1024 * 1024] * 32], b"431 ", "headers_too_large"),
        ([b"GET / HTTP/1.1\r\n" + b"X" * 300_000], b"431 ", "headers_too_large"),
        (
            [b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n", b"1;" + b"x" * 3 * 1024 * 1024],
            b"413 ",
            "body_too_large",
        ),
        (
            [b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 600_000],
            b"413 ",
            "body_in_crumbs",
        ),
        (
            [b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: ", b"x" * 300_000],
            b"431 ",
            "headers_too_large",
        ),
    ],
    ids=["line", "method", "header", "count", "32-mib", "name", "extension", "chunks", "trailer"],
)
def test_what_is_too_much_is_refused_and_counted(kiln, pieces, status, reason):
    before = counts(kiln).get(reason, 0)

    told = refusal_of(kiln, *pieces)

    assert told.startswith(b"HTTP/1.1 " + status[:3])
    assert counts(kiln)[reason] == before + 1
    assert is_answered(kiln)


def test_a_body_that_says_it_is_too_long_is_refused_before_it_comes(kiln):
    with connect(kiln) as connection:
        connection.send(b"POST / HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 99999999999\r\n\r\n")
        reply = connection.reply()

    assert reply.status == 413
    assert b"RequestTooLarge" in reply.body


def test_who_never_asks_gives_way_to_who_does(kiln):
    """More connections than a peer may have, all silent, from where the client comes too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else 65536, hard))
    try:
        with ExitStack() as stack:
            for _ in range(1400):
                stack.enter_context(closing(socket.create_connection(kiln.address, timeout=300)))
            assert all(is_answered(kiln) for _ in range(20))
            told = counts(kiln)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert told["gave_way"] > 0
    assert told["connections"] <= 1100


def test_who_asks_and_does_not_read_keeps_nobody_waiting_and_takes_little_memory(kiln):
    before = resident(kiln)
    many = (b"GET /?Action=DescribeImages&Format=JSON HTTP/1.1\r\n" + HOST + b"\r\n") * 100_000

    with socket.create_connection(kiln.address, timeout=1) as stream:
        with suppress(TimeoutError):
            stream.sendall(many)
        assert all(is_answered(kiln) for _ in range(20))
        assert resident(kiln) - before < 64


def resident(kiln) -> float:
    """MiB that the service has in memory."""
    lines = Path(f"/proc/{kiln.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def test_pipelined_requests_are_answered_in_order(kiln):
    with connect(kiln) as connection:
        connection.send((b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\nGET /x HTTP/1.1\r\n" + HOST + b"\r\n") * 50)
        statuses = [connection.reply().status for _ in range(100)]
        after = connection.request("GET /healthz", {}).status

    assert statuses == [200, 404] * 50
    assert after == 200


@pytest.mark.slow
def test_who_is_too_slow_is_let_go(kiln):
    """All at once, as each takes its time."""
    halves = {
        "silent": b"",
        "head": b"GET / HTTP/1.1\r\nHost: h",
        "body": b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf",
    }
    with ExitStack() as stack:
        streams = {name: stack.enter_context(socket.create_connection(kiln.address, timeout=300)) for name in halves}
        drip = stack.enter_context(socket.create_connection(kiln.address, timeout=0.2))
        for name, raw in halves.items():
            streams[name].sendall(raw)
        drip.sendall(b"GET / HTTP/1.1\r\n")

        def is_let_go() -> bool:
            """Whether somebody who sends a header now and then has been told to stop."""
            with suppress(TimeoutError):
                return drip.recv(100).startswith(b"HTTP/1.1 408 ")
            drip.sendall(b"X: x\r\n")
            return False

        wait_for(is_let_go, within_s=300)
        told = {name: stream.recv(100)[:13] for name, stream in streams.items()}

    assert told == {"silent": b"", "head": b"HTTP/1.1 408 ", "body": b"HTTP/1.1 408 "}
    assert {"silent", "head_late", "body_late"} <= counts(kiln).keys()
    assert is_answered(kiln)


def test_what_comes_after_a_body_is_no_header(kiln):
    body = encode(signed(kiln, "POST", NOBODY)).encode()

    with connect(kiln) as connection:
        connection.send(b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nTrailer: x\r\n\r\n")
        connection.send(b"%x\r\n%s\r\n" % (len(body), body))
        connection.send(b"0\r\nx-ascm-sign-version: 1.0\r\nContent-Type: text/x\r\n\r\n")
        reply = connection.reply()

    assert reply.status == 200
    assert "asapiSuccess" not in reply.members


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("GET //", 400),
        ("GET //x/y", 404),
        ("POST //?Format=JSON", 400),
        ("GET /./", 404),
        ("GET /%2f", 404),
        ("GET /%zz", 404),
        ("GET /?", 400),
        ("GET ///////", 400),
        ("GET /#a", 404),
        ("GET http://ecs.aliyuncs.com", 400),
        ("GET HTTP://ecs.aliyuncs.com:80/?Format=JSON", 400),
        ("GET http://ecs.aliyuncs.com//", 400),
        ("OPTIONS *", 400),
        ("HEAD /", 400),
        ("HEAD //", 400),
        ("GET /healthz?x=y", 200),
        ("GET http://ecs.aliyuncs.com/healthz", 200),
        ("GET /healthz/", 404),
        ("TRACE /", 400),
        ("GET /apsara/route/../../healthz", 404),
    ],
)
def test_odd_targets_are_told_what_is_wrong(kiln, line, status):
    with connect(kiln) as connection:
        reply = connection.request(line, {})

        assert reply.status == status
        if status != 200 and not line.startswith("HEAD"):
            assert b"Code" in reply.body
        assert connection.request("GET /healthz", {}).status == 200


@pytest.mark.parametrize("target", ["http://h", "HTTP://h:1/?Format=JSON", "http://h//", "http://", "http://h/healthz"])
def test_targets_that_name_others_are_refused(kiln, target):
    with connect(kiln) as connection:
        reply = connection.request(f"GET {target}", {})

    assert reply.status == 403
    assert b"KILN_NAMES" in reply.body


def test_tells_its_refusals(kiln):
    with connect(kiln) as connection:
        told = json.loads(connection.request("GET /healthz", {}).body)

    assert told["http"]["connections"] >= 1


def test_tells_clients_the_address_that_it_listens_on(kiln):
    with connect(kiln) as connection:
        reply = connection.request(f"POST /?{encode(signed(kiln, 'POST', {'Action': 'DescribeRegions'}))}", {})

    assert {region["RegionEndpoint"] for region in reply.members["Regions"]["Region"]} == {kiln.host}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_endpoint_with_a_slash_at_its_end_is_the_same(kiln, method):
    signed = rpc.sign(
        {"Version": "2014-05-26", "Format": "JSON", "Action": "DescribeRegions"},
        method=method,
        key_id=kiln.access_key_id,
        secret=kiln.secret,
        timestamp=to_seconds_text(time.time()),
        nonce=uuid.uuid4().hex,
    )
    with connect(kiln) as connection:
        assert connection.request(f"{method} //?{urlencode(signed)}", {}).status == 200
