"""One request to whoever an account names: which URLs may be, whom it reaches, and what hostile receivers get of it."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from kiln.calls.posting import UrlRefused, post, read_url
from kiln.networks.callout import CallsOut
from tests.client.conftest import own_authority  # noqa: F401 - a fixture
from tests.receivers import HERE, receiving

PUBLIC = CallsOut()


def send(url, may=HERE, within_s=300.0):
    return post(url, {"webhook-id": "e-1"}, b"{}", may, within_s)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://events.example.com/",
        "https://",
        "https:///path",
        "events.example.com",
        "https://user@events.example.com/",
        "https://events.example.com/#there",
        "https://events.example.com:0/",
        "https://events.example.com:99999/",
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "https://[1:2:3]/",
        "https://[example.com]/",
        "https://events.example.com/ and more",
        "https://events.example.com/\r\nx: y",
        "https://events.example.com/é",
        "https://1.2.3/",
        f"https://events.example.com/{'a' * 2048}",
    ],
)
def test_refuses_what_is_no_url_of_a_receiver(url):
    with pytest.raises(UrlRefused):
        read_url(url, PUBLIC)


@pytest.mark.parametrize("url", ["https://", "https://[::1/", "https://events.example.com:99999/"])
def test_says_of_what_form_a_url_is(url):
    with pytest.raises(UrlRefused, match=r"^of the form https://HOST"):
        read_url(url, PUBLIC)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "10.1.2.3",
        "169.254.169.254",
        "100.100.100.200",
        "192.168.1.1",
        "172.16.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "[::1]",
        "[::]",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "[ff02::1]",
        "[64:ff9b::7f00:1]",
        "[2001::1]",
        "[2001:db8::1]",
        "[2002:7f00:1::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:a9fe:a9fe]",
    ],
)
def test_refuses_addresses_that_are_not_public(host):
    with pytest.raises(UrlRefused, match="webhooks_to"):
        read_url(f"https://{host}/", PUBLIC)


def test_a_network_that_the_operator_names_is_reached_without_tls_too():
    named = CallsOut("public,10.1.0.0/16")

    assert read_url("http://10.1.2.3/", named).hostname == "10.1.2.3"
    assert read_url("https://8.8.8.8/", named).hostname == "8.8.8.8"
    with pytest.raises(UrlRefused, match="without TLS"):
        read_url("http://8.8.8.8/", named)
    with pytest.raises(UrlRefused):
        read_url("https://10.2.0.1/", named)
    with pytest.raises(UrlRefused):
        read_url("https://8.8.8.8/", CallsOut("off"))
    assert read_url("https://[2606:4700::1111]:8443/", named).port == 8443
    assert read_url("http://[fd00::7]/", CallsOut("fd00::/64")).hostname == "fd00::7"


@pytest.mark.parametrize("host", ["localhost", "2130706433", "0x7f000001", "127.1"])
def test_a_name_that_means_this_host_leads_nowhere(host):
    """Whatever resolves it: what is asked is the address that would be connected to."""
    with receiving() as receiver:
        outcome = send(receiver.url.replace("127.0.0.1", host).replace("http://", "https://"), PUBLIC)

        assert outcome.status == 0
        assert outcome.error
        assert receiver.came == []


def test_connects_to_the_address_that_was_asked_about(monkeypatch):
    """A name that means another address a moment later, as whoever owns it may have it."""
    asked = socket.getaddrinfo
    means = iter(["127.0.0.1", "127.0.0.2"])

    def resolve(host, *more, **named):
        return asked(next(means) if host == "turns.example" else host, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with receiving() as receiver:
        assert send(receiver.url.replace("127.0.0.1", "turns.example"), CallsOut("127.0.0.1/32")) == (204, "")


def test_sends_what_it_is_given_and_tells_the_status():
    with receiving() as receiver:
        assert send(receiver.url) == (204, "")
        (came,) = receiver.came

    assert (came.path, came.body, came.id) == ("/hook?a=b", b"{}", "e-1")


def test_reaches_who_has_an_address_of_ipv6():
    with receiving(host="::1") as receiver:
        assert send(receiver.url) == (204, "")
        (came,) = receiver.came

    assert came.headers["host"] == receiver.url.split("/")[2]


@pytest.mark.parametrize("there", ["127.0.0.1", "::1"])
def test_reaches_who_is_there_by_one_version_of_ip_and_not_by_the_other(monkeypatch, there):
    """As many a name leads to an address of IPv6 at which nobody is."""
    asked = socket.getaddrinfo

    def resolve(host, port, *more, **named):
        if host != "both.example":
            return asked(host, port, *more, **named)
        found = [asked(one, port, *more, **named)[0] for one in ("::1", "127.0.0.1")]
        return found if there == "127.0.0.1" else list(reversed(found))

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with receiving(host=there) as receiver:
        port = receiver.url.split("/")[2].rpartition(":")[2]
        assert send(f"http://both.example:{port}/") == (204, "")
        assert len(receiver.came) == 1


def test_follows_no_redirect():
    with receiving() as receiver, receiving() as other:
        receiver.answers, receiver.more = [302], {"location": other.url}

        assert "redirects are not followed" in send(receiver.url).error
        assert other.came == []


def test_speaks_tls_with_whoever_has_a_certificate_that_somebody_vouches_for(own_authority, monkeypatch):  # noqa: F811
    with receiving(own_authority) as receiver:
        assert send(receiver.url) == (204, "")
        monkeypatch.delenv("SSL_CERT_FILE")
        refused = send(receiver.url)

    assert refused.status == 0
    assert "certificate" in refused.error.lower()
    assert len(receiver.came) == 1


def test_speaks_tls_with_nobody_whose_certificate_is_of_another_name(own_authority):  # noqa: F811
    """Such as of the address that the name means now."""
    with receiving(own_authority) as receiver:
        outcome = send(receiver.url.replace("127.0.0.1", "localhost"))

        assert "certificate" in outcome.error.lower()
        assert receiver.came == []


def test_tells_that_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

    assert "refused" in send(f"http://127.0.0.1:{port}/").error.lower()


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """The URL of somebody who answers a request with whatever *answer* sends."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with contextlib.suppress(OSError), listening.accept()[0] as connection:
                connection.settimeout(300)
                answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        thread.join()


