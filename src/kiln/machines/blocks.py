"""The disks of a running machine, as QEMU knows them: devices, and block nodes in chains below them.

A node is named as its volume. Two chains may share layers; a node is opened
once, and closed when nothing stands on it any more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from kiln.machines.errors import MachineRefused
from kiln.machines.qmp import Session

_DEVICES = "/machine/peripheral/"


def open_nodes(qmp: Session) -> set[str]:
    """The names of all nodes that are open, QEMU's own (``#block…``) left out."""
    nodes = qmp.execute("query-named-block-nodes", {"flat": True})
    return {node["node-name"] for node in nodes if not node["node-name"].startswith("#")}


def disks(qmp: Session) -> dict[str, str]:
    """The node on top of each disk, and the disk's device."""
    found = {}
    for block in qmp.execute("query-block"):
        path, node = block.get("qdev", ""), block.get("inserted", {}).get("node-name")
        if path.startswith(_DEVICES) and node is not None:
            found[node] = path.removeprefix(_DEVICES).partition("/")[0]
    return found


def open_chain(qmp: Session, nodes: Iterable[dict[str, Any]], present: Collection[str] | None = None) -> None:
    """Open those nodes of a chain, lowest first, that are not open yet.

    *present* are those that are, where the caller has asked QEMU already.
    Raises MachineRefused, and then any of the others may be open.
    """
    present = open_nodes(qmp) if present is None else present
    qmp.execute_each("blockdev-add", [node for node in nodes if node["node-name"] not in present])


def close(qmp: Session, nodes: Sequence[str]) -> None:
    """Close nodes again that nothing uses; those that something does use are left."""
    for node in nodes:
        try:
            qmp.execute("blockdev-del", {"node-name": node})
        except MachineRefused:
            continue


def close_unused(qmp: Session) -> None:
    """Close every node that neither a disk nor another node uses."""
    present = open_nodes(qmp)
    while present:
        # QEMU knows which node is in use and by what; whatever it agrees to close was needed by nobody.
        close(qmp, sorted(present - disks(qmp).keys()))
        left = open_nodes(qmp)
        if left == present:
            return
        present = left
