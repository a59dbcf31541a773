"""The disks of a running machine, as QEMU knows them: devices, and block nodes in chains below them.

A node is named as its volume. A layer's file may be replaced by an equal one
that stands on less (``following``); the new file's node then has the other of
the volume's two names, since QEMU lets no node be renamed and opens the new one
before the old one goes. Two chains may share layers; a node is opened once, and
closed when nothing stands on it any more.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import PurePath
from typing import Any

from kiln.ground.passphrases import within
from kiln.ground.values import dataclass
from kiln.machines.command import DISK_DRIVER
from kiln.machines.errors import MachineBusy, MachineRefused
from kiln.machines.hearing import flag, mapping, mappings, number, text, text_or_none, texts
from kiln.machines.qmp import Session

_DEVICES = "/machine/peripheral"
_GRAPH, _NODES, _FLAT = "x-debug-query-block-graph", "query-named-block-nodes", {"flat": True}
_OTHER = ".b"  #: A volume's name has no dot.
_SERVER, _EXPORT = "held", "held-{}"  #: What QEMU knows the socket by that nobody connects to, and what it is for.


def names_of(volume: str) -> tuple[str, str]:
    """The names that the node of a volume may have."""
    return volume, volume + _OTHER


def volume_of(node: str) -> str:
    """The volume whose node it is."""
    return node.removesuffix(_OTHER)


@dataclass(frozen=True)
class Place:
    """Where a node stands: ``backing`` and ``file`` are the nodes below it, QEMU's own (``#block…``) among them."""

    backing: str | None
    file: str | None
    is_read_only: bool
    is_encrypted: bool
    path: str | None  #: The file itself.
    header: str | None  #: The file below that the header of this one names, as it stands there.


def ask_places(qmp: Session) -> tuple[range, range]:
    """Ask for what ``places`` tells, which may be heard later."""
    return qmp.begin(_GRAPH, [{}]), qmp.begin(_NODES, [_FLAT])


def places(qmp: Session, asked: tuple[range, range] | None = None) -> dict[str, Place]:
    """Where each open node stands, by its name, QEMU's own left out; as *asked* for before, or now.

    Of ``x-debug-query-block-graph``, because nothing else that QEMU 7.2 answers
    names the node below a node.
    """
    graphs, described = ask_places(qmp) if asked is None else asked
    graph = mapping(qmp.finish(_GRAPH, graphs)[0])
    names = {
        number(node, "id"): text(node, "name")
        for node in mappings(graph, "nodes")
        if text(node, "type") == "block-driver"
    }
    below = {
        (names[number(edge, "parent")], text(edge, "name")): names.get(number(edge, "child"))
        for edge in mappings(graph, "edges")
        if number(edge, "parent") in names
    }
    nodes = {text(node, "node-name"): node for node in mappings(qmp.finish(_NODES, described)[0])}
    return {
        name: Place(
            backing=below.get((name, "backing")),
            file=(file := below.get((name, "file"))),
            is_read_only=flag(node, "ro"),
            is_encrypted=flag(node, "encrypted"),
            path=text(nodes[file], "file") if file in nodes else None,
            header=text_or_none(mapping(node, "image"), "backing-filename"),
        )
        for name, node in nodes.items()
        if not name.startswith("#")
    }


def _nodes(qmp: Session) -> list[dict[str, Any]]:
    return mappings(qmp.execute(_NODES, _FLAT))


def unused(qmp: Session) -> set[str]:
    """The nodes of volumes on which neither a disk nor another node stands."""
    stand = places(qmp)
    used = {below for place in stand.values() for below in (place.backing, place.file)} | disks(qmp).keys()
    return {name for name, place in stand.items() if name not in used and place.path is not None}


def require_own_backing(qmp: Session, volumes: Iterable[str]) -> None:
    """Raise MachineBusy when the file of a volume's node stands on another file than the node does.

    That is so when it was merged after its chain was read and before QEMU
    opened it, and then it must not be read: where the merge left out zeros
    because there is nothing below any more, the old parent would show through.
    """
    stand = places(qmp)
    for name in {name for volume in volumes for name in names_of(volume)} & stand.keys():
        place = stand[name]
        below = stand[place.backing].path if place.backing in stand else None
        if _file_name(place.header) != _file_name(below):
            raise MachineBusy(f"The file of {name} stands on {place.header} by now, and was put on {below}.")


def _file_name(path: str | None) -> str | None:
    return None if path is None else PurePath(path).name


def find_below(qmp: Session, node: str, volume: str) -> str | None:
    """The volume's node in the chain under *node*; None when it is not in it."""
    stand = places(qmp)
    return next((name for name in chain_below(stand, node) if volume_of(name) == volume), None)


def chain_below(stand: dict[str, Place], node: str) -> list[str]:
    """The node and what is below it, the uppermost first; what stands on itself is passed once."""
    chain: list[str] = []
    below: str | None = node
    while below is not None and below not in chain:
        chain.append(below)
        below = stand[below].backing if below in stand else None
    return chain


