"""The passphrases of encrypted disks that QEMU makes its own again, as a guest goes from one QEMU to another.

QEMU reads the header of an encrypted file anew when it makes a disk its own that
was another's for a while, and needs the passphrase for that. Where it does not
have it the disk is gone from that machine for good: QEMU says "ejected" of it from
then on, and lets the guest run without it when it is told to run again. So it has
all of them before anything may make it try, and forgets them once the disks are
its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from kiln.ground.passphrases import within
from kiln.machines import blocks
from kiln.machines.errors import MachineBusy, MachineError
from kiln.machines.hearing import mappings, text
from kiln.machines.port import Chain
from kiln.machines.qmp import Session

_OBJECTS = "/objects"


def require_known(qmp: Session, chains: Sequence[Chain]) -> None:
    """Raise MachineBusy where the machine has an encrypted file open whose passphrase *chains* do not have.

    That is so of one that was merged since QEMU opened it, and has not been followed yet: what took its name has a
    passphrase of its own, and stands on another layer (``following``).
    """
    parents = {node["node-name"]: node.get("backing") for chain in chains for node in chain}
    for name, place in blocks.places(qmp).items():
        volume, below = blocks.volume_of(name), place.backing and blocks.volume_of(place.backing)
        if place.is_encrypted and (volume not in parents or parents[volume] != below):
            raise MachineBusy(f"The machine reads {volume} still as it was before it was merged, and it is encrypted.")


def tell(qmp: Session, chains: Sequence[Chain]) -> None:
    """Tell QEMU the passphrases of *chains* that it does not know yet. Raises as ``require_known``; MachineRefused."""
    require_known(qmp, chains)
    known = _known(qmp)
    missing = [one for one in within(node for chain in chains for node in chain) if one not in known]
    secrets = [{"qom-type": "secret", "id": one, "format": one.form, "data": one.text} for one in missing]
    qmp.execute_each("object-add", secrets)


def forget(qmp: Session) -> None:
    """Tell QEMU to forget every passphrase that it knows, whoever told it."""
    known = _known(qmp)
    qmp.execute_each("object-del", [{"id": one} for one in known])


@contextmanager
def forgetting(qmp: Session) -> Iterator[None]:
    """Until its end QEMU may know passphrases, and then no more, also where that raises."""
    try:
        yield
    except Exception:
        with suppress(MachineError):
            forget(qmp)
        raise
    forget(qmp)


def _known(qmp: Session) -> list[str]:
    listed: list[dict[str, Any]] = mappings(qmp.execute("qom-list", {"path": _OBJECTS}))
    return [text(entry, "name") for entry in listed if text(entry, "type") == "child<secret>"]
