"""What an instance takes of a host's room, by its type."""

from __future__ import annotations

from kiln.declare.deployment import Deployment
from kiln.store.hosts import NOTHING, Room


def size_in(deployment: Deployment, instance_type: str) -> Room:
    """What an instance of the type takes; nothing where there is no such type any more, as it does not start then."""
    kind = deployment.instance_type(instance_type)
    return NOTHING if kind is None else Room(cpus=kind.cpus, memory_mib=kind.memory_mib)
