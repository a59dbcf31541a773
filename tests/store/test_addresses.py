"""Free addresses: each is given once, until none is left."""

from __future__ import annotations

import re
from ipaddress import IPv4Address

import pytest

from kiln.store.addresses import NoAddressLeft, free_macs, free_private, free_public
from tests.clouds import OTHER
from tests.nets import a_vpc, a_vswitch, an_eip
from tests.stock import an_instance

NETWORK = "10.0.0.0/29"  #: Six addresses.
SPAN = (IPv4Address("10.0.0.1"), IPv4Address("10.0.0.5"))  #: Four.


@pytest.fixture
def switch(cloud):
    return a_vswitch(cloud, a_vpc(cloud))


def plugged(cloud, switch, *addresses, **more):
    for address in addresses:
        card = {"vpc": switch.vpc, "vswitch": switch.id, "private_ip": address}
        an_instance(cloud, system_disk=False, card=card, **more)


def test_gives_each_address_once(cloud, switch):
    plugged(cloud, switch, "10.0.0.1", "10.0.0.2", "10.0.0.4")

    with cloud.ports.database.read() as tx:
        assert free_private(tx, switch.id, *SPAN, 1) == ["10.0.0.3"]


def test_gives_all_that_are_free_at_once(cloud, switch):
    with cloud.ports.database.read() as tx:
        found = free_private(tx, switch.id, *SPAN, 4)

    assert sorted(found) == [f"10.0.0.{n}" for n in range(1, 5)]


def test_says_when_none_is_left(cloud, switch):
    plugged(cloud, switch, "10.0.0.1")

    with cloud.ports.database.read() as tx, pytest.raises(NoAddressLeft):
        free_private(tx, switch.id, *SPAN, 4)


def test_finds_the_last_one_of_a_wide_network(cloud, switch):
    span = (IPv4Address("10.0.0.1"), IPv4Address("10.0.0.81"))
    plugged(cloud, switch, *(f"10.0.0.{n}" for n in range(1, 81) if n != 77))

    for _ in range(5):
        with cloud.ports.database.read() as tx:
            assert free_private(tx, switch.id, *span, 1) == ["10.0.0.77"]


def test_gives_two_vswitches_the_same_private_address(cloud, switch):
    plugged(cloud, a_vswitch(cloud, a_vpc(cloud, account=OTHER)), "10.0.0.1")

    with cloud.ports.database.read() as tx:
        assert len(free_private(tx, switch.id, *SPAN, 4)) == 4


def test_gives_no_two_accounts_the_same_public_address(cloud):
    an_instance(cloud, system_disk=False, public_ip="10.0.0.1", account=OTHER)

    with cloud.ports.database.read() as tx, pytest.raises(NoAddressLeft):
        free_public(tx, NETWORK, 6)


def test_gives_no_instance_an_address_that_somebody_keeps(cloud):
    an_eip(cloud, address="10.0.0.1", account=OTHER)

    with cloud.ports.database.read() as tx, pytest.raises(NoAddressLeft):
        free_public(tx, NETWORK, 6)


def test_gives_network_cards_addresses_of_their_own(cloud):
    with cloud.ports.database.read() as tx:
        found = free_macs(tx, 100)

    assert len(set(found)) == 100
    assert all(re.fullmatch(r"00:16:3e(:[0-9a-f]{2}){3}", mac) for mac in found)
