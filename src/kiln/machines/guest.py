"""The guest of a running QEMU: what a pool may ask of it while it freezes or merges layers underneath.

Every call may be made again after a crash at any line of it: what is already so
is found out from QEMU, never remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from kiln.ground.killpoints import reach
from kiln.ground.passphrases import Passphrase
from kiln.machines import agent, blocks, process
from kiln.machines.command import AGENT
from kiln.machines.errors import (
    MachineAstray,
    MachineBusy,
    MachineGarbled,
    MachineRefused,
    MachineSilent,
    MachineUntold,
)
from kiln.machines.following import follow, require_no_merge
from kiln.machines.hearing import flag, mapping, mappings
from kiln.machines.merging import FILLER, merge
from kiln.machines.qmp import Session, hail, open_session
from kiln.machines.runfolder import RunFolder
from kiln.pools.guests import NO_KEYS

QUIESCE_LIMIT_S = 2.0
#: What the guest has written but not flushed goes to the disks first, which may take longer; QEMU goes on with it when
#: nobody listens any more, and whoever asks again finds it done.
_SWITCH_TIMEOUT_S = 5.0
_HAS_NODE_TIMEOUT_S = 5.0
_AHEAD_TIMEOUT_S = 2.0
#: An overlay is opened without its backing node, which the snapshot itself will put below it.
_ALONE = {"backing": None}

_Switches = list[tuple[str, dict[str, Any]]]


class QemuGuest:
    """Implements ``pools.guests.Guest``."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder

    def switch(
        self,
        nodes: Sequence[tuple[str, dict[str, Any]]],
        settle: Callable[[], None],
        opened: Collection[str] = (),
        leads_home: Callable[[str, str], bool] | None = None,
    ) -> bool:
        """See ``pools.guests.Guest``.

        Raises MachineRefused, MachineAstray or MachineUntold, and then nothing is switched; MachineMissing;
        MachineSilent.
        """
        with self._folder.held(), _greeted(self._folder.qmp) as qmp:
            reach("machines.before_switch")
            try:
                due, has_agent = _open(qmp, nodes, settle, opened, leads_home)
            except MachineSilent as error:
                raise MachineUntold(str(error)) from error
            reach("machines.overlays_opened")
            try:
                return self._move(qmp, due, has_agent=has_agent)
            except MachineRefused:
                _close(qmp, due)
                if not opened:
                    raise
            # What was opened ahead may have been closed since, and then nothing was switched.
            due = _open_again(qmp, nodes)
            try:
                return self._move(qmp, due, has_agent=has_agent)
            except MachineRefused:
                _close(qmp, due)
                raise

    def hold(self, act: Callable[[], None]) -> bool:
        """See ``pools.guests.Guest``. Raises MachineRefused, MachineMissing, MachineSilent, and what *act* raises."""
        folder = self._folder
        with folder.held(), open_session(folder.qmp, _SWITCH_TIMEOUT_S) as qmp:
            goes_on = flag(mapping(qmp.execute("query-status")), "running") or folder.resumption_owed.exists()
            is_heard = goes_on and has_agent(qmp.execute("query-chardev"))
            with self._quiesced_by(is_there=is_heard) as freeze:
                if goes_on:
                    # Before, because whoever is killed from here on can have nothing go on any more.
                    folder.owe_resumption()
                reach("machines.before_hold")
                try:
                    qmp.execute("stop")  # QEMU flushes all disks for it, and ends what was under way.
                    reach("machines.held")
                    act()
                    reach("machines.acted")
                finally:
                    if goes_on:
                        qmp.execute("cont")
                        folder.pay_resumption()
                reach("machines.resumed")
                return freeze.is_held

    def open_ahead(self, overlays: Sequence[dict[str, Any]], kept: Collection[str]) -> None:
        """See ``pools.guests.Guest``. Raises MachineBusy, MachineRefused, MachineMissing, MachineSilent."""
        with self._folder.held(waits=False), open_session(self._folder.qmp, _AHEAD_TIMEOUT_S) as qmp:
            require_no_merge(qmp, self._folder.instance, FILLER)
            reach("machines.before_ahead")
            _close_left(qmp, kept)
            blocks.open_all(qmp, [overlay | _ALONE for overlay in overlays])
            reach("machines.opened_ahead")

    def stream(
        self, node: str, base: str | None, backing_file: str | None, passphrases: Mapping[str, Passphrase] = NO_KEYS
    ) -> None:
        """See ``pools.guests.Guest``. Waits as long as it takes.

        Raises MachineRefused when QEMU cannot, for example on a full file
        system: then the chain is as it was. Also MachineMissing, MachineSilent.
        """
        if (base is None) != (backing_file is None):
            raise ValueError("a base has a file, and no base has none")
        merge(self._folder, node, base, backing_file, passphrases)

    def follow(self, chains: Sequence[Sequence[dict[str, Any]]]) -> bool:
        """See ``pools.guests.Guest``.

        Raises MachineBusy while somebody else changes the machine or merges
        under it, MachineRefused, MachineMissing, MachineSilent.
        """
        return follow(self._folder, chains, FILLER)

    def require_home(self, volumes: Collection[str], leads_home: Callable[[str, str], bool]) -> None:
        """See ``pools.guests.Guest``. Raises MachineAstray, MachineMissing, MachineSilent."""
        with open_session(self._folder.qmp) as qmp:
            stand = blocks.places(qmp)
        _require_home(stand, [name for volume in volumes for name in blocks.names_of(volume)], leads_home)

    def has_node(self, node: str) -> bool:
        """See ``pools.guests.Guest``."""
        with open_session(self._folder.qmp, _HAS_NODE_TIMEOUT_S) as qmp:
            return not blocks.open_nodes(qmp).isdisjoint(blocks.names_of(node))

    def stands_above(self, node: str) -> bool:
        """See ``pools.guests.Guest``."""
        with open_session(self._folder.qmp, _HAS_NODE_TIMEOUT_S) as qmp:
            stand = blocks.places(qmp)
        return any(name in stand and stand[name].backing is not None for name in blocks.names_of(node))

    def is_alive(self) -> bool:
        """See ``pools.guests.Guest``."""
        return process.find(self._folder) is not None

    def resize(self, node: str, size_bytes: int) -> None:
        """See ``pools.guests.Guest``. Raises MachineRefused, MachineMissing, MachineSilent."""
        with self._folder.held(), open_session(self._folder.qmp) as qmp:
            qmp.execute("block_resize", {"node-name": node, "size": size_bytes})
            reach("machines.resized")

    def _move(self, qmp: Session, due: _Switches, *, has_agent: bool) -> bool:
        """Put the overlays that are due above their nodes. Raises as ``switch`` does."""
        moves = [
            {"type": "blockdev-snapshot", "data": {"node": node, "overlay": overlay["node-name"]}}
            for node, overlay in due
        ]
        # Also when nothing is left to do: a Kiln that was killed in here has left the guest frozen.
        with self._quiesced_by(is_there=has_agent) as freeze:
            is_quiesced = _switch(qmp, moves, freeze)
            reach("machines.switched")
        return is_quiesced and bool(due)

    @contextmanager
    def _quiesced_by(self, *, is_there: bool) -> Iterator[agent.Freeze]:
        """Hold it frozen. A guest without an agent is known at once from QEMU, it costs no two seconds."""
        if not is_there:
            yield agent.Freeze(None, None, is_held=False)
            return
        folder = self._folder
        with agent.frozen(folder.agent, QUIESCE_LIMIT_S, folder.owe_thaw, folder.pay_thaw) as freeze:
            yield freeze


