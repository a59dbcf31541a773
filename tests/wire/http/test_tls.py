"""TLS from the first byte on, or after CONNECT: who asks as he should is answered, and nobody else holds anything."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import time
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPSConnection

import pytest

from kiln.service.authority import Authority
from kiln.service.certificates import KnownCertificates
from kiln.service.datafolder import DataFolder
from kiln.wire.http.bounds import Room
from kiln.wire.http.names import OwnNames
from kiln.wire.http.tls import TlsTransport
from kiln.wire.paths.events import Limits
from tests.clouds import make_cloud
from tests.wire.paths.site import start_site

ECS = "ecs-cn-hangzhou.aliyuncs.com"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"
CONNECT = f"CONNECT {ECS}:443 HTTP/1.1\r\nHost: {ECS}:443\r\n\r\n".encode()
HELD = b"HTTP/1.1 200 Connection established\r\n\r\n"


@pytest.fixture
def cloud(tmp_path, sqlite):
    return make_cloud(tmp_path, sqlite)


@pytest.fixture
def authority(tmp_path):
    (folder := tmp_path / "data").mkdir()
    made = Authority(DataFolder(folder))
    made.make()
    return made


@pytest.fixture
def trusting(authority):
    return ssl.create_default_context(cafile=str(authority.path))


@pytest.fixture
def site(cloud, authority):
    with start_site(cloud, Limits(), Room(64, 32), certify=lambda _: KnownCertificates(authority)) as served:
        yield served


@pytest.fixture
def secure_site(cloud, authority):
    """A site at whose port nothing but TLS is spoken."""
    with start_site(
        cloud, Limits(), Room(64, 32), certify=lambda port: KnownCertificates(authority, OwnNames(), (port,))
    ) as it:
        yield it


@contextmanager
def plain(site):
    """A connection, with its reader."""
    with socket.create_connection(site.address, timeout=300) as stream, stream.makefile("rb") as file:
        yield stream, file


@contextmanager
def sealed(site, trusting, name=ECS):
    """A connection that speaks TLS."""
    with (
        socket.create_connection(site.address, timeout=300) as stream,
        trusting.wrap_socket(stream, server_hostname=name) as tls,
        tls.makefile("rb") as file,
    ):
        yield tls, file


def answer(file):
    """Status and body of the next answer."""
    status = file.readline()
    length = 0
    while (line := file.readline().strip()) != b"":
        if line.lower().startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    return int(status.split()[1]), file.read(length)


def rest(file):
    """What else comes until the end."""
    with suppress(ConnectionError, ssl.SSLError):
        return file.read()
    return b""


def is_well(site):
    return json.loads(site.ask("GET", "/healthz").body) == {"status": "ok"}


def counted(site, reason):
    """Wait until the server has counted such a refusal."""
    deadline = time.monotonic() + 300
    while not site.crowd.counts.get(reason):
        assert time.monotonic() < deadline, site.crowd.counts
        time.sleep(0.01)
    return True


def hello(trusting, name=ECS):
    """A client's end of a handshake in memory, and its first words."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = trusting.wrap_bio(incoming, outgoing, server_hostname=name)
    with suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return tls, incoming, outgoing.read()


class Written(asyncio.Transport):
    """What would have been sent."""

    def __init__(self):
        super().__init__()
        self.data = b""

    def write(self, data):
        self.data += data

    def is_closing(self):
        return False


def test_much_may_come_together_with_the_end_of_the_handshake(authority, trusting):
    written = Written()
    transport = TlsTransport(written, KnownCertificates(authority).of_address("127.0.0.1"))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = trusting.wrap_bio(incoming, outgoing, server_hostname=ECS)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    assert transport.receive(outgoing.read()) == b""
    incoming.write(written.data)
    tls.do_handshake()
    tls.write(b"x" * 200_000)

    assert transport.receive(outgoing.read()) == b"x" * 200_000


@pytest.mark.parametrize("name", [ECS, "my-bucket.oss-cn-beijing.aliyuncs.com", "localhost", "127.0.0.1"])
def test_a_port_speaks_tls_to_who_begins_with_it(site, trusting, name):
    with sealed(site, trusting, name) as (tls, file):
        for _ in range(3):
            tls.sendall(HEALTH)
            assert answer(file)[0] == 200
        tls.sendall(HEALTH * 3)
        assert [answer(file)[0] for _ in range(3)] == [200] * 3
    assert is_well(site)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_connect_to_a_name_of_the_cloud_ends_here(site, trusting, version):
    trusting.minimum_version = trusting.maximum_version = version
    client = HTTPSConnection(*site.address, context=trusting, timeout=300)
    client.set_tunnel(ECS, 443)

    for _ in range(2):
        client.request("GET", "/healthz")
        assert client.getresponse().read() == b'{"status": "ok"}\n'
    client.close()


def test_the_last_word_of_a_handshake_is_answered(site, trusting):
    """By a ticket; a client that gathers small packets waits for some answer before it sends its request."""
    trusting.minimum_version = ssl.TLSVersion.TLSv1_3
    with sealed(site, trusting) as (tls, file):
        tls.sendall(HEALTH)
        assert answer(file)[0] == 200
        assert tls.session.has_ticket


