"""What a pool has ready above heads where nothing need be: a snapshot is made in place."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from kiln.pools.guests import Guest


class NoOverlays:
    """Implements ``port.Overlays`` for a pool in which nothing is made ready above heads."""

    def want(self, heads: Collection[str]) -> None:
        """See ``port.Overlays``."""

    def due_to_open(self) -> list[str]:
        """See ``port.Overlays``."""
        return []

    def open(self, volumes: Mapping[str, str], guest: Guest) -> None:
        """See ``port.Overlays``."""

    def name_of(self, head: str) -> str | None:  # noqa: ARG002 - the port's.
        """See ``port.Overlays``."""
        return None
