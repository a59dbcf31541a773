"""The port behind which instances have networks, on the host where their machines run.

A VPC's place is held as a whole: whoever changes a rule, an interface or a
public address says what the VPC is to be from then on. So every call may be
made again, and one that was made late changes nothing that came after it.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from kiln.ground.values import dataclass
from kiln.networks.values import Place


@dataclass(frozen=True)
class Cable:
    """What QEMU joins an interface by: a pair of Unix sockets for datagrams, one Ethernet frame in each.

    QEMU makes ``end`` in its own folder, with rights for all, and sends to ``switch``.
    """

    folder: Path  #: QEMU may pass through it.
    mac: str

    @property
    def switch(self) -> Path:
        return self.folder / "switch"

    @property
    def end(self) -> Path:
        return self.folder / "qemu" / "end"


@dataclass(frozen=True)
class Question:
    """A connection to the metadata service, by whose interface it came. Whoever gets it closes it."""

    vpc: str
    interface: str
    connection: socket.socket


class Networks(Protocol):
    """The networks of this host's instances."""

    kind: str  #: ``keepers`` or ``memory``.

    def hold(self, place: Place) -> None:
        """Have the VPC as *place* says, after any restart too; one older than what is held changes nothing.

        What goes through it is judged by the old rules or by the new ones, never by none.
        Raises NetworkUnusable, NetworkSilent; then it is held, and carried by the next call that succeeds. Raises
        NetworkApart when all of it is carried, but does not reach what other hosts carry of it.
        """

    def held(self, vpc: str) -> Place | None:
        """What is held of the VPC."""

    def vpcs(self) -> list[str]:
        """Those that are held."""

    def let_go(self, vpc: str) -> None:
        """End the VPC and forget it; no error when it is not held."""

    def cable(self, vpc: str, interface: str, uid: int | None) -> Cable:
        """What the interface is joined by, usable by the user *uid*; None: Kiln's own. Raises NetworkMissing.

        Of an interface that is laid it leads nowhere until that is carried, under whoever holds it.
        """

    def listening(self, vpc: str) -> Mapping[str, Mapping[int, int]]:
        """By public address: the guest's TCP ports that can be reached there, each with the port of the address for it.

        They are the same but where a port cannot be had, as those below 1024 by who is not root.
        """

    def revive(self) -> list[str]:
        """Carry anew every VPC that is held and not carried, as after the end of a keeper or a host; which were."""

    def close(self) -> None:
        """Let questions wait for the next Kiln. What is carried goes on."""

    def question(self, timeout_s: float) -> Question | None:
        """The next connection to the metadata service; None when none comes for so long. For one thread."""
