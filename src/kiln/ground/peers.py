"""Whom an address belongs to: who counts peers by it counts nobody twice who has many addresses."""

from __future__ import annotations

import ipaddress
from functools import lru_cache


@lru_cache(maxsize=4096)  # It is asked for with every request, and a client has many of them.
def name_of(host: str) -> str:
    """Whom an address belongs to: of IPv6 a whole network of 64 bits is one peer's."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if address.version == 4:  # noqa: PLR2004 - the version of the protocol.
        return host
    return str(address.ipv4_mapped or ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))
