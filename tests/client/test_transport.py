"""The transport, and the client's tries, against a server that can be told to fail."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from threading import Thread

import pytest

from kiln.client.client import AnswerBroken, ApiFailure
from kiln.client.transport import EndpointRefused, Transport, Unreachable
from tests.client.stage import CLOSE


def test_answers_what_the_service_answers(stage):
    stage.script = [(200, {"ImageId": "m-1", "RequestId": "R"})]
    client = stage.client()

    answer = client.call("CreateImage", SnapshotId="s-1", ImageName="web")

    assert answer == {"ImageId": "m-1", "RequestId": "R"}
    assert "SnapshotId=s-1" in stage.bodies[0]
    assert "RegionId=cn-qingdao-env17-d01" in stage.bodies[0]


def test_uses_a_connection_again(stage):
    stage.script = [(200, {}), (200, {})]
    client = stage.client()

    client.call("CreateImage")
    client.call("CreateImage")

    assert stage.peers[0] == stage.peers[1]


def test_does_not_use_a_connection_that_the_other_side_closed(stage):
    stage.script = [(200, {}), (200, {})]
    transport = Transport(stage.address)
    transport.post({}, b"")
    kept = transport._idle[0]
    kept.shutdown(socket.SHUT_RD)  # Makes it readable, as the other side's close does.

    reply = transport.post({}, b"")

    assert reply.status == 200
    assert stage.peers[0] != stage.peers[1]
    transport.close()


def test_tells_why_no_more_was_taken():
    """It was told that the connection broke, by a service that had said that its disk is full."""
    said = b"HTTP/1.1 507 Insufficient Storage\r\ncontent-length: 4\r\n\r\nfull"
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse():
            connection, _ = listener.accept()
            connection.recv(1000)
            connection.sendall(said)
            connection.close()  # With bytes unread, which is a reset.

        refusing = Thread(target=refuse)
        refusing.start()
        transport = Transport(f"http://127.0.0.1:{listener.getsockname()[1]}")

        reply = transport.send("PUT", "/b/o", {}, bytes(40_000_000))

        refusing.join()
    assert (reply.status, reply.body) == (507, b"full")
    assert not transport._idle


def test_raises_the_services_error_with_advice(stage):
    stage.script = [(404, {"Code": "InvalidRegionId.NotFound", "Message": "No.", "RequestId": "R-1"})]
    client = stage.client()

    with pytest.raises(ApiFailure) as raised:
        client.call("CreateImage")

    failure = raised.value
    assert (failure.code, failure.message, failure.status) == ("InvalidRegionId.NotFound", "No.", 404)
    assert failure.request_id == "R-1"
    assert "`kiln region list`" in failure.hint


def test_tries_a_failure_of_the_service_again_under_one_token(stage):
    stage.script = [(503, {"Code": "ServiceUnavailable"}), CLOSE, (200, {"ImageId": "m-1"})]
    client = stage.client()

    answer = client.call("CreateImage")

    tokens = {request["ClientToken"] for request in stage.asked()}
    assert answer == {"ImageId": "m-1"}
    assert len(tokens) == 1


def test_does_not_try_a_refusal_again(stage):
    stage.script = [(400, {"Code": "InvalidImageName.Malformed"}), (200, {})]
    client = stage.client()

    with pytest.raises(ApiFailure):
        client.call("CreateImage")

    assert len(stage.bodies) == 1


def test_says_when_something_else_answers(stage):
    stage.script = [(200, b"<html>")]
    client = stage.client()

    with pytest.raises(AnswerBroken, match="no JSON object"):
        client.call("CreateImage")


def test_says_when_nothing_answers():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    with pytest.raises(Unreachable, match="nothing answers at") as raised:
        Transport(f"http://127.0.0.1:{port}").post({}, b"")

    assert not raised.value.was_sent


@pytest.mark.parametrize(
    "endpoint", ["ftp://127.0.0.1", "http://", "http://127.0.0.1:port", "http://127.0.0.1/path", "http://窯:9"]
)
def test_refuses_an_endpoint_that_is_no_address(endpoint):
    with pytest.raises(EndpointRefused):
        Transport(endpoint)


def test_takes_an_endpoint_without_a_scheme():
    assert Transport("127.0.0.1:8787").endpoint == "http://127.0.0.1:8787"


@contextmanager
def saying(*answers: bytes, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """The address of what gives these bytes, one piece for each connection, and closes it."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for answer in answers:
            connection, _ = listening.accept()
            with context.wrap_socket(connection, server_side=True) if context else connection as it:
                it.recv(65536)
                it.sendall(answer)

    thread = Thread(target=serve)
    thread.start()
    try:
        yield f"127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.close()
        thread.join()


def post(address: str):
    with closing(Transport(address)) as transport:
        return transport.post({"host": "kiln"}, b"A=1")


WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


@pytest.mark.parametrize(
    "said",
    [
        WHOLE,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n{}",
        b"HTTP/1.1 100 Continue\r\n\r\n" + WHOLE,
    ],
    ids=["length", "chunks", "until closed", "after another"],
)
def test_reads_every_manner_of_answer(said):
    with saying(said) as address:
        reply = post(address)

    assert reply == (200, b"{}")


@pytest.mark.parametrize(
    "said",
    [b"", b"HTTP/1.1 200", WHOLE[:-1], b"HTTP/1.1 100 Continue\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n"],
    ids=["nothing", "no head", "no end", "only another", "not HTTP"],
)
def test_says_that_an_answer_broke(said):
    with saying(said) as address, pytest.raises(Unreachable, match="broke") as raised:
        post(address)

    assert raised.value.was_sent


def test_does_not_keep_a_connection_that_is_said_to_be_the_last():
    said = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}"

    with saying(said) as address, closing(Transport(address)) as transport:
        transport.post({}, b"")

        assert not transport._idle


def test_puts_nothing_into_a_header_that_would_be_two():
    with pytest.raises(ValueError, match="cannot hold"):
        Transport("127.0.0.1:9").post({"authorization": "id\r\nhost: elsewhere"}, b"")


def test_speaks_tls(own_authority):
    with saying(WHOLE, context=own_authority) as address:
        reply = post(f"https://{address}")

    assert reply == (200, b"{}")


def test_trusts_no_certificate_of_somebody_unknown(own_authority, monkeypatch, tmp_path):
    (tmp_path / "none.pem").touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = Thread(target=lambda: _fails_to_wrap(listening, own_authority))
        thread.start()
        with pytest.raises(Unreachable, match="nothing answers at"):
            post(f"https://127.0.0.1:{listening.getsockname()[1]}")
        thread.join()


def _fails_to_wrap(listening: socket.socket, context: ssl.SSLContext) -> None:
    connection, _ = listening.accept()
    with connection, pytest.raises(OSError):  # noqa: PT011 - it is the other side's to say why.
        context.wrap_socket(connection, server_side=True)
