"""Networks as keepers, one process for each VPC that has interfaces on this host.

See docs/design/0019-networks.md. What a VPC is to be stands in its folder
before its keeper is told; a keeper is always told the whole of it.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kiln.ground.journal import Journal
from kiln.ground.killpoints import reach
from kiln.machines import sockets
from kiln.machines.confinement import uid_of
from kiln.networks import admission, line, records, spoken, vxlan
from kiln.networks.errors import NetworkApart, NetworkMissing, NetworkSilent, NetworkUnusable
from kiln.networks.placefolder import PlaceFolder
from kiln.networks.port import Cable, Question
from kiln.networks.starting import start
from kiln.networks.values import Interface, Place, Tunnel
from kiln.networks.wayout import WayOut

_TALK_S = 30.0
_END_TIMEOUT_S = 30.0
_NUMBER_FREE_S, _LOOK_S = 10.0, 0.05
_STEP = 10_000  #: To the port that is listened on in place of one that cannot be had.
_LAST_PORT = 65535
_BACKLOG = 128
_KEEPER, _EGRESS = "kiln.networks.keeper", "kiln.networks.egress"
log = Journal("kiln.networks")


class KeptNetworks:
    """See the module's docstring and ``port.Networks``. *folder* is the data folder's ``networks``.

    With *confined*, and only if Kiln is root, the processes of each VPC run as a user of its own.
    """

    kind = "keepers"

    def __init__(self, folder: Path, *, confined: bool = True, way_out: WayOut | None = None) -> None:
        self._folder = folder.absolute()
        self._confined = confined
        self._way_out = way_out or WayOut()
        self._askers: dict[str, socket.socket] = {}

    def hold(self, place: Place) -> None:
        """See ``port.Networks``."""
        folder = self._of(place.vpc.id)
        uid = self._uid(folder)
        with _usable(folder), folder.held():
            kept = folder.place()
            if kept is None or kept.revision <= place.revision:
                reach("networks.before_keep")
                folder.keep(place)
                reach("networks.kept")
            else:
                place = kept
            self._carry(folder, place, uid)
            reach("networks.carried")

    def held(self, vpc: str) -> Place | None:
        """See ``port.Networks``."""
        return self._of(vpc).place()

    def vpcs(self) -> list[str]:
        """See ``port.Networks``. Also one that was killed in the middle of being let go."""
        return sorted(path.name for path in self._folder.glob("*") if path.is_dir())

    def let_go(self, vpc: str) -> None:
        """See ``port.Networks``. Raises NetworkSilent when the keeper does not even end by being killed."""
        folder = self._of(vpc)
        if not folder.path.exists():
            return
        with folder.held():
            reach("networks.before_let_go")
            folder.place_file.unlink(missing_ok=True)
            self._end(folder)
            reach("networks.keeper_ended")
            folder.remove()
            reach("networks.let_go")

    def cable(self, vpc: str, interface: str, uid: int | None) -> Cable:
        """See ``port.Networks``."""
        folder = self._of(vpc)
        if not folder.place_file.exists():
            raise NetworkMissing(f"{vpc} is not on this host.")
        keeper = self._uid(folder)
        with folder.held():
            place = folder.place()
            found = _find(place.cabled, interface) if place else None
            path = folder.cable(interface)
            if found is None or not path.exists():
                raise NetworkMissing(f"No interface {interface} is in {vpc} on this host.")
            if uid is not None:
                os.chown(path / "switch", uid, uid, follow_symlinks=False)
                os.chown(path / "qemu", uid, uid if keeper is None else keeper, follow_symlinks=False)
            return Cable(path, found.mac)

    def listening(self, vpc: str) -> Mapping[str, Mapping[int, int]]:
        """See ``port.Networks``."""
        return self._of(vpc).ports()

    def revive(self) -> list[str]:
        """See ``port.Networks``. Raises the error of the last that could not be."""
        revived, failed = [], None
        for path in sorted(self._folder.glob("*/place.json")):
            folder = self._of(path.parent.name)
            place = folder.place()
            if place is None or not place.interfaces or self._is_whole(folder, place):
                continue
            try:
                uid = self._uid(folder)
                with _usable(folder), folder.held():
                    place = folder.place()
                    # Meanwhile whoever held it may have done that, as when it is held for the first time.
                    if place is None or self._is_whole(folder, place):
                        continue
                    self._carry(folder, place, uid)
            except NetworkApart as error:
                log.warning("network_apart", vpc=folder.instance, reason=str(error))
            except (NetworkUnusable, NetworkSilent) as error:
                failed = error
                continue
            log.warning("network_revived", vpc=folder.instance)
            revived.append(folder.instance)
        if failed is not None:
            raise failed
        return revived

    def question(self, timeout_s: float) -> Question | None:
        """See ``port.Networks``."""
        self._listen_to_all()
        poll = select.poll()  # It takes numbers above 1,024, which a Kiln with many clients has.
        for asker in self._askers.values():
            poll.register(asker, select.POLLIN)
        ready = {number for number, _ in poll.poll(timeout_s * 1000)}
        for vpc, asker in list(self._askers.items()):
            if asker.fileno() not in ready:
                continue
            try:
                said, descriptors = spoken.hear(asker)
                connection = socket.socket(fileno=descriptors[0])
            except (OSError, EOFError, ValueError, IndexError):
                asker.close()
                del self._askers[vpc]
                continue
            return Question(vpc, str(said.get("interface")), connection)
        return None

    def close(self) -> None:
        """See ``port.Networks``."""
        for asker in self._askers.values():
            asker.close()
        self._askers.clear()

    def _of(self, vpc: str) -> PlaceFolder:
        return PlaceFolder(self._folder / vpc)

    def _uid(self, folder: PlaceFolder) -> int | None:
        return uid_of(folder, runs=folder.is_carried()) if self._confined else None

    def _is_whole(self, folder: PlaceFolder, place: Place) -> bool:
        """Whether all processes of the VPC live."""
        return folder.is_carried() and (folder.has_egress() or not self._way_out.leaving(place))

    def _listen_to_all(self) -> None:
        for path in self._folder.glob("*/control"):
            vpc = path.parent.name
            if vpc not in self._askers and self._of(vpc).is_carried():
                with contextlib.suppress(NetworkSilent, NetworkUnusable), contextlib.ExitStack() as failed:
                    asker = failed.enter_context(_connect(self._of(vpc)))
                    _asked(asker, {"ask": True})
                    failed.pop_all()
                    self._askers[vpc] = asker

    def _end(self, folder: PlaceFolder) -> None:
        if not folder.end_keeper(_END_TIMEOUT_S):
            raise NetworkSilent(f"The keeper of {folder.instance} does not end.")

    def _carry(self, folder: PlaceFolder, place: Place, uid: int | None) -> None:
        wanted = {one.id for one in place.interfaces}
        apart = ""
        if not wanted:
            self._end(folder)
            folder.keep_ports({})
        else:
            keeper, has = self._join(folder, uid)
            with keeper, contextlib.ExitStack() as held:
                self._give_cables(folder, keeper, place, has)
                listeners = _listeners(folder, place, has, held)
                for name, (_, _, listener) in listeners.items():
                    if listener is not None:
                        _give(keeper, name, [listener.fileno()])
                leaving, egress = self._way_out.leaving(place), self._way_out.name
                if leaving and egress not in has:
                    self._give_egress(folder, uid, keeper)
                apart = _tie(folder, keeper, place.tunnel, has)
                told = [(name, address, port) for name, (address, port, _) in listeners.items()]
                ways = {"egress": egress if leaving else "", "leaving": sorted(leaving)}
                _asked(keeper, {"place": records.to_text(place), "listeners": told, **ways})
        for one in place.laid:
            _lay_cable(folder.cable(one.id))
        for interface in set(folder.interfaces()) - {one.id for one in place.cabled}:
            folder.remove_cable(interface)
        if apart:
            raise NetworkApart(f"{place.vpc.id} is apart from what other hosts carry of it: {apart}")

    def _give_cables(self, folder: PlaceFolder, keeper: socket.socket, place: Place, has: set[str]) -> None:
        """Make the ends of those cables that the keeper has not."""
        for interface in place.interfaces:
            path = folder.cable(interface.id)
            if interface.socket in has and (path / "switch").exists():
                continue
            _make_cable(path)
            with contextlib.ExitStack() as held:
                end = held.enter_context(_bound(path / "switch"))
                qemu = os.open(path / "qemu", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
                held.callback(os.close, qemu)
                _give(keeper, interface.socket, [end.fileno(), qemu])

    def _join(self, folder: PlaceFolder, uid: int | None) -> tuple[socket.socket, set[str]]:
        """The keeper and what it has; one is started where there is none, or one that knows too few words."""
        if folder.is_carried():
            keeper = _connect(folder)
            said = _asked(keeper, {"here": True})
            if said.get("speaks") == spoken.SPEAKS:
                return keeper, _has(said)
            keeper.close()
            self._end(folder)
        reach("networks.before_start")
        with sockets.listen(folder.control) as control:
            if why := start(_KEEPER, uid, folder.alive, control.fileno()):
                raise NetworkUnusable(f"The network of {folder.instance} cannot be carried: {why}")
        reach("networks.started")
        return _connect(folder), set()

    def _give_egress(self, folder: PlaceFolder, uid: int | None, keeper: socket.socket) -> None:
        """Start an egress and join the keeper to it; the one before ends with its line. Raises NetworkUnusable."""
        own, far = line.pair()
        with own, far:
            # That one may hold its lock for a moment longer.
            folder.egress.unlink(missing_ok=True)
            reach("networks.before_egress")
            why = start(_EGRESS, uid, folder.egress, far.fileno(), self._way_out.to, str(self._way_out.resolver))
            if why:
                raise NetworkUnusable(f"What leaves {folder.instance} cannot be carried: {why}")
            reach("networks.egress_started")
            _give(keeper, self._way_out.name, [own.fileno()])


def _tie(folder: PlaceFolder, keeper: socket.socket, tunnel: Tunnel | None, has: set[str]) -> str:
    """Make the tunnel where other hosts carry something and the keeper has it not; why that cannot be, or nothing."""
    if tunnel is None or not tunnel.far or tunnel.name in has:
        return ""
    # One before it may have its number, and one that was made by who was killed then is not known.
    _asked(keeper, {"untie": True})
    reach("networks.before_tunnel")
    try:
        with folder.keeper() as process:
            if process is None:
                return "its keeper has ended."
            namespace = os.open(f"/proc/{process.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _make_when_free(tunnel, namespace)
        finally:
            os.close(namespace)
    except OSError as error:
        return f"no tunnel can be made: {os.strerror(error.errno or 0)}."
    reach("networks.tunnel_made")
    _give(keeper, tunnel.name, [])
    return ""


def _make_when_free(tunnel: Tunnel, namespace: int) -> None:
    """Make the interface; the kernel takes a while to let go of the one that a keeper had which was killed."""
    deadline = time.monotonic() + _NUMBER_FREE_S
    while True:
        try:
            vxlan.make(tunnel, namespace)
        except FileExistsError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_LOOK_S)
        else:
            return


@contextmanager
def _usable(folder: PlaceFolder) -> Iterator[None]:
    """Raise NetworkUnusable for what the host's file system or its limits refuse."""
    try:
        yield
    except OSError as error:
        raise NetworkUnusable(
            f"The network of {folder.instance} cannot be carried: {os.strerror(error.errno or 0)}."
        ) from error


