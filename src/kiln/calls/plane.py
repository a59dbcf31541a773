"""Carries the networks of this host's instances as their rows say they are to be.

The rows are the truth. What the host carries of a VPC is read from them as a
whole, and held: whoever looks last has the last word, since of one VPC one at a
time reads and has it held. So it may be asked for as often as one likes, after
a failure and after a crash, and what was carried already costs a look.

On this host are the interfaces of those instances whose machines run with a
cable, or are about to be started with one. While a guest goes from a host to
another, it is carried where its row says that it is, and its cable is laid on
the other of the two: each machine holds its cable by the folder that it was
started with, and either may be the one that goes on.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import replace
from pathlib import Path

from kiln.calls.places import place_of
from kiln.calls.tunnels import Tunnels
from kiln.declare.states import InstanceStatus
from kiln.ground.journal import Journal
from kiln.machines.port import Machines
from kiln.networks.errors import NetworkApart, NetworkError, NetworkUnusable
from kiln.networks.port import Networks
from kiln.networks.values import Place
from kiln.store.database import Database, Transaction
from kiln.store.instances import ON, Instance, elsewhere, vpcs_on
from kiln.store.interfaces import NetworkInterface, primaries_of

#: So long an answer waits for what it changed to be carried, which mostly takes some hundredths of a second.
ANSWER_WAITS_S = 3.0
_AT_ONCE = 16  #: VPCs; a keeper that does not answer keeps nobody's but its own VPC waiting.
_VERDICT_COUNTS_S = 60.0

VPC = "vpc"  #: The noun of what the store tells when anything of a VPC has changed.

log = Journal("kiln.networks")


class Plane:
    """See the module's docstring. *why_not* says why this host carries no networks, in a sentence; empty: it does.

    *beside* tells the instances of other hosts whose guests are on their way between those and the host that it is
    asked of. Whoever changes what it tells marks their VPCs.
    """

    def __init__(
        self,
        database: Database,
        networks: Networks,
        machines: Machines,
        host: str,
        why_not: Callable[[], str],
        *,
        tunnels: Tunnels | None = None,
        beside: Callable[[Transaction, str], Collection[str]] = lambda _, __: (),
    ) -> None:
        self.networks = networks
        self.tunnels = tunnels  #: None where there is no other host.
        self._database, self._machines, self._host = database, machines, host
        self._why_not, self._beside = why_not, beside
        self._verdict: tuple[float, str] | None = None
        self._lock = threading.Lock()
        self._turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._carried: dict[str, Place] = {}
        self._failed: set[str] = set()
        self._asked_for: dict[str, Future[None]] = {}
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="networks")

    def why_no_cable(self, architecture: str) -> str:
        """Why machines of the architecture are started with user networking here, in a sentence; empty: they are not.

        Found out by trying the first time, which takes some tenths of a second. That networks can be carried is
        believed from then on, that they cannot for a minute.
        """
        reason = self._machines.why_no_cable(architecture)
        if reason:
            return reason
        with self._lock:
            if self._verdict is None or (self._verdict[1] and time.monotonic() > self._verdict[0]):
                self._verdict = time.monotonic() + _VERDICT_COUNTS_S, self._why_not()
            return self._verdict[1]

    def carry(self, vpc: str) -> None:
        """Have the VPC carried here as its rows say by now. Raises NetworkError, and then it is tried again later."""
        self._in_turn(vpc, lambda: None)

    def soon(self, vpc: str) -> Future[None]:
        """Have the VPC carried by another thread, which looks at its rows after this call."""
        with self._lock:
            waiting = self._asked_for.get(vpc)
            if waiting is None:
                waiting = self._asked_for[vpc] = self._threads.submit(self._carry_for_all, vpc)
            return waiting

    def settle(self, vpcs: Iterable[str], within_s: float = ANSWER_WAITS_S) -> None:
        """Have VPCs carried before a change of them is answered; what takes longer is carried all the same."""
        wait_for([self.soon(vpc) for vpc in vpcs], within_s)

    def carry_all(self) -> None:
        """Have everything carried that should be here, and let go of what should not; by other threads."""
        with self._database.read() as tx:
            wanted = vpcs_on(tx, self._host)
        for vpc in sorted(wanted.union(self.networks.vpcs())):
            self.soon(vpc)

    def vpcs_of(self, instances: Collection[str]) -> set[str]:
        """The VPCs that the instances are in."""
        with self._database.read() as tx:
            return {one.vpc for one in primaries_of(tx, list(instances)).values() if one.vpc}

    def cable(self, instance: Instance, card: NetworkInterface) -> Path | None:
        """The folder of the cable that an instance's machine is to be started with; None: with user networking.

        Its VPC is carried by then. Raises NetworkError.
        """
        if not card.vpc or self._machines.is_running(instance.id) or self.why_no_cable(instance.system.architecture):
            return None
        self.carry(card.vpc)
        return self.networks.cable(card.vpc, card.id, self._machines.uid(instance.id)).folder

    def cable_for_arrival(self, instance: Instance, card: NetworkInterface) -> Path:
        """As ``cable``, of a machine that is to wait here for a running guest which has one. It is laid by then.

        Raises NetworkError.
        """
        if reason := self.why_no_cable(instance.system.architecture):
            raise NetworkUnusable(reason)
        self.carry(card.vpc)
        return self.networks.cable(card.vpc, card.id, self._machines.uid(instance.id)).folder

    def reached(self, card: NetworkInterface) -> list[tuple[str, int, int]]:
        """Where a guest is reached: public address, the guest's TCP port, and the address's port for it."""
        place = self.networks.held(card.vpc)
        if place is None:
            return []
        own = sorted(one.address for one in place.addresses if one.interface == card.id)
        listening = self.networks.listening(card.vpc)
        return [(a, guest, port) for a in own for guest, port in sorted(listening.get(a, {}).items())]

    def again(self) -> None:
        """Carry what could not be, and what a keeper that has ended does not any more."""
        lost = {vpc for vpc in tuple(self._carried) if self.networks.held(vpc) is None}
        for vpc in sorted(self._failed | lost):
            self.soon(vpc)
        try:
            for vpc in self.networks.revive():
                self._carried.pop(vpc, None)
                self.soon(vpc)
        except NetworkError as error:
            log.warning("network_not_revived", reason=str(error))

    def close(self) -> None:
        """Carry nothing more that was asked for. What is carried goes on."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _carry_for_all(self, vpc: str) -> None:
        def begin() -> None:
            with self._lock:
                self._asked_for.pop(vpc, None)  # Who asks from here on wants another look.

        try:
            self._in_turn(vpc, begin)
        except NetworkError as error:
            log.warning("network_not_carried", vpc=vpc, reason=str(error))
        except Exception:
            log.exception("network_not_carried", vpc=vpc)

    def _in_turn(self, vpc: str, begin: Callable[[], None]) -> None:
        with self._lock:
            turn = self._turns[vpc]
        with turn:
            begin()
            try:
                self._carry(vpc)
            except NetworkApart as error:
                # All that is here runs as it should; the rest is tried again.
                log.warning("network_apart", vpc=vpc, reason=str(error))
                self._failed.add(vpc)
                return
            except BaseException:
                self._failed.add(vpc)
                raise
            self._failed.discard(vpc)

    def _is_here(self, instance: Instance) -> bool:
        """Whether the instance's card is to be carried by this host."""
        if instance.status not in ON:
            return False
        if self._machines.is_running(instance.id):
            return self._machines.is_cabled(instance.id)
        return instance.status == InstanceStatus.STARTING and not self.why_no_cable(instance.system.architecture)

    def _read(self, vpc: str) -> Place | None:
        with self._database.read() as tx:
            near = self._near(tx, vpc)
            place = place_of(tx, vpc, self._host, self._is_here, near)
            if place is None or self.tunnels is None:
                return place
            return replace(place, tunnel=self.tunnels.of(tx, vpc))

    def _near(self, tx: Transaction, vpc: str) -> list[Instance]:
        """The instances of the VPC that are another host's, and whose cables are laid here."""
        near = self._beside(tx, self._host)
        return [one for one in elsewhere(tx, vpc, self._host) if one.id in near and self._may_come(one)] if near else []

    def _may_come(self, instance: Instance) -> bool:
        """Whether a machine here by which the instance may be let go on has a cable, or is to have one."""
        if self._machines.is_running(instance.id):
            return self._machines.is_cabled(instance.id)
        return not self.why_no_cable(instance.system.architecture)

    def _carry(self, vpc: str) -> None:
        place = self._read(vpc)
        if place is not None and place.interfaces and place.tunnel is None and self.tunnels is not None:
            place = self._read(vpc) if self.tunnels.number(vpc) else place
        if place is None or not place.cabled:
            self._carried.pop(vpc, None)
            self.networks.let_go(vpc)
            return
        held = self.networks.held(vpc)
        if self._carried.get(vpc) == place and held is not None:
            return
        self._carried.pop(vpc, None)
        # A database that was put back begins again where it was; what it says counts all the same.
        revision = place.revision if held is None else max(place.revision, held.revision)
        self.networks.hold(replace(place, revision=revision))
        self._carried[vpc] = place
