"""What is kept of firmware and is nobody's, or nothing that a firmware could have."""

from __future__ import annotations

from kiln.machines.variables import NotVariables, require_readable
from kiln.store.database import Transaction
from kiln.store.firmware import FirmwareVariables, firmware_variables
from kiln.store.instances import instances
from kiln.upkeep.findings import Finding, mended


def lost_variables(tx: Transaction, _: float, *, repair: bool) -> list[Finding]:
    """Look for them, and with *repair* take them away: the instance has what its host has then, or begins anew."""
    found = []
    for row in firmware_variables.all(tx):
        if fault := _fault(tx, row):
            if repair:
                firmware_variables.delete(tx, instance=row.instance)
            found.append(mended(row.instance, fault, done="removed", would="would be removed", repair=repair))
    return found


def _fault(tx: Transaction, row: FirmwareVariables) -> str:
    if instances.find(tx, id=row.instance) is None:
        return "has UEFI variables, and there is no such instance"
    try:
        require_readable(row.contents)
    except NotVariables as error:
        return f"its UEFI variables cannot be those of a firmware: {error}"
    return ""
