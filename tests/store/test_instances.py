"""Addresses that instances are given, and the names and groups that they are found by."""

from __future__ import annotations

import pytest

from kiln.store.instances import (
    NoAddressLeft,
    free_private_ips,
    free_public_ips,
    instances,
    is_in_group,
    is_of_family,
    named,
)
from tests.clouds import ACCOUNT, OTHER
from tests.reading import every
from tests.stock import an_instance

NETWORK = "10.0.0.0/29"  #: Six addresses.


def test_gives_each_address_once(cloud):
    for n in range(1, 6):
        an_instance(cloud, system_disk=False, private_ip=f"10.0.0.{n}")

    with cloud.ports.database.read() as tx:
        assert free_private_ips(tx, ACCOUNT, NETWORK, 1) == ["10.0.0.6"]


def test_gives_all_that_are_free_at_once(cloud):
    with cloud.ports.database.read() as tx:
        found = free_private_ips(tx, ACCOUNT, NETWORK, 6)

    assert sorted(found) == [f"10.0.0.{n}" for n in range(1, 7)]


def test_says_when_none_is_left(cloud):
    an_instance(cloud, system_disk=False, private_ip="10.0.0.1")

    with cloud.ports.database.read() as tx, pytest.raises(NoAddressLeft):
        free_private_ips(tx, ACCOUNT, NETWORK, 6)


def test_gives_two_accounts_the_same_private_address(cloud):
    an_instance(cloud, system_disk=False, private_ip="10.0.0.1", account=OTHER)

    with cloud.ports.database.read() as tx:
        assert len(free_private_ips(tx, ACCOUNT, NETWORK, 6)) == 6


def test_gives_no_two_accounts_the_same_public_address(cloud):
    an_instance(cloud, system_disk=False, public_ip="10.0.0.1", account=OTHER)

    with cloud.ports.database.read() as tx, pytest.raises(NoAddressLeft):
        free_public_ips(tx, NETWORK, 6)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("web-1", ["web-1"]),
        ("web*", ["web-1", "web-2"]),
        ("*-2", ["web-2"]),
        ("WEB*", ["web-1", "web-2"]),
        ("_eb*", []),
        ("*" * 60_000 + "2", ["web-2"]),
        ("w*" + "é" * 30_000, []),
        ("*" + "a" * 60_000, []),
    ],
)
def test_finds_by_name(cloud, pattern, found):
    an_instance(cloud, system_disk=False, name="web-1")
    an_instance(cloud, system_disk=False, name="web-2")

    with cloud.ports.database.read() as tx:
        assert sorted(row.name for row in instances.all(tx, named(pattern))) == found


def test_finds_by_security_group(cloud):
    an_instance(cloud, system_disk=False, security_groups="sg-1,sg-22", name="in")
    an_instance(cloud, system_disk=False, security_groups="sg-2", name="out")

    with cloud.ports.database.read() as tx:
        assert [row.name for row in instances.all(tx, is_in_group("sg-22"))] == ["in"]
        assert [row.name for row in instances.all(tx, is_in_group("sg-1"))] == ["in"]
        assert [row.name for row in instances.all(tx, is_in_group("g-1"))] == []
        assert [row.name for row in instances.all(tx, is_in_group("%"))] == []
        assert [row.name for row in instances.all(tx, is_in_group("sg-" + "1" * 60_000))] == []
    assert len(every(cloud, instances)) == 2


@pytest.mark.parametrize(
    ("family", "found"),
    [("ecs.t6", ["a", "b"]), ("ecs.t6-c1m1", ["b"]), ("ecs.t", []), ("ecs_t6", []), ("", []), ("e" * 60_000, [])],
)
def test_finds_by_family(cloud, family, found):
    an_instance(cloud, system_disk=False, instance_type="ecs.t6.large", name="a")
    an_instance(cloud, system_disk=False, instance_type="ecs.t6-c1m1.large", name="b")

    with cloud.ports.database.read() as tx:
        assert sorted(row.name for row in instances.all(tx, is_of_family(family))) == found
