"""What can go wrong with the guests that Kiln makes.

GuestError
GuestUnbuildable     a tool or a Debian package that it is made from cannot be had
GuestSilent          it did not come up or answer in time
GuestRefused         it answered a command with an error
"""

from __future__ import annotations


class GuestError(Exception):
    """Base of everything that is raised here on purpose."""


class GuestUnbuildable(GuestError):
    """A tool or a package that the guest is made from cannot be had; *why* says which, and ends the sentence."""

    def __init__(self, why: object) -> None:
        super().__init__(f"The guest cannot be built: {why}")


class GuestSilent(GuestError):
    """The guest did not come up, or did not answer, before the deadline."""


class GuestRefused(GuestError):
    """The guest answered ``>> error``; its words are in the message."""
