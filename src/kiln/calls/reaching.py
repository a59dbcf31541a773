"""Where the guest of an instance of this host is reached."""

from __future__ import annotations

from kiln.calls.elsewhere import Reach
from kiln.calls.plane import Plane
from kiln.machines.port import Machines
from kiln.store.database import Transaction
from kiln.store.interfaces import primary_of

_SSH = 22


def reach_of(tx: Transaction, machines: Machines, plane: Plane | None, instance: str) -> Reach:
    """How its card is joined, what its public addresses lead to, and where port 22 is reached."""
    if not machines.is_running(instance):
        return Reach()
    card, still = primary_of(tx, instance), machines.why_still(instance)
    if plane is None or card is None or not machines.is_cabled(instance):
        return Reach(network="user", ssh=machines.reach(instance), still=still)
    ports = tuple((address, guest, port) for address, guest, port in plane.reached(card))
    ssh = next((f"{address}:{port}" for address, guest, port in ports if guest == _SSH), "")
    return Reach(network="cable", ssh=ssh, ports=ports, still=still)
