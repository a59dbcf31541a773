"""The names under which the console may be asked for.

A site elsewhere can have its own name lead to 127.0.0.1, and would then be taken
by the browser for the same origin as this console (DNS rebinding). So a request
says by a name of ours whom it is for, or by an address, which nobody rebinds.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Hosts:
    """The loopback's names, the *addresses* at which the server listens, and *names*: exact ones, and ``*.below``.

    Of *addresses* what is none is not heeded: nobody knows who else may have the name.
    """

    def __init__(self, names: Iterable[str] = (), addresses: Iterable[str] = ()) -> None:
        given = [one.lower() for one in names if one]
        self._exact = {*LOOPBACK, *(one for one in given if not one.startswith("*.")), *filter(_is_address, addresses)}
        self._below = tuple(one[1:] for one in given if one.startswith("*."))

    def knows(self, host: str) -> bool:
        """Whether *host*, in lower case and without a port, is one of ours."""
        return host in self._exact or (bool(self._below) and host.endswith(self._below))


def is_loopback(address: str) -> bool:
    """Whether a peer is on this host."""
    return _is_address(address) and ip_address(address).is_loopback


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
