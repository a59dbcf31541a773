"""What an instance's firmware keeps goes with the instance: from the host that had its machine to the rows, and on."""

from __future__ import annotations

from kiln.calls.call import Ports
from kiln.store import firmware
from kiln.store.database import Transaction


def brought(ports: Ports, instance: str) -> str:
    """What a machine that is to start here is to find in its firmware; empty where this host has it, or nobody.

    Whoever starts it records then that this host has it (``firmware.take``), before the guest runs.
    """
    with ports.database.read() as tx:
        row = firmware.firmware_variables.find(tx, instance=instance)
    if row is None or (row.host == ports.host and instance in ports.machines.variables_at()):
        return ""
    return row.contents


def keep(tx: Transaction, ports: Ports, instance: str, packed: str) -> bool:
    """Keep *packed*, as ``machines.variables`` gave it a moment ago; whether it was not kept so already."""
    return bool(packed) and firmware.keep(tx, instance, ports.host, packed, ports.clock())
