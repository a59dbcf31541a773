"""UEFI variables of instances: what their guests keep in the firmware, such as from where they boot.

A machine has them in a file of its run folder, which is of one host. Here is what others are to know, so that the
instance finds them wherever it starts.
"""

from __future__ import annotations

from kiln.declare.states import InstanceStatus
from kiln.ground.values import dataclass
from kiln.store.database import Transaction
from kiln.store.instances import instances
from kiln.store.rows import Rows


@dataclass(frozen=True, kw_only=True)
class FirmwareVariables:
    """What an instance's firmware keeps."""

    instance: str
    host: str  #: Which has them as they are now in the machine's run folder, if that is there still.
    contents: str  #: As ``kiln.machines.variables`` packs them. They are the guest's, and nothing in them is believed.
    kept_at: float


firmware_variables: Rows[FirmwareVariables] = Rows("firmware_variables", FirmwareVariables, key=("instance",))


def keep(tx: Transaction, instance: str, host: str, contents: str, now: float) -> bool:
    """Keep what a host has of an instance; False where it is kept so already, or another host has it as it is now.

    A host has it where it took it, where its machine runs, however it came there, and where it was before any was kept.
    """
    about = instances.find(tx, id=instance)
    if about is None:
        return False
    runs_here = about.host == host and about.status in (InstanceStatus.RUNNING, InstanceStatus.STOPPING)
    row = firmware_variables.find(tx, instance=instance)
    if row is None:
        if not runs_here and about.last_host != host:
            return False
        firmware_variables.insert(tx, FirmwareVariables(instance=instance, host=host, contents=contents, kept_at=now))
        return True
    if (row.host, row.contents) == (host, contents) or not (runs_here or row.host == host):
        return False
    changes = {"host": host, "contents": contents, "kept_at": now}
    return firmware_variables.update(tx, changes, instance=instance) > 0


def take(tx: Transaction, instance: str, host: str) -> None:
    """Record that a host has them now, as they were kept."""
    firmware_variables.update(tx, {"host": host}, instance=instance)
