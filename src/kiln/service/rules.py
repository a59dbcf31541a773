"""What a setting may be. Each raises SettingRefused, with the setting's name, and what was given if it is no secret."""

from __future__ import annotations

import re
from ipaddress import IPv4Network

from kiln.declare.deployment import PUBLIC_NETWORK
from kiln.declare.regions import is_region_id
from kiln.declare.roles import Role
from kiln.networks.callout import CallsOut
from kiln.networks.errors import NetworkInvalid
from kiln.networks.values import TUNNEL_PORTS, end_of
from kiln.networks.wayout import WayOut
from kiln.service.errors import SettingRefused
from kiln.store.conninfo import AddressRefused, parsed
from kiln.wire.http.names import is_name

PASSWORDS = "KILN_DATABASE_PASSWORD has it, or a file that KILN_DATABASE_PASSWORD_FILE names."
#: A pool on Ceph, and where it has one its namespace.
RBD = re.compile(r"rbd:([A-Za-z0-9_.-]+)(?:/([A-Za-z0-9_.-]+))?")
_LEAST_HOST_GRACE_S = 10.0
NO_TUNNEL = "off"
_FEWEST_ADDRESSES = 4  #: The first and the last are given to nobody.


#: The least that settings may be which are numbers.
LEAST = {"threads": 1, "workers": 1, "database_connections": 1, "audit_days": 0, "audit_events": 1000}


def require_at_least(name: str, value: int, least: int) -> None:
    """A number that is not less."""
    if value < least:
        raise SettingRefused(f"{name} must be at least {least}")


def require_pool(pool: str) -> None:
    """Empty, or one on Ceph."""
    if pool and not RBD.fullmatch(pool):
        raise SettingRefused(f"pool must be empty, rbd:POOL or rbd:POOL/NAMESPACE, not {pool!r}")


def require_one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    """One of the *choices*."""
    if value not in choices:
        raise SettingRefused(f"{name} must be one of {', '.join(choices)}, not {value!r}")


def require_role(role: str, database: str) -> None:
    """One that there is, and beside SQLite the one that does everything."""
    require_one_of("role", role, tuple(Role))
    if role != Role.ALL and not database:
        raise SettingRefused(
            f"role must be all where SQLite is the database, which one process alone can serve, not {role!r}: database "
            "names one of PostgreSQL"
        )


def require_names(names: tuple[str, ...]) -> None:
    """Names of hosts, with or without ``*.`` before them."""
    for name in names:
        if not is_name(name):
            raise SettingRefused(f"names must be names such as ecs.example.com or *.example.com, not {name!r}")


def require_regions(regions: tuple[str, ...], example: str) -> None:
    """IDs of regions, each once; *example* is one."""
    if not regions:
        raise SettingRefused("regions must name at least one region")
    for region in regions:
        if not is_region_id(region):
            raise SettingRefused(
                f"regions: {region!r} cannot be a region's ID, which is lower-case letters, digits and single hyphens "
                f"between them, such as {example} or cn-hangzhou"
            )
        if regions.count(region) > 1:
            raise SettingRefused(f"regions names {region} twice")


def require_network(text: str) -> None:
    """A CIDR block from which addresses can be given."""
    try:
        size = IPv4Network(text).num_addresses
    except ValueError as error:
        raise SettingRefused(
            f"public_network must be a CIDR block of IPv4, such as {PUBLIC_NETWORK}: {error}"
        ) from None
    if size < _FEWEST_ADDRESSES:
        raise SettingRefused(f"public_network must have at least {_FEWEST_ADDRESSES} addresses, which {text} has not")


def require_ways(way_out: str, webhooks_to: str) -> None:
    """Whom instances and webhooks may reach."""
    for name, given, read in (("way_out", way_out, WayOut), ("webhooks_to", webhooks_to, CallsOut)):
        try:
            read(given)
        except NetworkInvalid as error:
            raise SettingRefused(
                f"{name} must be off, or public and CIDR blocks with commas between them, not {given!r}: {error.reason}"
            ) from None


def require_host_grace(seconds: float) -> None:
    """Raise SettingRefused for a grace in which a process cannot be known to be silent: it says so each second."""
    if seconds < _LEAST_HOST_GRACE_S:
        raise SettingRefused(f"host_grace must be at least {_LEAST_HOST_GRACE_S:.0f}s, not {seconds:g}s")


def require_tunnel(given: str) -> None:
    """Empty, off, or an address of IPv4, with a port of those where hosts hear each other or without one."""
    if given in ("", NO_TUNNEL):
        return
    try:
        end_of("tunnel_address", given if ":" in given else f"{given}:{TUNNEL_PORTS[0]}")
    except NetworkInvalid as error:
        raise SettingRefused(
            f"tunnel_address must be off, or an IPv4 address of this host, such as 10.0.0.1 or 10.0.0.1:4790, not "
            f"{given!r}: {error.reason}"
        ) from None


def require_database(given: str, *others: str) -> None:
    """An address of a PostgreSQL server, or none; of its password, with the *others*, there is one at most."""
    if not given:
        return
    try:
        address = parsed(given)
    except AddressRefused as error:
        raise SettingRefused(f"database must be empty or postgresql://user@host/name: {error}") from None
    if len(list(filter(None, (address.get("password"), *others)))) > 1:
        raise SettingRefused(f"the password of the database is named twice. {PASSWORDS}")
