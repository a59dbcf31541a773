"""What can go wrong with the small guest.

GuestError
GuestUnbuildable     a tool or a Debian package that it is made from cannot be had
GuestSilent          it did not come up or answer in time
GuestRefused         it answered a command with an error
"""

from __future__ import annotations


class GuestError(Exception):
    """Base of everything that the small guest raises on purpose."""


class GuestUnbuildable(GuestError):
    """A tool or a package that the guest is made from cannot be had; the message is one sentence that says which."""


class GuestSilent(GuestError):
    """The guest did not come up, or did not answer, before the deadline."""


class GuestRefused(GuestError):
    """The guest answered ``>> error``; its words are in the message."""
