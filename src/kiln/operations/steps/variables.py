"""What an instance's firmware keeps goes with the instance: from the host that had its machine to the rows, and on."""

from __future__ import annotations

from dataclasses import replace

from kiln.calls.call import Ports
from kiln.machines.port import Machine
from kiln.store import firmware
from kiln.store.database import Transaction


def brought(ports: Ports, machine: Machine) -> Machine:
    """The machine, which is to start here, with what is kept of its firmware: for where this host has none as good.

    Whoever starts it records then that this host has it (``firmware.take``), before the guest runs.
    """
    with ports.database.read() as tx:
        row = firmware.firmware_variables.find(tx, instance=machine.instance)
    if row is None:
        return machine
    return replace(machine, variables=row.contents, has_variables=row.host == ports.host)


def keep(tx: Transaction, ports: Ports, instance: str, packed: str) -> bool:
    """Keep *packed*, as ``machines.variables`` gave it a moment ago; whether it was not kept so already."""
    return bool(packed) and firmware.keep(tx, instance, ports.host, packed, ports.clock())
