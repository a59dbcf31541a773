"""Who is told what is measured, and that requests are."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from kiln.wire.paths.metrics import Metrics, MetricsPath
from kiln.wire.paths.threads import Threads


def asked(metrics, client="127.0.0.1", host="127.0.0.1:8787", **headers) -> tuple[int, dict, bytes]:
    """How ``GET /metrics`` is answered."""
    sent = []
    raw = [(b"host", host.encode())] + [(name.replace("_", "-").encode(), b"x") for name in headers]

    async def send(message):
        sent.append(message)

    scope = {"method": "GET", "path": "/metrics", "query_string": b"", "headers": raw, "client": (client, 1)}
    with ThreadPoolExecutor(1) as executor:
        asyncio.run(MetricsPath(metrics, Threads(executor, at_once=1))(scope, None, send))
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


OF_HOST = Metrics(tell=lambda _: ("text/plain", b"x 1\n"))
OF_ALL = Metrics(tell=lambda _: ("text/plain", b"x 1\n"), is_for_everybody=True)


@pytest.mark.parametrize(
    ("client", "host"),
    [
        ("127.0.0.1", "127.0.0.1:8787"),
        ("127.0.0.1", "localhost"),
        ("::1", "[::1]:8787"),
        ("::ffff:127.0.0.1", "LOCALHOST:1"),
    ],
)
def test_are_told_to_this_host(client, host):
    status, headers, body = asked(OF_HOST, client, host)

    assert (status, headers[b"content-type"], body) == (200, b"text/plain", b"x 1\n")


@pytest.mark.parametrize(
    ("client", "host", "headers"),
    [
        ("10.0.0.7", "127.0.0.1:8787", {}),
        ("2001:db8::1", "[::1]:8787", {}),
        ("", "127.0.0.1:8787", {}),
        ("127.0.0.1", "ecs.example.net", {}),
        ("127.0.0.1", "rebound.example:8787", {}),
        ("127.0.0.1", "127.0.0.1.example.net", {}),
        ("127.0.0.1", "", {}),
        ("127.0.0.1", "127.0.0.1:8787", {"x_forwarded_for": 1}),
        ("127.0.0.1", "127.0.0.1:8787", {"forwarded": 1}),
        ("127.0.0.1", "127.0.0.1:8787", {"via": 1}),
        ("127.0.0.1", "127.0.0.1:8787", {"x_real_ip": 1}),
    ],
)
def test_are_told_to_no_other_and_to_no_proxy(client, host, headers):
    status, _, body = asked(OF_HOST, client, host, **headers)

    assert status == 403
    assert b"KILN_METRICS" in body
    assert asked(OF_ALL, client, host, **headers)[0] == 200


def test_are_told_to_nobody_where_they_are_off():
    assert asked(None)[0] == 403