def test_a_client_that_comes_back_with_its_ticket_is_answered(site, trusting):
    trusting.minimum_version = ssl.TLSVersion.TLSv1_3
    session = None
    for _ in range(3):
        with (
            socket.create_connection(site.address, timeout=300) as stream,
            trusting.wrap_socket(stream, server_hostname=ECS, session=session) as tls,
            tls.makefile("rb") as file,
        ):
            tls.sendall(HEALTH)
            assert answer(file)[0] == 200
            session = tls.session


def test_events_are_told_over_tls(site, trusting):
    with sealed(site, trusting) as (tls, file):
        head = "".join(f"{name}: {value}\r\n" for name, value in site.signed().items())
        tls.sendall(f"GET /events HTTP/1.1\r\n{head}\r\n".encode())
        while file.readline().strip():
            pass
        assert b": listening\n" in [file.readline() for _ in range(3)]
        site.cloud.call("CreateDisk", ZoneId=f"{site.cloud.ports.deployment.regions[0]}-a", Size=20)
        while (line := file.readline()) and not line.startswith(b"data:"):
            pass
        assert b'"disk"' in line


@pytest.mark.parametrize(
    "target",
    [
        "example.com:443",
        "checkpoint-api.hashicorp.com:443",
        "aliyuncs.com:443",
        f"{ECS}:80",
        "127.0.0.1:22",
        "127.0.0.1:1",
        "[::1]:22",
        "100.100.100.200:80",
        "x" * 999,
        "/",
        "*",
    ],
)
def test_connect_elsewhere_is_refused_at_once_and_nothing_is_asked(site, target):
    with plain(site) as (stream, file):
        stream.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        status, words = answer(file)

        assert status == 403, words
        assert rest(file) == b""


def test_a_client_need_not_wait_for_the_answer_to_connect(site, trusting):
    tls, incoming, first = hello(trusting)

    with plain(site) as (stream, file):
        stream.sendall(CONNECT + first)
        assert file.read(len(HELD)) == HELD
        while True:
            incoming.write(stream.recv(65536) if not file.peek() else file.read1())
            with suppress(ssl.SSLWantReadError):
                tls.do_handshake()
                break
    assert tls.getpeercert()


@pytest.mark.parametrize("size", [1, 7])
def test_a_handshake_may_come_in_crumbs(site, trusting, size):
    with plain(site) as (stream, file):
        tls, incoming, first = hello(trusting)
        for n in range(0, len(first), size):
            stream.sendall(first[n : n + size])
        while True:
            incoming.write(file.read1())
            with suppress(ssl.SSLWantReadError):
                tls.do_handshake()
                break
    assert tls.getpeercert()


@pytest.mark.parametrize("text", [HEALTH, CONNECT, b"\0", b"\x16", b"\x16\x03\x01\x00\x05hello", b"SSH-2.0-x\r\n"])
def test_what_is_no_tls_after_connect_ends_the_connection(site, text):
    with plain(site) as (stream, file):
        stream.sendall(CONNECT)
        assert file.read(len(HELD)) == HELD
        stream.sendall(text)
        if len(text) == 1:  # Of which nobody knows yet what it is to be.
            stream.shutdown(socket.SHUT_WR)
        assert b"HTTP" not in rest(file)
    site.until(connections=0)
    assert is_well(site)


@pytest.mark.parametrize(
    "text",
    [
        b"\x16" * 4096,
        b"\x16\x03\x01\xff\xff" + b"\1" * 70_000,
        b"\x16\x03\x01\x40\x00\x01\xff\xff\xff" + b"\0" * 70_000,
        (b"\x16\x03\x01\x00\x01\x01") * 30_000,
        b"\x16\x03\x03\x00\x04\x00\x00\x00\x00" * 20_000,
    ],
    ids=["noise", "long", "endless", "crumbs", "hello-requests"],
)
def test_a_handshake_that_is_none_ends_the_connection(site, text):
    with plain(site) as (stream, file):
        with suppress(ConnectionError):
            stream.sendall(text)
        rest(file)
    assert counted(site, "tls_broken")
    assert is_well(site)


def test_a_tunnel_leads_to_no_other_tunnel(site, trusting):
    client = HTTPSConnection(*site.address, context=trusting, timeout=300)
    client.set_tunnel(ECS, 443)
    client.connect()
    client.sock.sendall(CONNECT)
    with client.sock.makefile("rb") as file:
        assert answer(file)[0] == 403
        assert rest(file) == b""
    client.close()


def test_tls_leads_to_no_tunnel(site, trusting):
    with sealed(site, trusting) as (tls, file):
        tls.sendall(CONNECT)
        assert answer(file)[0] == 403
        assert rest(file) == b""


def test_connect_behind_what_is_not_answered_makes_no_tunnel(site):
    with plain(site) as (stream, file):
        stream.sendall(HEALTH + CONNECT)
        assert HELD not in rest(file)
    assert counted(site, "connect_within")


