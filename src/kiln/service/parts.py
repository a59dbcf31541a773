"""What is at work beside those who answer requests, by the role of the process.

Every process has a keeper of what is its own. One that carries out tasks has a
worker, and keeps what is its host's. Of those that carry out tasks one at a time
has the duties, too: what is to be done once for the whole deployment.
"""

from __future__ import annotations

import gc
import threading
import uuid
from functools import partial
from typing import NamedTuple, Protocol

from kiln.calls.call import Ports
from kiln.calls.sizes import size_in
from kiln.declare.roles import Role
from kiln.ground.journal import Journal
from kiln.service import signed_in
from kiln.service.accounts import KEPT_S
from kiln.service.assemble import Assembly
from kiln.service.checking import EVERY_S, DailyCheck
from kiln.service.keywatch import KeyWatch
from kiln.store import nonces, workers
from kiln.store.herald import Herald
from kiln.tasks.worker import Worker
from kiln.upkeep import unfinished
from kiln.upkeep.audit import Room
from kiln.upkeep.duties import DUTIES
from kiln.upkeep.keeper import OF_ALL, OF_HOST, Chore, Keeper, unhurried
from kiln.upkeep.lost_hosts import give_up_lost
from kiln.upkeep.postman import Postman
from kiln.upkeep.recorder import Recorder
from kiln.wire.audit import Audit
from kiln.wire.nonces import WINDOW_S as NONCES_S
from kiln.wire.refusals import WINDOW_S

log = Journal("kiln.service")

#: So long after a start the upkeep begins: what cannot wait for it is done before anything is answered.
_SETTLED_S = 0.5


class Auditing(NamedTuple):
    """What writes calls down, and what keeps that small."""

    log: Audit
    room: Room

    @classmethod
    def of(cls, assembly: Assembly) -> Auditing:
        """As the settings have it."""
        ports, settings = assembly.ports, assembly.settings
        return cls(Audit(ports, is_on=settings.audit_days > 0), Room(ports, settings.audit_events))


class Part(Protocol):
    """Something that is at work until it is stopped."""

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """End after what is being done."""

    def dead(self) -> list[str]:
        """The names of its threads that have ended although nobody stopped them."""


class Parts:
    """All of them. ``start`` and ``stop`` are called once, and ``begin_duties`` once where they are this process's."""

    def __init__(self, assembly: Assembly, audit: Auditing, deployment_id: str) -> None:
        self._assembly, self._audit = assembly, audit
        ports, settings = assembly.ports, assembly.settings
        works = Role(settings.role).works
        self.worker = Worker(ports, DUTIES, unfinished, threads=settings.workers) if works else None
        #: Under which others know this process: another one at each start.
        self.id = uuid.uuid4().hex if self.worker is None else self.worker.id
        self._keeper = Keeper(ports, own_chores(assembly, audit, self.id), first_after_s=_SETTLED_S)
        #: Tells other processes, and hears of them, where there can be any.
        self._herald = None if assembly.database.is_sqlite else Herald(settings.server, assembly.database, self.id)
        # What was read of the records stays. To look for garbage among it takes 0.2 s with 100,000 volumes, again and
        # again, in which nobody is answered.
        self._recorder = Recorder(assembly.database, assembly.pool.records, deployment_id, when_compared=gc.freeze)
        self.postman = Postman(ports)
        self._duties: tuple[Part, ...] = ()
        self._changing = threading.Lock()
        self._has_ended = False

    @property
    def has_duties(self) -> bool:
        """Whether this process does what one does for all."""
        return bool(self._duties)

    def start(self) -> None:
        """Begin what every process of the role has."""
        if self._herald is not None:
            outbox = self._assembly.ports.outbox
            outbox.ring, outbox.spread = self._herald.parcels, self._herald.webhooks
            self._herald.on_webhooks = outbox.changed_elsewhere
            self._herald.start()
        if self.worker is not None:
            self.worker.start()
        self._keeper.start()

    def begin_duties(self) -> None:
        """Do what one process does for all, until the end. Another may have done it until now."""
        with self._changing:
            if self._has_ended:
                return
            ports = self._assembly.ports
            chores = chores_of_all(self._assembly, self._recorder, self._audit)
            keeper = Keeper(ports, chores, first_after_s=_SETTLED_S)
            self._duties = (self._recorder, self.postman, keeper)
            for one in self._duties:
                one.start()
            if self._herald is not None:
                self._herald.on_touched = self._recorder.note
                self._herald.on_parcels = ports.outbox.ring
        log.info("duties_begun")

    def stop(self) -> None:
        """End all of it; what was committed last is recorded last."""
        with self._changing:
            self._has_ended = True
        for one in reversed(self._duties[1:]):
            one.stop()
        self._keeper.stop()
        if self.worker is not None:
            self.worker.stop()
        self._write_last()
        if self._duties:
            self._recorder.stop()
        if self._herald is not None:
            self._herald.stop()

    def dead(self) -> list[str]:
        """The names of the threads that have ended although nobody stopped them."""
        every: list[Part] = [self._keeper, *self._duties]
        every += [one for one in (self.worker, self._herald) if one is not None]
        return [name for part in every for name in part.dead()]

    def _write_last(self) -> None:
        """Have the calls written down that were refused in the last seconds, or not: the end waits for nothing."""
        try:
            self._audit.log.write_refused()
        except Exception:
            log.exception("refused_calls_lost")