def resume(folder: RunFolder) -> None:
    """Have a machine go on that a killed process had stand still, unless somebody does so just now.

    Raises MachineRefused, MachineMissing, MachineSilent.
    """
    if not folder.resumption_owed.exists() or folder.is_between:
        return
    with suppress(MachineBusy), folder.held(waits=False):
        if folder.resumption_owed.exists():
            with open_session(folder.qmp, _HAS_NODE_TIMEOUT_S) as qmp:
                qmp.execute("cont")
            folder.pay_resumption()


@contextmanager
def _greeted(path: Path) -> Iterator[Session]:
    """As ``hail``; raises MachineUntold where nobody greets."""
    with ExitStack() as session:
        try:
            qmp = session.enter_context(hail(path, _SWITCH_TIMEOUT_S))
        except MachineSilent as error:
            raise MachineUntold(str(error)) from error
        yield qmp


def _switch(qmp: Session, moves: Sequence[dict[str, Any]], freeze: agent.Freeze) -> bool:
    """Make the moves, all at one instant; whether the freeze was held until they were made.

    One transaction: the guest's writes go to all overlays from the same instant
    on. One that takes longer than a guest may be held still is waited for with
    the guest let go.
    """
    if not moves:
        return freeze.is_held
    numbers = qmp.begin("transaction", [{"actions": moves}])
    if freeze.is_held:
        try:
            qmp.finish("transaction", numbers, freeze.left())
        except MachineGarbled:
            raise
        except MachineSilent:
            freeze.ask_back()
        else:
            return True
    qmp.finish("transaction", numbers)
    return False


