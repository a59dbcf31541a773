"""What an instance is told of itself, and by what tokens."""

from __future__ import annotations

import json

import pytest

from kiln.networks.metadata import TOKEN, TOKEN_TTL, Described, Request, Role, Tokens, answer, tree_of
from tests.networks.places import interface, place

ONE = interface(1)
PLACE = place(ONE)
TOKENS = Tokens(b"k" * 32)
WHO = "vpc-1/eni-1"
NOW = 1_790_000_000.0


def described(**changes):
    given = {
        "instance": "i-1", "name": "web", "host_name": "web-1", "image": "m-1", "instance_type": "ecs.g6.large",
        "region": "cn-qingdao-env17-d01", "zone": "cn-qingdao-env17-d01-a", "account": "1000000000000001",
        "serial_number": "3b9f0f6a-0000-4000-8000-000000000001", "public_keys": {"mine": "ssh-ed25519 AAAA mine"},
    }  # fmt: skip
    return Described(**given | changes)


def ask(path, method="GET", who=WHO, now=NOW, headers=None, **changes):
    told = described(**changes)
    given = answer(Request(method, path, headers or {}), who, (told, tree_of(told, PLACE, ONE)), TOKENS, now)
    return given.status, given.body.decode()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/", "latest\n2016-01-01"),
        ("/latest", "dynamic/\nmeta-data/"),
        ("/2016-01-01/meta-data/instance-id", "i-1"),
        ("/latest/meta-data/hostname", "web-1"),
        ("/latest/meta-data/network/interfaces/macs/", "00:16:3e:00:00:01/"),
        ("/latest/meta-data/network/interfaces/macs/00%3A16%3a3e:00:00:01/gateway", "172.16.1.253"),
        ("/latest/meta-data/public-keys/", "0/"),
        ("/latest/meta-data/public-keys/0/openssh-key", "ssh-ed25519 AAAA mine"),
        ("//latest//meta-data/vpc-id?x=1", "vpc-1"),
    ],
)
def test_tells(path, body):
    assert ask(path) == (200, body)


@pytest.mark.parametrize(
    "path",
    ["/latest/user-data", "/latest/vendor-data", "/1.0/meta-data/", "/latest/meta-data/ram/security-credentials/",
     "/latest/meta-data/eipv4", "/latest/meta-data/instance-id/x", "/latest/meta-data/../meta-data/mac", "/%ff"],
)  # fmt: skip
def test_what_is_not_there_is_not_found(path):
    assert ask(path)[0] == 404


def walk(path, **changes):
    status, body = ask(path, **changes)
    assert status == 200, path
    if path.endswith("/"):
        for name in body.split("\n"):
            walk(path + name, **changes)


ROLE = Role("build", lambda: '{"Code": "Success"}')
KEYS = "/latest/meta-data/ram/security-credentials/"


def test_tells_keys_of_the_instance_s_role_and_of_no_other():
    assert ask("/latest/meta-data/ram", role=ROLE) == (200, "security-credentials/")
    assert ask(KEYS, role=ROLE) == (200, "build")
    assert ask(KEYS + "build", role=ROLE) == (200, '{"Code": "Success"}')
    assert ask(KEYS + "other", role=ROLE)[0] == ask(KEYS + "build")[0] == 404
    assert ask(KEYS + "build", role=ROLE, needs_token=True)[0] == 403


def test_keys_are_not_among_all_which_guests_keep_in_files():
    assert "ram" not in json.loads(ask("/latest/meta-data/all", role=ROLE)[1])


@pytest.mark.parametrize(
    "changes",
    [{}, {"public_keys": None}, {"public_ip": "127.64.0.9", "user_data": b"#!/bin/sh"}, {"role": ROLE}],
)
def test_names_nothing_that_it_does_not_tell(changes):
    for version in ("latest", "2016-01-01"):
        walk(f"/{version}/", **changes)


def test_user_data_comes_as_it_was_given():
    told = described(user_data=b"\xff\0#")
    given = answer(Request("GET", "/latest/user-data", {}), WHO, (told, tree_of(told, PLACE, ONE)), TOKENS, NOW)

    assert (given.status, given.body) == (200, b"\xff\0#")


def test_tells_all_at_once():
    assert json.loads(ask("/2016-01-01/meta-data/all")[1])["instance"]["instance-type"] == "ecs.g6.large"
    assert json.loads(ask("/latest/dynamic/instance-identity/document")[1])["image-id"] == "m-1"


def issued(seconds="60", **more):
    return ask("/latest/api/token", "PUT", headers={TOKEN_TTL: seconds}, **more)


def test_a_token_counts_for_its_time_and_its_asker():
    status, token = issued()

    def by_token(**more):
        return ask("/latest/meta-data/mac", headers={TOKEN: more.pop("token", token)}, needs_token=True, **more)[0]

    assert status == 200
    assert by_token() == 200
    assert by_token(now=NOW + 59) == 200
    assert by_token(now=NOW + 61) == 401
    assert by_token(who="vpc-1/eni-2") == 401
    assert by_token(who="vpc-2/eni-1") == 401
    for wrong in ("", "x", token[:-4], token + "AAAA", "A" * len(token), "ä"):
        assert by_token(token=wrong) == 401


def test_a_wrong_token_counts_as_none_neither_where_none_is_needed():
    assert ask("/latest/meta-data/mac", headers={TOKEN: "x"})[0] == 401


def test_nothing_is_told_without_a_token_where_one_is_needed():
    for path in ("/", "/latest/meta-data/mac", "/latest/user-data", "/nowhere"):
        assert ask(path, needs_token=True)[0] == 403


def test_nothing_is_told_where_the_endpoint_is_disabled():
    assert ask("/latest/meta-data/mac", is_closed=True)[0] == 403
    assert issued(is_closed=True)[0] == 403


@pytest.mark.parametrize("seconds", ["0", "21601", "-1", "1.5", "", "x", "²", "9" * 5000])
def test_a_token_lasts_for_six_hours_at_most(seconds):
    assert issued(seconds)[0] == 400
    assert issued("21600")[0] == 200


def test_a_token_is_not_issued_through_a_proxy():
    headers = {TOKEN_TTL: "60", "x-forwarded-for": "1.2.3.4"}

    assert ask("/latest/api/token", "PUT", headers=headers)[0] == 403


@pytest.mark.parametrize(("method", "path", "status"), [("POST", "/", 405), ("PUT", "/latest/meta-data/mac", 404)])
def test_nothing_is_changed(method, path, status):
    assert ask(path, method)[0] == status