def open_nodes(qmp: Session) -> set[str]:
    """The names of all nodes that are open, QEMU's own (``#block…``) left out."""
    names = (text(node, "node-name") for node in _nodes(qmp))
    return {name for name in names if not name.startswith("#")}


def disks(qmp: Session) -> dict[str, str]:
    """The node on top of each disk, and the disk's device.

    Asked of the devices. QEMU would tell it with all of its block nodes too
    (``query-block``), but describes every layer there once for each disk above
    it: 40 ms for 17 disks on 12 layers each, which here are 4.
    """
    while True:
        listed = mappings(qmp.execute("qom-list", {"path": _DEVICES}))
        devices = [text(entry, "name") for entry in listed if text(entry, "type") == f"child<{DISK_DRIVER}>"]
        try:
            tops = qmp.execute_each(
                "qom-get", [{"path": f"{_DEVICES}/{name}", "property": "drive"} for name in devices]
            )
        except MachineRefused:
            if listed == qmp.execute("qom-list", {"path": _DEVICES}):
                raise
            continue  # The guest has let one go between the two.
        return {text(node): name for node, name in zip(tops, devices, strict=True) if node}


def hold(qmp: Session, listener: socket.socket) -> None:
    """Have a machine whose guest stands still take the locks of its disks, which come with the guest's going on else.

    QEMU 7.2 has no word for that alone. It makes active what it is to export (``blk_exp_add``), as it does when a guest
    goes on, and what is active stays so. *listener* is a bound socket whose name is gone, so nobody can connect to it.
    Raises MachineRefused where another has one of the disks.
    """
    stand = places(qmp)
    tops = sorted(name for name in disks(qmp) if not stand[name].is_read_only)
    with suppress(MachineRefused):  # None runs, unless Kiln was killed below.
        qmp.execute("nbd-server-stop")
    qmp.hand_over(_SERVER, listener.fileno())
    qmp.execute("nbd-server-start", {"addr": {"type": "fd", "data": {"str": _SERVER}}})
    try:
        exports = [{"type": "nbd", "id": _EXPORT.format(nth), "node-name": node} for nth, node in enumerate(tops)]
        qmp.execute_each("block-export-add", exports)
    finally:
        qmp.execute("nbd-server-stop")  # It ends the exports, too.
    # What it does not get it says nothing of, but only who is active may write.
    if lacking := set(tops) - _written(qmp):
        raise MachineRefused(f"Another machine has the lock of {', '.join(sorted(map(volume_of, lacking)))}.")


def _written(qmp: Session) -> set[str]:
    """The nodes that something may write to."""
    graph = mapping(qmp.execute(_GRAPH))
    names = {number(node, "id"): text(node, "name") for node in mappings(graph, "nodes")}
    writable = (number(edge, "child") for edge in mappings(graph, "edges") if "write" in texts(edge, "perm"))
    return {names[child] for child in writable if child in names}


def open_chain(qmp: Session, nodes: Iterable[dict[str, Any]]) -> None:
    """Open those nodes of a chain, lowest first, that are not open yet.

    Raises MachineRefused, and then any of the others may be open.
    """
    present = open_nodes(qmp)
    names: dict[str | None, str | None] = {None: None}
    missing = []
    for node in nodes:
        volume = node["node-name"]
        names[volume] = next((name for name in names_of(volume) if name in present), None)
        if names[volume] is None:
            names[volume] = volume
            missing.append(node | {"backing": names[node["backing"]]} if "backing" in node else node)
    open_all(qmp, missing)


def open_all(qmp: Session, nodes: Sequence[dict[str, Any]]) -> None:
    """Open nodes of which none is open yet. Raises as ``open_chain`` does."""
    finish_opening(qmp, begin_opening(qmp, nodes))


def begin_opening(qmp: Session, nodes: Sequence[dict[str, Any]]) -> tuple[range, range, range]:
    """Have nodes opened of which none is open yet; ``finish_opening`` waits for it.

    QEMU needs a passphrase for as long as it opens a file, and is told to forget it then.
    """
    passphrases = within(nodes)
    secrets = [{"qom-type": "secret", "id": one, "format": one.form, "data": one.text} for one in passphrases]
    told = qmp.begin("object-add", secrets)
    opened = qmp.begin("blockdev-add", nodes)
    return told, opened, forget(qmp, passphrases)


def finish_opening(qmp: Session, begun: tuple[range, range, range]) -> None:
    """Wait for what ``begin_opening`` began. Raises as ``open_chain`` does."""
    told, opened, forgotten = begun
    # A Kiln that was killed may have told it that passphrase before.
    with suppress(MachineRefused):
        qmp.finish("object-add", told)
    try:
        qmp.finish("blockdev-add", opened)
    finally:
        with suppress(MachineRefused):
            qmp.finish("object-del", forgotten)


def forget(qmp: Session, passphrases: Sequence[str]) -> range:
    """Tell it to forget passphrases, by their IDs."""
    return qmp.begin("object-del", [{"id": one} for one in passphrases])


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
