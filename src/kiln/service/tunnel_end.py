"""Where this host hears others that carry parts of the same VPCs."""

from __future__ import annotations

from ipaddress import IPv4Address

from kiln.calls.tunnels import OwnEnd
from kiln.networks.own_addresses import mtu_of
from kiln.networks.values import TUNNEL_PORTS, end_of
from kiln.networks.vxlan import inner_mtu
from kiln.service.rules import NO_TUNNEL
from kiln.service.settings import Settings
from kiln.store.database import Database
from kiln.store.reached_from import reached_from


def own_end(settings: Settings, database: Database) -> OwnEnd:
    """As the setting ``tunnel_address`` has it; where there is none, the address that leads to the database's server.

    Raises what the database raises.
    """
    given = settings.tunnel_address
    if given == NO_TUNNEL:
        return OwnEnd(end="", reason="the setting tunnel_address has it off.")
    if not given:
        address = reached_from(database)
        if address is None or address.is_loopback:
            reason = (
                "the database is not reached by an IPv4 address that other hosts could reach; tunnel_address is unset."
            )
            return OwnEnd(end="", reason=reason)
        given = str(address)
    return _end(given if ":" in given else f"{given}:{TUNNEL_PORTS[0]}")


def _end(end: str) -> OwnEnd:
    address: IPv4Address = end_of("tunnel_address", end)[0]
    mtu = mtu_of(address)
    if mtu is None:
        return OwnEnd(end="", reason=f"no interface of this host has the address {address}.")
    return OwnEnd(end=end, mtu=inner_mtu(mtu))
