"""What real clients and the proxies before them do with HTTP itself (clients.md 2 and 3)."""

from __future__ import annotations

import pytest

from kiln.testing import DidNotStart
from tests.acceptance.wire import connect, encode, signed
from tests.warm import start_kiln

pytestmark = pytest.mark.sdk

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
NOBODY = {"Action": "DescribeImages", "ImageId": "m-nobody"}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("origin", ["", "http://ecs-cn-hangzhou.aliyuncs.com", "http://{host}"])
def test_takes_a_query(kiln, method, origin):
    with connect(kiln) as connection:
        target = f"{origin.format(host=kiln.host)}/?{encode(signed(kiln, method, NOBODY))}"
        reply = connection.request(f"{method} {target}", {})

    assert (reply.status, reply.members["TotalCount"]) == (200, 0)
    assert reply.headers["content-type"] == "application/json;charset=utf-8"
    assert reply.headers["x-acs-request-id"] == reply.members["RequestId"]


@pytest.mark.parametrize("wrap", ["{}", '"{}"'])
def test_takes_a_form(kiln, wrap):
    body = wrap.format(encode(signed(kiln, "POST", NOBODY)))

    with connect(kiln) as connection:
        reply = connection.request("POST /", FORM, body.encode())

    assert (reply.status, reply.members["TotalCount"]) == (200, 0)


def test_takes_a_form_and_a_query_together(kiln):
    whole = signed(kiln, "POST", NOBODY)
    query = {name: whole.pop(name) for name in ("Action", "Signature", "Timestamp")}

    with connect(kiln) as connection:
        reply = connection.request(f"POST /?{encode(query)}", FORM, encode(whole).encode())

    assert reply.status == 200


