"""Keeps in the rows what guests keep in their firmware, such as from where they boot: a host may not come back.

A machine that is stopped leaves it there with its end. Of one that runs it is looked at now and then, so that what a
guest wrote in the last half minute of its host is lost with that; and once of all that a start finds, as of machines
that an older Kiln had, or that ended while none was there.
"""

from __future__ import annotations

from kiln.calls.call import Ports
from kiln.ground.journal import Journal
from kiln.operations.steps import variables
from kiln.store.database import Transaction
from kiln.upkeep.moves import is_coming

_LOOKS = 2  #: At what was written: a change in the same tick of the file system's clock shows in no time of the file.

log = Journal("kiln.upkeep")


class VariablesKeeper:
    """Looks at what has changed since it looked last."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, int]] = {}

    def __call__(self, ports: Ports) -> list[str]:
        """Returns the instances of which something else is kept now."""
        found = ports.machines.variables_at()
        self._seen = {instance: seen for instance, seen in self._seen.items() if instance in found}
        return [instance for instance, at in found.items() if self._look(ports, instance, at)]

    def _look(self, ports: Ports, instance: str, at: int) -> bool:
        """Whether something else is kept now. A look whose words could not be written is none: the next is in place."""
        before, looks = self._seen.get(instance, (at, 0))
        looks = looks if before == at else 0
        is_kept = looks < _LOOKS and _keep(ports, instance)
        self._seen[instance] = (at, min(looks + 1, _LOOKS))
        return is_kept


def _keep(ports: Ports, instance: str) -> bool:
    if ports.machines.has_come(instance):
        return False  # As it was when it was sent, or older.
    packed = ports.machines.variables(instance)
    if not packed:
        log.warning("firmware_variables_not_kept", instance=instance)
        return False

    def keep(tx: Transaction) -> bool:
        # What is here may be older than what is kept. Whoever takes the guest over keeps what that has.
        return not is_coming(tx, instance, ports.host) and variables.keep(tx, ports, instance, packed)

    return ports.database.write(keep)
