"""The names by which clients mean this Kiln: the cloud's, those that a setting adds, and where it listens.

Clients that are led here by a proxy ask for whatever they were going to ask. To
answer for a name of others would be to be taken for them, so that is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from kiln.declare.cloud import is_of_cloud

LOOPBACK = ("localhost", "127.0.0.1", "::1")
_PORTS = {"http": 80, "https": 443}

_address = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^\[\]:]+))(?::([0-9]{1,5}))?").fullmatch
_label = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?"
_name = re.compile(rf"(?:\*\.)?{_label}(?:\.{_label})*").fullmatch

Address = tuple[str, int]  #: Host and port.


def is_name(text: str) -> bool:
    """Whether *text* is a name as ``OwnNames`` takes it beside the cloud's: ``ecs.example.com``, ``*.example.com``."""
    return _name(text) is not None


class OwnNames:
    """See the module."""

    def __init__(self, own: Iterable[str] = (), more: Iterable[str] = ()) -> None:
        """*own* are this Kiln's addresses, as HOST or HOST:PORT; *more* names as ``is_name`` has them."""
        self._targets = [_split(one, "https") for one in own if one]
        self.hosts = tuple(dict.fromkeys(host for host, _ in self._targets))
        names = [one for one in more if one]
        self._more = frozenset(one for one in names if not one.startswith("*."))
        self._below = tuple(one[1:] for one in names if one.startswith("*."))

    def is_clouds(self, name: str) -> bool:
        """Whether *name*, in lower case, is one of the cloud's or of those that were added."""
        return is_of_cloud(name) or name in self._more or name.endswith(self._below)

    def is_any(self, name: str) -> bool:
        """Whether *name*, in lower case, is one by which this Kiln may be asked for."""
        return self.is_clouds(name) or name in self.hosts or name in LOOPBACK

    def is_here(self, host: str, port: int, server: Address) -> bool:
        """Whether that is where this Kiln listens; *server* is the address that the connection was made to."""
        is_ours = host in (server[0], *LOOPBACK, *self.hosts) and port == server[1]
        return is_ours or (host, port) in self._targets

    def tunnelled(self, target: str, server: Address) -> str | None:
        """The host that a CONNECT asks for: empty where that is this server itself, None where it is elsewhere."""
        host, port = _split(target, "https")
        if self.is_here(host, port, server):
            return ""
        return host if self._is_served("https", host, port) else None

    def is_proxied(self, url: str, server: Address) -> bool:
        """Whether a request for an absolute *url* is for this Kiln."""
        scheme, _, rest = url.partition("://")
        host, port = _split(re.split("[/?#]", rest, maxsplit=1)[0], scheme.lower())
        return self.is_here(host, port, server) or self._is_served(scheme.lower(), host, port)

    def _is_served(self, scheme: str, host: str, port: int) -> bool:
        """Whether clients that ask for that by a proxy mean this Kiln: a name of the cloud, at its scheme's own port.

        What a host has at another port is another service, whose place nobody takes here.
        """
        return self.is_clouds(host) and port == _PORTS[scheme]


def _split(address: str, scheme: str) -> Address:
    """Host and port of HOST, HOST:PORT, or the same of an address of IPv6; an empty host of what is neither."""
    found = _address(address.lower())
    return ("", 0) if found is None else (found[1] or found[2], int(found[3] or _PORTS[scheme]))