def test_takes_a_body_in_chunks(kiln):
    body = encode(signed(kiln, "POST", NOBODY)).encode()
    chunks = [body[:7], body[7:200], body[200:]]

    with connect(kiln) as connection:
        connection.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n")
        connection.send(b"Content-Type: application/x-www-form-urlencoded\r\n\r\n")
        for chunk in [*chunks, b""]:
            connection.send(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        reply = connection.reply()

    assert reply.status == 200


@pytest.mark.parametrize("raw", ["\"[]'(){}!*|\\^`<>,;:@$", "a/b?c"], ids=["marks", "path"])
def test_takes_characters_that_a_strict_address_has_not(kiln, raw):
    params = signed(kiln, "GET", NOBODY | {"ImageName": raw})

    with connect(kiln) as connection:
        reply = connection.request(f"GET /?{encode(params, safe=raw)}", {})

    assert (reply.status, reply.members["TotalCount"]) == (200, 0)


def test_takes_empty_and_unknown_parameters(kiln):
    params = signed(kiln, "POST", NOBODY | {"SignatureType": "", "SecurityToken": "", "Product": "Ecs", "Unknown": "1"})

    with connect(kiln) as connection:
        reply = connection.request(f"POST /?{encode(params)}", {"Content-Type": "application/json"})

    assert reply.status == 200


def test_is_a_tunnel_to_nobody_else(kiln):
    """Clients ask for one before each call, some of them for what is not Kiln's, and wait until they are refused."""
    with connect(kiln) as connection:
        connection.send(b"CONNECT checkpoint-api.hashicorp.com:443 HTTP/1.1\r\n")
        connection.send(b"Host: checkpoint-api.hashicorp.com:443\r\n\r\n")
        assert connection.reply().status == 403
        assert connection.is_closed()


@pytest.mark.parametrize("protocol", ["websocket", "h2c"])
def test_answers_as_if_nobody_had_asked_for_another_protocol(kiln, protocol):
    key = {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "HTTP2-Settings": "AAMAAABk"}

    with connect(kiln) as connection:
        line = f"GET /?{encode(signed(kiln, 'GET', NOBODY))}"
        reply = connection.request(line, {"Connection": "Upgrade", "Upgrade": protocol, **key})

    assert (reply.status, reply.members["TotalCount"]) == (200, 0)


@pytest.mark.parametrize("is_in_one_piece", [True, False])
@pytest.mark.parametrize("connection", ["Upgrade, HTTP2-Settings", "keep-alive, upgrade"])
def test_a_body_is_one_though_another_protocol_is_asked_for(kiln, connection, is_in_one_piece):
    """As Java's own client and curl ask. Taken for a request, a body would be answered apart."""
    bodies = [encode(signed(kiln, "POST", NOBODY)).encode() for _ in range(2)]
    hidden = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"
    head = (
        f"POST / HTTP/1.1\r\nHost: h\r\nContent-Type: {FORM['Content-Type']}\r\nUpgrade: h2c\r\n"
        f"HTTP2-Settings: AAMAAABk\r\nConnection: {connection}\r\nContent-Length: %d\r\n\r\n"
    ).encode()

    with connect(kiln) as open_connection:
        replies = []
        for one in (bodies[0], hidden, bodies[1]):
            pieces = [head % len(one), one]
            for piece in [b"".join(pieces)] if is_in_one_piece else pieces:
                open_connection.send(piece)
            replies.append(open_connection.reply())

    assert [reply.status for reply in replies] == [200, 400, 200]


def test_answers_what_follows_a_wish_for_another_protocol(kiln):
    with connect(kiln) as connection:
        wish = b"GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
        connection.send(wish + wish + b"GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n")
        replies = [connection.reply().status for _ in range(3)]

    assert replies[:2] == [200, 200]
    assert replies[2] >= 400


def test_answers_who_has_nothing_more_to_say(kiln):
    """Such a client closes its half of the connection."""
    body = encode(signed(kiln, "POST", NOBODY)).encode()

    with connect(kiln) as connection:
        connection.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n" % len(body))
        connection.send(b"Content-Type: application/x-www-form-urlencoded\r\n\r\n" + body)
        connection.end()
        reply = connection.reply()

        assert (reply.status, connection.is_closed()) == (200, True)


def test_asks_for_the_body_that_a_client_holds_back(kiln):
    body = encode(signed(kiln, "POST", NOBODY)).encode()

    with connect(kiln) as connection:
        connection.send(b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: %d\r\n" % len(body))
        connection.send(b"Content-Type: application/x-www-form-urlencoded\r\n\r\n")
        waited = connection.reply(has_body=False)
        connection.send(body)
        reply = connection.reply()

    assert (waited.status, reply.status) == (100, 200)


def test_serves_many_requests_on_one_connection(kiln):
    with connect(kiln) as connection:
        replies = [
            connection.request(f"POST /?{encode(signed(kiln, 'POST', NOBODY))}", {}),
            connection.request("POST /?Action=DescribeImages", {}),
            connection.request("POST /apsara/route/Ecs/CreateImage", FORM, b"a=b"),
            connection.request("GET /healthz", {}),
            connection.request(f"POST /?{encode(signed(kiln, 'POST', NOBODY))}", {}),
        ]

    assert [reply.status for reply in replies] == [200, 400, 400, 200, 200]


def test_a_connection_ends_when_its_client_says_so(kiln):
    with connect(kiln) as connection:
        reply = connection.request("GET /healthz", {"Connection": "close"})

        assert reply.status == 200
        assert connection.is_closed()


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_refuses_other_methods(kiln, method):
    with connect(kiln) as connection:
        reply = connection.request(f"{method} /?{encode(signed(kiln, method, NOBODY))}", {})

    assert (reply.status, reply.members["Code"]) == (400, "UnsupportedHTTPMethod")


def test_answers_head_without_a_body(kiln):
    with connect(kiln) as connection:
        refused = connection.request(f"HEAD /?{encode(signed(kiln, 'HEAD', NOBODY))}", {})
        after = connection.request("HEAD /healthz", {})

    assert (refused.status, refused.body) == (400, b"")
    assert (after.status, after.body) == (200, b"")


@pytest.mark.parametrize("path", ["/nothing", "/asapi/v4", "/apsara/route/", "/apsara/route/Ecs/", "/favicon.ico"])
def test_says_what_is_not_there(kiln, path):
    with connect(kiln) as connection:
        reply = connection.request(f"GET {path}?Format=JSON", {})

    assert reply.status == 404
    assert reply.members["Code"].endswith(".NotFound")


def test_tells_its_health(kiln):
    with connect(kiln) as connection:
        reply = connection.request("GET /healthz", {})

    assert reply.status == 200
    assert reply.members["status"] == "ok"


@pytest.mark.parametrize("in_chunks", [False, True])
def test_refuses_a_body_that_is_too_large(kiln, in_chunks):
    body = b"a=" + b"x" * (1024 * 1024)

    with connect(kiln) as connection:
        if in_chunks:
            connection.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
            connection.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
            reply = connection.reply()
        else:
            reply = connection.request("POST /", FORM, body)

    assert reply.status == 413
    assert reply.headers["content-type"] == "text/xml;charset=utf-8"
    assert b"<Code>RequestTooLarge</Code>" in reply.body


def test_the_apsara_route_refuses_a_body_that_is_too_large_in_its_own_words(kiln):
    with connect(kiln) as connection:
        reply = connection.request("POST /apsara/route/Ecs/CreateImage", FORM, b"a=" + b"x" * (1024 * 1024))

    assert (reply.status, reply.members["Code"]) == (413, "RequestTooLarge")
    assert reply.headers["x-ca-error-code"] == "I413RL"
    assert reply.headers["x-ca-request-id"] == reply.members["RequestID"]


@pytest.mark.parametrize(
    "raw",
    [
        b"HELLO\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx",
        b"GET / HTTP/1.1\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n folded\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: x\r\n" * 200 + b"\r\n",
    ],
    ids=["hello", "version", "nul", "negative", "two-lengths", "long-header", "two-hosts", "folded", "trailers"],
)
def test_survives_what_is_no_request(kiln, raw):
    with connect(kiln) as connection:
        connection.send(raw)
        status = connection.reply().status

    assert 400 <= status < 500
    with connect(kiln) as connection:
        assert connection.request("GET /healthz", {}).status == 200


@pytest.mark.parametrize("coding", [b"gzip, chunked", b"chunked, chunked", b"identity, chunked", b"x"])
def test_refuses_a_body_that_is_coded_in_a_way_that_it_does_not_know(kiln, coding):
    with connect(kiln) as connection:
        connection.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: " + coding + b"\r\n\r\n0\r\n\r\n")

        assert connection.reply().status in {400, 501}


def test_a_half_sent_request_keeps_nobody_waiting(kiln):
    with connect(kiln) as slow:
        slow.send(b"POST / HTTP/1.1\r\nContent-Length: 1000\r\n\r\nhalf")
        with connect(kiln) as connection:
            reply = connection.request(f"POST /?{encode(signed(kiln, 'POST', NOBODY))}", {})

    assert reply.status == 200


def test_has_its_folder_alone_and_goes_on_after_a_power_cut(tmp_path):
    with start_kiln(tmp_path / "data") as kiln:
        with pytest.raises(DidNotStart, match="another Kiln works in"), start_kiln(kiln.data):
            pass
        kiln.kill9()

        kiln.start()

        assert health(kiln) == 200
        assert kiln.stop() == 0


def health(kiln) -> int:
    """The status of ``/healthz``."""
    with connect(kiln) as connection:
        return connection.request("GET /healthz", {}).status