def _open(
    qmp: Session,
    nodes: Sequence[tuple[str, dict[str, Any]]],
    settle: Callable[[], None],
    opened: Collection[str],
    leads_home: Callable[[str, str], bool] | None,
) -> tuple[_Switches, bool]:
    """Open the overlays that were not *opened* ahead.

    Returns those that do not stand above their nodes yet, and whether the guest
    has an agent. Mostly none stands there, so how the disks stand is asked only
    when QEMU refuses to open one: each question costs as much as a tenth of the
    whole switch. All that is always asked is said at once, even before QEMU has
    greeted, and while it is at it *settle* has its time. Raises what that does
    and MachineRefused or MachineAstray, and then none is open that was not in use.
    """
    missing = [overlay | _ALONE for _, overlay in nodes if overlay["node-name"] not in opened]
    additions = blocks.begin_opening(qmp, missing)
    channels = qmp.begin("query-chardev", [{}])
    asked = None if leads_home is None else blocks.ask_places(qmp)
    unsettled: Exception | None = None
    try:
        settle()
    except Exception as error:  # noqa: BLE001 - it is raised when what QEMU was told is undone.
        unsettled = error
    qmp.negotiate()
    refused: MachineRefused | None = None
    try:
        blocks.finish_opening(qmp, additions)
    except MachineRefused as error:
        refused = error
    is_heard = has_agent(qmp.finish("query-chardev", channels)[0])
    stand = {} if asked is None else blocks.places(qmp, asked)
    if unsettled is not None:
        _close(qmp, nodes)
        raise unsettled
    due = list(nodes) if refused is None else _open_again(qmp, nodes)
    if leads_home is not None:
        try:
            _require_home(stand, [node for node, _ in due], leads_home)
        except MachineAstray:
            _close(qmp, due)
            raise
    return due, is_heard


def _require_home(stand: dict[str, blocks.Place], nodes: Iterable[str], leads_home: Callable[[str, str], bool]) -> None:
    """Raise MachineAstray when QEMU would not find again, by the name that it was told, what it has open as a node.

    Where the name leads nowhere, QEMU goes on with the file open to be written,
    and says nothing of it; where it leads to another file, the guest reads that
    one from then on. Nodes that are not open are passed over.
    """
    for node in nodes:
        if node in stand and not leads_home(blocks.volume_of(node), stand[node].path or ""):
            raise MachineAstray(
                f"QEMU knows {node} by a name that leads elsewhere: the data folder was moved, or put back, while the "
                "machine ran. Stop and start the machine."
            )


def _close_left(qmp: Session, kept: Collection[str]) -> None:
    """Close what nothing stands on and nobody will put anything on: a Kiln that was killed has left it open.

    Whoever holds the folder is the only one who opens anything, so all of it but *kept* is left.
    """
    before: set[str] = set()
    while (left := blocks.unused(qmp) - set(kept)) and left != before:
        blocks.close(qmp, sorted(left))
        before = left


def has_agent(channels: object) -> bool:
    """Whether something in the guest has opened the agent's channel, by QEMU's answer to query-chardev."""
    return any(channel.get("label") == AGENT and channel.get("frontend-open") is True for channel in mappings(channels))


def _open_again(qmp: Session, nodes: Sequence[tuple[str, dict[str, Any]]]) -> _Switches:
    """Open those overlays, of which QEMU did not open all, that are not in use."""
    # An earlier attempt opened it, and perhaps put it in use: then, and only then, it cannot be closed.
    _close(qmp, nodes)
    due = _due(qmp, nodes)
    try:
        blocks.open_all(qmp, [overlay | _ALONE for _, overlay in due])
    except MachineRefused:
        _close(qmp, due)
        raise
    return due


def _due(qmp: Session, nodes: Sequence[tuple[str, dict[str, Any]]]) -> _Switches:
    """Those whose node is the top of a disk. Raises MachineRefused when the overlay of another is not in use."""
    tops, present = blocks.disks(qmp), blocks.open_nodes(qmp)
    for node, overlay in nodes:
        if node not in tops and overlay["node-name"] not in present:
            raise MachineRefused(f"{node} is not the top of a disk, so {overlay['node-name']} cannot be put above it.")
    return [(node, overlay) for node, overlay in nodes if node in tops]


def _close(qmp: Session, switches: Sequence[tuple[str, dict[str, Any]]]) -> None:
    blocks.close(qmp, [overlay["node-name"] for _, overlay in switches])
