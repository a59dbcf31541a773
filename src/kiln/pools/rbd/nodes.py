"""The block node that QEMU opens a volume on Ceph with."""

from __future__ import annotations

from typing import Any

from kiln.pools.rbd.cluster import Cluster
from kiln.pools.rbd.directory import Entry


def name(entry: Entry) -> str:
    """The node's name: of what only this image has in its name, since QEMU takes 31 characters at most."""
    return "rbd-" + entry.image.rpartition(".")[2]


def node(cluster: Cluster, entry: Entry) -> dict[str, Any]:
    """``blockdev-add`` arguments for an image, to be written, or for a snapshot of it. Raises ToolFailed."""
    address = cluster.address
    found: dict[str, Any] = {
        "driver": "rbd",
        "node-name": name(entry),
        "pool": address.pool,
        "image": entry.image,
        "user": address.user,
        **cluster.entrance(),
        "read-only": not entry.is_head,
        # What is flushed is on the disks of the cluster, and what the guest trims goes back to it.
        "cache": {"direct": False, "no-flush": False},
    }
    if entry.is_head:
        found["discard"] = "unmap"
    else:
        found["snapshot"] = entry.snapshot
    if address.namespace:
        found["namespace"] = address.namespace
    return found