def _make_cable(path: Path) -> None:
    (path / "qemu").mkdir(parents=True, exist_ok=True)
    for one in (path.parent, path):
        one.chmod(0o711)
    if (path / "qemu").stat().st_uid == os.geteuid():
        (path / "qemu").chmod(0o710)


def _lay_cable(path: Path) -> None:
    """Have a cable that leads nowhere yet, or no more. Whoever is let send by it may do so when it leads somewhere."""
    _make_cable(path)
    (path / "switch").touch(0o600)


def _find(among: Iterable[Interface], interface: str) -> Interface | None:
    return next((one for one in among if one.id == interface), None)


@contextmanager
def _bound(path: Path) -> Iterator[socket.socket]:
    """The keeper's end of a cable, bound at *path* in place of what was there, whose owner stays."""
    try:
        owner = path.lstat().st_uid
    except FileNotFoundError:
        owner = os.geteuid()
    with sockets.bind(path) as end:
        if owner != os.geteuid():
            os.chown(path, owner, owner, follow_symlinks=False)
        yield end


def _listeners(
    folder: PlaceFolder, place: Place, has: set[str], held: contextlib.ExitStack
) -> dict[str, tuple[str, int, socket.socket | None]]:
    """By name: the address, the guest's port, and a new listener where the keeper has none. Says what it leaves out."""
    known, chosen = folder.ports(), {}
    ports: dict[str, dict[int, int]] = {}
    for public in place.addresses:
        interface = _find(place.interfaces, public.interface)
        if interface is None:
            raise NetworkUnusable(f"{public.address} leads to {public.interface}, which is not in {place.vpc.id}.")
        for port in admission.listened_ports(place, interface):
            before = known.get(public.address, {}).get(port)
            if before is not None and f"{public.address}:{before}:{port}" in has:
                host, listener = before, None
            else:
                host, listener = _listen(public.address, port, before)
                if listener is None:
                    continue
                held.enter_context(listener)
            ports.setdefault(public.address, {})[port] = host
            chosen[f"{public.address}:{host}:{port}"] = (public.address, port, listener)
    folder.keep_ports(ports)
    return chosen