def test_connect_after_what_is_answered_makes_one(site, trusting):
    with socket.create_connection(site.address, timeout=300) as stream:
        stream.sendall(HEALTH)
        got = b""
        while b'{"status": "ok"}' not in got:
            got += stream.recv(4096)
        stream.sendall(CONNECT)
        # A socket with a time limit returns what has come so far. No more is read: what follows belongs to TLS.
        held = b""
        while len(held) < len(HELD):
            held += stream.recv(len(HELD) - len(held))
        assert held == HELD
        with trusting.wrap_socket(stream, server_hostname=ECS) as tls, tls.makefile("rb") as file:
            tls.sendall(HEALTH)
            assert answer(file)[0] == 200


@pytest.mark.parametrize("name", ["sts.aliyuncs.com", "example.com"])
def test_a_tunnel_answers_by_no_other_name_than_it_was_asked_for(site, trusting, name):
    with plain(site) as (stream, file):
        stream.sendall(CONNECT)
        assert file.read(len(HELD)) == HELD
        with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized"):
            trusting.wrap_socket(stream, server_hostname=name)
    assert counted(site, "tls_broken")


def test_a_client_that_trusts_others_alone_is_told_nothing(site):
    with socket.create_connection(site.address, timeout=300) as stream, pytest.raises(ssl.SSLCertVerificationError):
        ssl.create_default_context().wrap_socket(stream, server_hostname=ECS)
    site.until(connections=0)


@pytest.mark.parametrize("how", [socket.SHUT_WR, socket.SHUT_RDWR])
def test_who_leaves_in_the_middle_is_forgotten(site, trusting, how):
    with sealed(site, trusting) as (tls, _):
        tls.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf")
        with suppress(OSError):
            socket.socket.shutdown(tls, how)
        if how == socket.SHUT_WR:
            site.until(connections=0)
    site.until(connections=0)
    assert is_well(site)


def test_what_breaks_after_the_handshake_ends_the_connection(site, trusting):
    with socket.create_connection(site.address, timeout=300) as stream:
        tls, incoming, first = hello(trusting)
        stream.sendall(first)
        incoming.write(stream.recv(65536))
        stream.sendall(b"\x17\x03\x03\x00\x20" + b"x" * 32)
        with stream.makefile("rb") as file:
            assert b"HTTP" not in rest(file)
    assert tls is not None
    assert counted(site, "tls_broken")


@pytest.mark.parametrize("text", [HEALTH, CONNECT, b"\0"])
def test_where_tls_is_alone_nothing_else_is_answered(secure_site, trusting, text):
    with plain(secure_site) as (stream, file):
        stream.sendall(text)
        assert answer(file)[0] == 400
    with sealed(secure_site, trusting) as (tls, file):
        tls.sendall(HEALTH)
        assert answer(file)[0] == 200


def test_without_certificates_there_is_http_alone(cloud, trusting):
    with start_site(cloud, Limits(), Room(64, 32)) as site:
        with plain(site) as (stream, file):
            stream.sendall(CONNECT)
            assert answer(file)[0] == 502
        with socket.create_connection(site.address, timeout=300) as stream, pytest.raises(OSError):  # noqa: PT011
            trusting.wrap_socket(stream, server_hostname=ECS)
        assert is_well(site)


def test_a_crowd_of_half_handshakes_keeps_nobody_out(site, trusting):
    """More than there may be, of one peer and of all: those that are silent longest go."""
    _, _, first = hello(trusting)
    with ExitStack() as stack:
        streams = [stack.enter_context(socket.create_connection(site.address, timeout=300)) for _ in range(24)]
        for n, stream in enumerate(streams):
            stream.sendall((b"", first[:50], first, CONNECT, CONNECT + first[:50], CONNECT + first)[n % 6])
        for _ in range(40):
            with sealed(site, trusting) as (tls, file):
                tls.sendall(HEALTH)
                assert answer(file)[0] == 200
        streams += [stack.enter_context(socket.create_connection(site.address, timeout=300)) for _ in range(200)]
        with sealed(site, trusting) as (tls, file):
            tls.sendall(HEALTH)
            assert answer(file)[0] == 200
    assert site.crowd.counts["gave_way"] > 0
    site.until(connections=0)


@pytest.mark.slow
def test_who_does_not_go_on_is_let_go(site, trusting):
    """Each of these may take as long as a head of HTTP, and then it is over."""
    _, _, first = hello(trusting)
    with ExitStack() as stack:
        for begun in (b"", first[:1], first[:50], first, CONNECT, CONNECT + first[:50], CONNECT + first, CONNECT[:30]):
            stream = stack.enter_context(socket.create_connection(site.address, timeout=300))
            stream.sendall(begun)
        whole = stack.enter_context(sealed(site, trusting))
        begun = stack.enter_context(sealed(site, trusting))
        begun[0].sendall(b"GET / HT")
        while site.crowd.counts["connections"]:
            time.sleep(0.1)
        rest(whole[1])
    assert is_well(site)