def drip(connection: socket.socket) -> None:
    """An answer without end, a letter at a time: each comes in time."""
    connection.sendall(b"HTTP/1.1 2")
    while True:
        connection.sendall(b"0")
        time.sleep(0.01)


def flood(connection: socket.socket) -> None:
    connection.recv(65536)
    while True:
        connection.sendall(b"HTTP/1.1 " + b"a" * 4096)


def pour(connection: socket.socket) -> None:
    """A body without end behind a proper head."""
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b"a" * 65536)


def announce(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        time.sleep(0.01)


def listen_only(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


@pytest.mark.parametrize("answer", [drip, announce, listen_only], ids=["drip", "announce", "listen"])
def test_is_over_in_time_whatever_it_is_answered(answer):
    with answering(answer) as url:
        outcome = send(url, within_s=0.3)

    assert outcome.status == 0
    assert "longer than 0.3 s" in outcome.error


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (flood, "no HTTP"),
        (lambda connection: connection.sendall(b"SSH-2.0-x\r\n"), "no HTTP"),
        (lambda connection: connection.recv(65536), "before it answered"),
    ],
    ids=["flood", "ssh", "close"],
)
def test_is_over_with_what_is_no_answer(answer, said):
    with answering(answer) as url:
        outcome = send(url, within_s=300.0)

    assert outcome.status == 0
    assert said in outcome.error


def test_reads_no_body_whatever_its_length():
    with answering(pour) as url:
        assert send(url) == (200, "")
