"""Letting a running machine go over to layers that were merged while it reads them.

A layer is merged into its only child on a copy of the child, which then takes
its place under the same name (``pools.absorb``). A machine that has the two open
goes on reading the old files, which are equal, but as long as it does their space
does not come back. So QEMU is told: it opens the new file beside the old one,
and one ``blockdev-reopen`` puts whatever stood on the old one on the new one. QEMU
writes nothing for that; a kill at any line leaves nodes that read the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Any

from kiln.ground.killpoints import reach
from kiln.ground.values import dataclass
from kiln.machines import blocks
from kiln.machines.errors import MachineBusy, MachineRefused
from kiln.machines.port import Chain
from kiln.machines.qmp import Session, open_session
from kiln.machines.runfolder import RunFolder


def follow(folder: RunFolder, chains: Sequence[Chain], filler: str) -> bool:
    """What ``pools.guests.Guest.follow`` promises. *filler* begins the names of the nodes that a merge works with.

    Raises MachineBusy, MachineRefused, MachineMissing, MachineSilent.
    """
    with folder.held(waits=False), open_session(folder.qmp) as qmp:
        before = require_no_merge(qmp, folder.instance, filler)
        blocks.close_unused(qmp)  # What an earlier run opened may be out of date by now.
        reach("machines.before_follow")
        plan = _plan(blocks.places(qmp), chains)
        try:
            blocks.open_all(qmp, plan.fresh)
            blocks.require_own_backing(qmp, [blocks.volume_of(node["node-name"]) for node in plan.fresh])
            reach("machines.fresh_opened")
            if plan.moves:
                # All at once, so that two disks never stand on different nodes of one volume.
                qmp.execute("blockdev-reopen", {"options": plan.moves})
        except (MachineBusy, MachineRefused):
            blocks.close_unused(qmp)
            raise
        reach("machines.followed")
        blocks.close_unused(qmp)
        return bool(before - blocks.open_nodes(qmp))


def require_no_merge(qmp: Session, instance: str, filler: str) -> set[str]:
    """The machine's open nodes. Raises MachineBusy while a merge is at work: it holds on to what it copies from."""
    present = blocks.open_nodes(qmp)
    if any(node.startswith(filler) for node in present) or qmp.execute("query-jobs"):
        raise MachineBusy(f"A merge is at work under the machine of {instance}.")
    return present


@dataclass
class _Plan:
    """What to do, and with which node each volume is read then."""

    names: dict[str | None, str | None] = field(default_factory=lambda: {None: None})
    fresh: list[dict[str, Any]] = field(default_factory=list)  #: ``blockdev-add`` arguments, lowest first.
    moves: list[dict[str, Any]] = field(default_factory=list)  #: Options of ``blockdev-reopen``.


def _plan(stand: dict[str, blocks.Place], chains: Sequence[Chain]) -> _Plan:
    """Find the nodes whose files were replaced, and what stands on them.

    A merge always puts its child on another parent. So a node that stands on
    its volume's parent has the present file, and any other an earlier one.
    """
    plan = _Plan()
    for node in _open_now(stand, chains):
        volume, parent = node["node-name"], node["backing"]
        present = [name for name in blocks.names_of(volume) if name in stand]
        name = next((name for name in present if _stands_on(stand[name].backing, parent)), None)
        if name is None:
            name = next((free for free in blocks.names_of(volume) if free not in stand), None)
            if name is None or not node["read-only"]:
                raise MachineBusy(f"{volume} does not stand on {parent} any more, or not yet.")
            plan.fresh.append(node | {"node-name": name, "backing": plan.names[parent]})
        elif stand[name].backing != plan.names[parent]:
            plan.moves.append(_moved(node, name, stand[name], plan.names[parent]))
        plan.names[volume] = name
    return plan


def _open_now(stand: dict[str, blocks.Place], chains: Sequence[Chain]) -> list[dict[str, Any]]:
    """The nodes of the chains that the machine has open, lowest first, those that several share once."""
    nodes = [node for chain in chains if chain and chain[-1]["node-name"] in stand for node in chain]
    return list({node["node-name"]: node for node in nodes}.values())


def _stands_on(below: str | None, parent: str | None) -> bool:
    return (None if below is None else blocks.volume_of(below)) == parent


def _moved(node: dict[str, Any], name: str, place: blocks.Place, below: str | None) -> dict[str, Any]:
    """The node's present options on another node below; QEMU gives what is left out its default."""
    # A head that a freeze has just made a layer is read-only already, and must not be opened for writing again.
    options = {"node-name": name, "backing": below, "read-only": place.is_read_only, "file": place.file}
    return node | options
