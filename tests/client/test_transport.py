"""The transport, and the client's tries, against a server that can be told to fail."""

from __future__ import annotations

import socket

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
    kept = transport._idle[0].sock
    kept.shutdown(socket.SHUT_RD)  # Makes it readable, as the other side's close does.

    reply = transport.post({}, b"")

    assert reply.status == 200
    assert stage.peers[0] != stage.peers[1]
    transport.close()


def test_raises_the_services_error_with_advice(stage):
    stage.script = [(404, {"Code": "InvalidRegionId.NotFound", "Message": "No.", "RequestId": "R-1"})]
    client = stage.client()

    with pytest.raises(ApiFailure) as raised:
        client.call("CreateImage")

    failure = raised.value
    assert (failure.code, failure.message, failure.status) == ("InvalidRegionId.NotFound", "No.", 404)
    assert failure.request_id == "R-1"
    assert "DescribeRegions" in failure.hint


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


@pytest.mark.parametrize("endpoint", ["ftp://127.0.0.1", "http://", "http://127.0.0.1:port", "http://127.0.0.1/path"])
def test_refuses_an_endpoint_that_is_no_address(endpoint):
    with pytest.raises(EndpointRefused):
        Transport(endpoint)


def test_takes_an_endpoint_without_a_scheme():
    assert Transport("127.0.0.1:8787").endpoint == "http://127.0.0.1:8787"
