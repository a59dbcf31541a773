"""What can go wrong with networks.

NetworkError
NetworkInvalid       a value that no network can have; says which field
NetworkMissing       no such VPC, or no such interface in it
NetworkUnusable      this host cannot carry it: its keeper does not start, or refuses what the kernel refuses
NetworkSilent        its keeper runs but does not answer
NetworkApart         all of it is carried here, but does not reach what other hosts carry of it
"""

from __future__ import annotations


class NetworkError(Exception):
    """Base of everything that networks raise on purpose."""


class NetworkInvalid(NetworkError, ValueError):
    """A value that no network can have."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field  #: The name of the value's field, such as ``cidr``.
        self.reason = reason


class NetworkMissing(NetworkError):
    """No such VPC is held here, or no such interface in it."""


class NetworkUnusable(NetworkError):
    """This host cannot carry the network; the message says why."""


class NetworkSilent(NetworkError):
    """The keeper of a VPC runs but does not answer in time, or says what none says."""


class NetworkApart(NetworkError):
    """The VPC is carried here, but does not reach what other hosts carry of it; the message says why."""
