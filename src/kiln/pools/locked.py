"""A pool whose files a machine locks, for as long as it lives and no longer, so that nobody else writes them.

QEMU locks what it writes, and the kernel lets go of it when that dies. Where QEMU lets go of it before, as with a guest
that it sends elsewhere, a lock of Kiln's own stays (``guests.KEPT_BYTE``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping


class Locked:
    """What such a pool does of ``port.Pool`` about who has its volumes open."""

    def cut_off(self, volumes: Collection[str]) -> None:
        """See ``port.Pool``."""

    def writers(self, volumes: Collection[str]) -> Mapping[str, frozenset[str]]:  # noqa: ARG002 - the port's.
        """See ``port.Pool``."""
        return {}

    def shut_out(self, writers: Collection[str]) -> None:
        """See ``port.Pool``."""