def own_chores(assembly: Assembly, audit: Auditing, worker: str) -> tuple[Chore, ...]:
    """What the process *worker* keeps for itself and its host, and where its database is a file for that.

    What was left by others that are gone each of them looks for, and not who has the duties: that may be who is gone.
    """
    # `kiln account` changes the database beside us.
    watch = KeyWatch(assembly.database)
    chores: tuple[Chore, ...] = (
        Chore("watch_keys", KEPT_S, lambda _: watch.look()),
        Chore("write_refused", WINDOW_S, lambda _: audit.log.write_refused()),
    )
    if Role(assembly.settings.role).works:
        chores = (*OF_HOST, *chores)
        if not assembly.database.is_sqlite:
            chores = (*chores, Chore("give_up_silent", 2.0, _give_up_silent))
        if not assembly.ports.is_alone:
            grace_s = assembly.settings.host_grace_seconds
            sizes = partial(size_in, assembly.ports.deployment)
            give_up = Chore("give_up_hosts", 1.0, lambda it: give_up_lost(it.database, worker, grace_s, sizes))
            chores = (*chores, give_up)
    if not assembly.database.is_sqlite:
        # Others change webhooks, and a message that says so may be lost.
        return (*chores, Chore("look_again", 60.0, lambda ports: ports.outbox.look_again()))
    check = DailyCheck(assembly.settings.folder.database)
    return (
        *chores,
        Chore("ballast", 30.0, lambda _: assembly.ballast.fill()),
        Chore("check_database", EVERY_S, check),
    )


def chores_of_all(assembly: Assembly, recorder: Recorder, audit: Auditing) -> tuple[Chore, ...]:
    """What one process at a time keeps for all."""
    settings = assembly.settings
    others: tuple[Chore, ...] = ()
    if not assembly.database.is_sqlite:
        others = (
            unhurried("forget_nonces", 60.0, _forget_nonces),
            unhurried("forget_signed_in", 600.0, lambda ports: signed_in.forget(ports.database, ports.clock)),
        )
    return (
        *OF_ALL,
        *others,
        Chore("record_accounts", 60.0, lambda _: recorder.compare(("account",))),
        Chore("bound_audit", 30.0, lambda _: audit.room.forget_most()),
        unhurried("forget_audit", 600.0, lambda _: audit.room.forget_old(settings.audit_days)),
        unhurried("sweep_uploads", 3600.0, lambda ports: assembly.uploads.sweep(ports.clock())),
    )


def _forget_nonces(ports: Ports) -> int:
    """Requests of that time every process refuses, whose clocks may differ by as much as a request may be late."""
    return ports.database.write(lambda tx: nonces.forget(tx, 3 * NONCES_S))


def _give_up_silent(ports: Ports) -> None:
    """Have done by others what processes had begun that are not heard of any more."""
    with ports.database.read() as tx:
        if not workers.silent(tx):
            return
    gone = ports.database.write(workers.give_up)
    if gone:
        log.warning("processes_silent", workers=gone)
