"""The guest of a running QEMU: what a pool may ask of it while it freezes or merges layers underneath.

Every call may be made again after a crash at any line of it: what is already so
is found out from QEMU, never remembered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from kiln.declare.killpoints import reach
from kiln.machines import agent, blocks
from kiln.machines.command import AGENT
from kiln.machines.errors import MachineError, MachineRefused
from kiln.machines.merging import merge
from kiln.machines.qmp import open_session
from kiln.machines.runfolder import RunFolder

QUIESCE_LIMIT_S = 2.0
_SWITCH_TIMEOUT_S = 60.0  #: What the guest has written but not flushed goes to the disks first.


class QemuGuest:
    """Implements ``port.RunningGuest``."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder

    def switch(self, nodes: Sequence[tuple[str, dict[str, Any]]]) -> None:
        """See ``pools.port.Guest``.

        Raises MachineRefused, and then nothing is switched; MachineMissing; MachineSilent.
        """
        with self._folder.held(), open_session(self._folder.qmp, _SWITCH_TIMEOUT_S) as qmp:
            present, tops = blocks.open_nodes(qmp), blocks.disks(qmp)
            due = [(node, overlay) for node, overlay in nodes if not _is_done(node, overlay, present, tops.keys())]
            if not due:
                return
            reach("machines.before_switch")
            names = [overlay["node-name"] for _, overlay in due]
            try:
                # Without its backing node for now, which the snapshot itself will put below it.
                blocks.open_chain(qmp, [overlay | {"backing": None} for _, overlay in due], present)
                reach("machines.overlays_opened")
                moves = [
                    {"type": "blockdev-snapshot", "data": {"node": node, "overlay": overlay["node-name"]}}
                    for node, overlay in due
                ]
                # One transaction: the guest's writes go to all overlays from the same instant on.
                qmp.execute("transaction", {"actions": moves})
            except MachineRefused:
                blocks.close(qmp, names)
                raise
            reach("machines.switched")

    def stream(self, node: str, base: str | None, backing_file: str | None) -> None:
        """See ``pools.port.Guest``. Waits as long as it takes.

        Raises MachineRefused when QEMU cannot, for example on a full file
        system: then the chain is as it was. Also MachineMissing, MachineSilent.
        """
        if (base is None) != (backing_file is None):
            raise ValueError("a base has a file, and no base has none")
        merge(self._folder, node, base, backing_file)

    def has_node(self, node: str) -> bool:
        """See ``pools.port.Guest``."""
        with open_session(self._folder.qmp) as qmp:
            return node in blocks.open_nodes(qmp)

    def pause(self) -> None:
        """See ``pools.port.Guest``."""
        with open_session(self._folder.qmp) as qmp:
            qmp.execute("stop")

    def resume(self) -> None:
        """See ``pools.port.Guest``."""
        with open_session(self._folder.qmp) as qmp:
            qmp.execute("cont")

    @contextmanager
    def quiesced(self) -> Iterator[bool]:
        """See ``port.RunningGuest``. A guest without an agent is known at once, it costs no two seconds."""
        try:
            has_agent = self._has_agent()
        except MachineError:
            has_agent = False
        if not has_agent:
            yield False
            return
        with agent.frozen(self._folder.agent, QUIESCE_LIMIT_S) as is_frozen:
            yield is_frozen

    def _has_agent(self) -> bool:
        with open_session(self._folder.qmp, QUIESCE_LIMIT_S) as qmp:
            channels = qmp.execute("query-chardev")
        return any(channel["label"] == AGENT and channel["frontend-open"] for channel in channels)


def _is_done(node: str, overlay: dict[str, Any], present: set[str], tops: Any) -> bool:
    """Whether the overlay stands above the node already. Raises MachineRefused when it neither does nor can."""
    if node in tops:
        return False
    if overlay["node-name"] in present:
        return True
    raise MachineRefused(f"{node} is not the top of a disk, so {overlay['node-name']} cannot be put above it.")
