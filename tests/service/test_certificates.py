"""The certificates that a Kiln shows: for its own names, as clients check them."""

from __future__ import annotations

import ssl
from contextlib import suppress

import pytest

from kiln.service.authority import Authority
from kiln.service.certificates import KnownCertificates
from kiln.service.datafolder import DataFolder
from kiln.wire.http.names import OwnNames

BUCKET = f"{'b' * 63}.oss-cn-qingdao-env17-d01.aliyuncs.com"
HERE = ("127.0.0.1", 8787)
NAMES = OwnNames(("kiln.lab:8443", "192.0.2.7:8787", "[2001:db8::7]:8787", ""), ("ecs.apsara.lab", "*.stack.lab"))


@pytest.fixture
def authority(tmp_path):
    made = Authority(DataFolder(tmp_path))
    made.make()
    return made


@pytest.fixture
def known(authority):
    return KnownCertificates(authority, NAMES, alone=(8443,))


def handshake(authority, server, asked, *, strict=True):
    """Both ends of one handshake, in memory; the client trusts the authority, and checks the name *asked*."""
    client = ssl.create_default_context(cafile=str(authority.path))
    if strict:
        client.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(to_client, to_server, server_hostname=asked)
    other = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        with suppress(ssl.SSLWantReadError):
            one.do_handshake()
        with suppress(ssl.SSLError):  # The client is told of it, and is what counts.
            other.do_handshake()
    return one.getpeercert()


@pytest.mark.parametrize(
    "name",
    [
        "ecs-cn-hangzhou.aliyuncs.com",
        "location-readonly.aliyuncs.com",
        BUCKET,
        "ecs.apsara.lab",
        "ecs.inter.stack.lab",
        "localhost",
        "kiln.lab",
        "127.0.0.1",
        "192.0.2.7",
        "2001:db8::7",
        "::1",
    ],
)
def test_a_client_that_trusts_it_finds_each_name_that_is_kiln_s(authority, known, name):
    assert handshake(authority, known.of_address("127.0.0.1"), name)


@pytest.mark.parametrize(
    "name", ["example.com", "aliyuncs.com", "aliyuncs.com.example", "kiln.lab.example", "sts.apsara.lab", "stack.lab"]
)
def test_there_is_none_for_a_name_of_others(authority, known, name):
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized"):
        handshake(authority, known.of_address("127.0.0.1"), name)


def test_an_address_of_others_is_not_certified(authority, known):
    with pytest.raises(ssl.SSLCertVerificationError, match=r"192\.0\.2\.8"):
        handshake(authority, known.of_address("127.0.0.1"), "192.0.2.8")


def test_a_tunnel_to_a_name_shows_that_name_alone(authority, known):
    tunnel = known.of_tunnel("ECS.aliyuncs.com:443", HERE)

    assert handshake(authority, tunnel, "ecs.aliyuncs.com")
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized"):
        handshake(authority, tunnel, "sts.aliyuncs.com")


@pytest.mark.parametrize(
    "target",
    ["127.0.0.1:8787", "localhost:8787", "[::1]:8787", "kiln.lab:8443", "192.0.2.7:8787", "[2001:db8::7]:8787"],
)
def test_a_tunnel_may_lead_to_kiln_by_its_own_addresses(authority, known, target):
    assert handshake(authority, known.of_tunnel(target, HERE), target.rpartition(":")[0].strip("[]"))


@pytest.mark.parametrize(
    "target",
    [
        "",
        ":443",
        "[::1",
        "192.0.2.7:22",
        "127.0.0.1:22",
        "localhost",
        "kiln.lab:443",
        "example.com:443",
        "aliyuncs.com:443",
        "ecs.aliyuncs.com:80",
        "ecs.aliyuncs.com:8443",
        "ecs.aliyuncs.com:443:443",
        "ecs.aliyuncs.com:x",
        "ecs.aliyuncs.com:99999",
        "ecs.aliyuncs.com\n:443",
        "a@ecs.aliyuncs.com:443",
    ],
)
def test_a_tunnel_leads_nowhere_else(known, target):
    assert known.of_tunnel(target, HERE) is None


def test_says_at_which_ports_tls_is_alone(known):
    assert [known.is_alone(port) for port in (8443, 8787)] == [True, False]


def test_keeps_what_it_made_and_no_more_than_so_many(authority):
    known = KnownCertificates(authority, most=3)
    first = known.of_tunnel("a.aliyuncs.com", HERE)

    assert known.of_tunnel("a.aliyuncs.com:443", HERE) is first
    for name in ("b", "c", "d"):
        known.of_tunnel(f"{name}.aliyuncs.com", HERE)

    assert known.of_tunnel("d.aliyuncs.com", HERE) is known.of_tunnel("d.aliyuncs.com", HERE)
    assert known.of_tunnel("a.aliyuncs.com", HERE) is not first
    assert len(known._kept) == 3


def test_survives_a_start(tmp_path, authority):
    """Who was told the certificate once goes on to find it."""
    again = Authority(DataFolder(tmp_path))
    again.make()

    assert handshake(authority, KnownCertificates(again).of_address("127.0.0.1"), "ecs.aliyuncs.com")