def _listen(address: str, port: int, before: int | None) -> tuple[int, socket.socket | None]:
    reason = ""
    for host in dict.fromkeys(one for one in (before, port, port + _STEP) if one is not None and one <= _LAST_PORT):
        try:
            return host, socket.create_server((address, host), backlog=_BACKLOG)
        except OSError as error:
            reason = error.strerror or str(error)
    log.warning("public_port_not_listened_on", address=address, port=port, reason=reason)
    return 0, None


def _connect(folder: PlaceFolder) -> socket.socket:
    try:
        return sockets.connect(folder.control, _TALK_S)
    except OSError as error:
        raise NetworkSilent(f"The keeper of {folder.instance} does not answer: {error}") from error


def _give(keeper: socket.socket, name: str, descriptors: list[int]) -> None:
    _asked(keeper, {"give": [name], "counts": [len(descriptors)]}, descriptors)


def _asked(keeper: socket.socket, message: dict[str, Any], descriptors: list[int] | None = None) -> dict[str, Any]:
    """The keeper's answer. Raises NetworkSilent, NetworkUnusable."""
    try:
        spoken.say(keeper, message, descriptors or [])
        said, _ = spoken.hear(keeper)
    except (OSError, EOFError, ValueError) as error:
        raise NetworkSilent(f"A keeper does not answer: {error}") from error
    if "error" in said:
        raise NetworkUnusable(f"A keeper cannot carry its network: {said['error']}")
    return said


def _has(said: dict[str, Any]) -> set[str]:
    """What a keeper has, as it says with every answer. Raises NetworkSilent."""
    has = said.get("has")
    if not isinstance(has, list):
        raise NetworkSilent("A keeper says what none says.")
    return {str(one) for one in has}
