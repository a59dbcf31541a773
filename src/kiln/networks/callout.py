"""Where the service itself may call, for an account that names the place: as ``wayout`` has it of guests.

What is this host's own, its cloud's and private networks' is reached only where
the operator names it. Unlike guests, who are strangers here, the service may then
also call this host itself: a receiver beside it is the usual one.
"""

from __future__ import annotations

from contextlib import closing
from ipaddress import IPv4Address, IPv4Network

from kiln.ground.values import dataclass
from kiln.networks.wayout import OFF, PUBLIC, Routes, WayOut


@dataclass(frozen=True)
class CallsOut:
    """*to* is ``off``, or with commas between them ``public`` and CIDR blocks. Raises NetworkInvalid."""

    to: str = PUBLIC

    def __post_init__(self) -> None:
        WayOut(to=self.to)

    @property
    def is_off(self) -> bool:
        """Whether nothing may be called."""
        return self.to == OFF

    def names(self, address: IPv4Address) -> bool:
        """Whether the operator names a network that it is in."""
        return any(address in IPv4Network(one) for one in self.to.split(",") if one not in (PUBLIC, OFF))

    def lets(self, address: IPv4Address, port: int) -> bool:
        """Whether it may be called at the port."""
        if self.names(address):
            return True
        is_public = PUBLIC in self.to.split(",") and WayOut(to=PUBLIC).lets(address, port)
        return is_public and not _is_own(address)


def _is_own(address: IPv4Address) -> bool:
    """Whether it is one of this host's own, as a public one may be. Where nobody can be asked, it is taken for none."""
    try:
        with closing(Routes()) as routes:
            return not routes.leads_away(address)
    except OSError:
        return False
