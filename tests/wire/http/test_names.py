"""Whoever takes this server for a proxy is answered for its own names, and refused for others'."""

from __future__ import annotations

import pytest

from kiln.wire.http.bounds import Room
from kiln.wire.http.names import OwnNames, is_name
from kiln.wire.paths.events import Limits
from tests.clouds import make_cloud
from tests.wire.paths.site import start_site

SERVER = ("127.0.0.1", 8787)
NAMES = OwnNames(("kiln.lab:80", "build-host", "192.0.2.7:8787"), ("ecs.apsara.lab", "*.stack.lab"))


@pytest.mark.parametrize(
    "url",
    [
        "http://ecs-cn-hangzhou.aliyuncs.com",
        "http://ECS.aliyuncs.com:80/?Action=DescribeRegions",
        "HTTPS://bucket.oss-cn-hangzhou.aliyuncs.com/object",
        "http://ecs.apsara.lab/asapi/v3?a=b",
        "http://ecs.inter.stack.lab:80?a=http://example.com/",
        "http://127.0.0.1:8787/healthz",
        "http://localhost:8787",
        "http://[::1]:8787/",
        "http://kiln.lab/",
        "http://build-host:8787/",
        "http://192.0.2.7:8787/",
    ],
)
def test_is_its_own(url):
    assert NAMES.is_proxied(url, SERVER)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "https://example.com/",
        "http://aliyuncs.com/",
        "http://aliyuncs.com.example/",
        "http://example.com?ecs.aliyuncs.com/",
        "http://example.com#.stack.lab/",
        "http://ecs.aliyuncs.com@example.com/",
        "http://apsara.lab/",
        "http://stack.lab/",
        "http://nostack.lab/",
        "http://127.0.0.1/",
        "http://127.0.0.1:22/",
        "http://192.0.2.7:22/",
        "http://kiln.lab:22/",
        "http://ecs.aliyuncs.com:8080/",
        "http://ecs.aliyuncs.com:443/",
        "https://ecs.aliyuncs.com:80/",
        "http://ecs.apsara.lab:8080/",
        "http://[fe80::1]/",
        "http://",
        "http:///path",
        "http://:8787/",
    ],
)
def test_is_others(url):
    assert not NAMES.is_proxied(url, SERVER)


@pytest.mark.parametrize("target", ["ecs.aliyuncs.com", "ecs.apsara.lab:443", "ECS.inter.stack.lab:443", "kiln.lab:80"])
def test_a_tunnel_leads_where_a_request_with_that_target_does(target):
    assert NAMES.tunnelled(target, SERVER) is not None
    assert NAMES.is_proxied(f"https://{target}/", SERVER)


@pytest.mark.parametrize("target", ["ecs.aliyuncs.com:80", "ecs.apsara.lab:8443", "example.com:443", "kiln.lab:443"])
def test_a_tunnel_leads_nowhere_where_a_request_with_that_target_does_not(target):
    assert NAMES.tunnelled(target, SERVER) is None
    assert not NAMES.is_proxied(f"https://{target}/", SERVER)


@pytest.mark.parametrize("text", ["ecs.example.com", "*.example.com", "ecs", "a_b.lab"])
def test_may_be_added(text):
    assert is_name(text)


@pytest.mark.parametrize("text", ["", "*", "*.", "a.*", "http://a", "a:80", "a..b", ".a", "-a", "a/b", "a b", "*a.b"])
def test_may_not_be_added(text):
    assert not is_name(text)


@pytest.fixture
def site(tmp_path, sqlite):
    with start_site(make_cloud(tmp_path, sqlite), Limits(), Room(64, 32)) as served:
        yield served


def test_a_request_for_others_is_refused_and_not_answered_as_if_by_them(site):
    answer = site.ask("GET", "http://example.com/healthz")

    assert answer.status == 403
    assert b"KILN_NAMES" in answer.body
    assert site.crowd.counts["proxy_elsewhere"] == 1


@pytest.mark.parametrize("upgrade", [{}, {"Connection": "Upgrade", "Upgrade": "h2c"}], ids=["plain", "upgrade"])
def test_nor_is_one_with_a_body(site, upgrade):
    answer = site.ask("POST", "http://example.com/", {"Content-Type": "text/plain", **upgrade}, b"a" * 10_000)

    assert answer.status == 403


def test_a_request_for_the_cloud_is_answered(site):
    assert site.ask("GET", "http://ecs.aliyuncs.com/healthz").status == 200
