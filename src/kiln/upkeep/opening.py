"""Having the machines that run open what is ready above their heads, so that an instant need not wait for it."""

from __future__ import annotations

from collections import defaultdict

from kiln.calls.call import Ports
from kiln.declare.ids import new_id
from kiln.store.disks import disks
from kiln.upkeep.places import Places

_WITHIN_S = 1.0  #: A machine that is slower is not waited for, and goes on with it.

_places: Places[bool] = Places("ahead")


def want_again(ports: Ports) -> None:
    """Have overlays made ready above the heads of machines that run already, of which this Kiln granted none."""
    living = list(ports.machines.running())
    if not living:
        return
    with ports.database.read() as tx:
        found = disks.all(tx, disks.c.instance.in_(living))
    ports.pool.overlays.want([disk.volume for disk in found if disk.volume is not None])


def open_ahead(ports: Ports) -> None:
    """Ask each machine for which it is time; one that does not run, or is busy, is asked again some times."""
    heads = ports.pool.overlays.due_to_open()
    if not heads:
        return
    wanted: dict[str, dict[str, str]] = defaultdict(dict)
    with ports.database.read() as tx:
        for head in heads:
            disk = disks.find(tx, volume=head)
            if disk is not None and disk.instance is not None:
                wanted[disk.instance][head] = new_id("volume")

    def open_in(instance: str) -> bool:
        guest = ports.machines.guest(instance)
        if guest is not None:
            ports.pool.overlays.open(wanted[instance], guest)
        return guest is not None

    _places.ask(wanted, open_in, _WITHIN_S)
