"""Where a host hears others: as the setting has it, or by which address it reaches the database's server."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from kiln.calls.tunnels import OwnEnd
from kiln.service.settings import read_settings
from kiln.service.tunnel_end import own_end
from kiln.store.database import open_postgresql
from kiln.store.reached_from import reached_from
from tests.postgresql import server_made


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("127.0.0.1", OwnEnd(end="127.0.0.1:4789", mtu=1500)),
        ("127.0.0.1:4799", OwnEnd(end="127.0.0.1:4799", mtu=1500)),
        ("192.0.2.77", OwnEnd(end="", reason="no interface of this host has the address 192.0.2.77.")),
        ("off", OwnEnd(end="", reason="the setting tunnel_address has it off.")),
    ],
)
def test_an_address_that_is_set_is_the_hosts_own(tmp_path, given, found):
    assert own_end(read_settings({}, data=tmp_path, tunnel_address=given), None) == found


@pytest.mark.postgresql
@pytest.mark.slow
def test_without_one_it_is_that_by_which_the_database_is_reached_unless_nobody_else_reaches_it(tmp_path):
    with server_made(listens=True) as server:
        server.start()
        by_tcp, by_socket = f"postgresql://kiln@127.0.0.1:{server.port}/postgres", server.address
        found = {address: asked(address, tmp_path) for address in (by_tcp, by_socket)}

    assert found[by_tcp][0] == IPv4Address("127.0.0.1")
    assert found[by_socket][0] is None
    for _, own in found.values():
        assert own.end == ""
        assert own.reason.startswith("the database is not reached by an IPv4 address that other hosts could reach")


def asked(address, folder):
    database = open_postgresql(address)
    try:
        return reached_from(database), own_end(read_settings({}, data=folder, database=address), database)
    finally:
        database.close()
