"""What a process of several reaches of the others' things: the database's server, Ceph; and where these reach it."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator

from kiln.pools.errors import PoolError
from kiln.service.errors import DatabaseUnusable, PoolUnusable
from kiln.service.findings import Finding, State, looked_at
from kiln.service.own_address import own_address
from kiln.service.pairing import version_there
from kiln.service.servers import survey_server
from kiln.service.settings import Settings, to_address
from kiln.service.sights import look_at_pool
from kiln.store.errors import DatabaseDown
from kiln.store.schema import NEWEST

_SERVER = (
    "KILN_DATABASE and KILN_DATABASE_PASSWORD_FILE say how it is reached; docs/howto/postgresql.md, what it is asked."
)
_CLOCKS = "Run an NTP client, such as systemd-timesyncd or chrony, on both."
_CEPH = (
    "KILN_CEPH_CONF names the monitors and the keyring, KILN_CEPH_USER the key: `ceph -s --conf FILE --id USER` has to "
    "answer here. docs/howto/operate.md says what Ceph is asked."
)
_PEERS = "Set KILN_LISTEN, or KILN_PEER_LISTEN, to an address of this host that the others reach."


def reached(settings: Settings) -> Iterator[Finding]:
    """What is found of them; nothing of what the settings do not name. Nothing is changed."""
    if settings.database:
        yield from looked_at("database", lambda: _database(settings))
        yield from looked_at("peers", lambda: [_peers(settings)])
    if settings.pool:
        yield from looked_at("Ceph", lambda: [_ceph(settings)])


def _database(settings: Settings) -> Iterator[Finding]:
    where = settings.server.shown
    try:
        looks = list(survey_server(settings))
        version = version_there(settings)
    except (DatabaseDown, DatabaseUnusable) as error:
        yield Finding("database", "cannot", f"{where} cannot be worked with: {error}.", _SERVER)
        return
    for one in looks:
        if one.what == "clock":
            text = f"Of the two clocks {one.text}."
            yield Finding("its clock", "ok" if one.is_well else "warns", text, "" if one.is_well else _CLOCKS)
        else:
            state: State = "ok" if one.is_well else "cannot"
            yield Finding("database", state, f"{where}: {one.text}.", "" if one.is_well else _SERVER)
    if version != NEWEST:
        has = "has no tables yet" if version is None else f"has tables of version {version}"
        yield Finding("its tables", "ok", f"{where} {has}: the first start makes those of version {NEWEST}.")


def _peers(settings: Settings) -> Finding:
    """Where other processes ask this one for what only its host knows."""
    host, _ = to_address(settings.peer_listen or settings.listen)
    try:
        address = ipaddress.ip_address(socket.gethostbyname(host) if ":" not in host else host)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "none can be called so"
        return Finding("peers", "cannot", f"{host} is no address of this host: {why}.", _PEERS)
    if address.is_unspecified:
        host = own_address(socket.AF_INET if address.version == 4 else socket.AF_INET6)  # noqa: PLR2004 - the protocol's.
        address = ipaddress.ip_address(host)
    if address.is_loopback:
        text = (
            f"Other processes ask this one at {host}, by which those of other hosts reach themselves: consoles and "
            "commands in guests of this host are had at its own doors alone."
        )
        return Finding("peers", "warns", text, _PEERS)
    return Finding("peers", "ok", f"Other processes ask this one at {host}.")


def _ceph(settings: Settings) -> Finding:
    try:
        seen = look_at_pool(settings)
    except (PoolError, PoolUnusable, OSError, ImportError) as error:
        return Finding("Ceph", "cannot", f"{error}.", _CEPH)
    text = f"{settings.pool} can be read; it has {len(seen.volumes)} volumes."
    return Finding("Ceph", "ok", text)
