"""The postman: has each webhook told what it is owed, as soon as there is something and it may be tried.

    outbox.write -> ring -> the postman's thread    looks who is owed something, and may be tried
                            a thread for each       tells it, and records what came of it: ``delivery``

Whoever is slow keeps a thread of their own, and nobody else waits for it.
"""

from __future__ import annotations

import threading
import time
from typing import Self

from kiln.calls.call import Ports
from kiln.ground.journal import Journal
from kiln.ground.threads import ended
from kiln.store.database import Transaction
from kiln.store.errors import DatabaseBusy, DatabaseDown, DatabaseFull, DatabaseMalformed
from kiln.store.webhooks import forgotten, owed, parcels, waiting, webhooks
from kiln.upkeep.delivery import Delivery, Patience

_LOOK_ANYWAY_S = 60.0
_STUCK_S = 300.0  #: Of looking, which takes milliseconds.
_FAREWELL_S = 1.0

#: What passes by itself, or what others tell of.
_OF_DATABASE = (DatabaseBusy, DatabaseDown, DatabaseFull, DatabaseMalformed)

log = Journal("kiln.upkeep")


class Postman:
    """See the module's docstring. It is at work from ``start`` to ``stop``, both once, or within its context."""

    def __init__(self, ports: Ports, patience: Patience | None = None) -> None:
        self._ports = ports
        self._delivery = Delivery(ports, patience)
        self._busy: set[str] = set()
        self._bell = threading.Condition()
        self._is_rung = False
        self._look_again_at = 0.0
        self._has_begun = False
        self._looked_at = time.monotonic()
        self._failure = ""
        self._stopping = self._delivery.stopping
        self._thread = threading.Thread(target=self._work, name="postman", daemon=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin with what is waiting already."""
        self._ports.outbox.ring = self.ring
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for nobody outside for long: what is under way then is tried again by the next start."""
        self._stopping.set()
        self.ring()
        self._thread.join()
        with self._bell:
            self._bell.wait_for(lambda: not self._busy, _FAREWELL_S)

    def dead(self) -> list[str]:
        """The name of its thread, if that has ended although nobody stopped it."""
        return [] if self._stopping.is_set() else ended([self._thread])

    @property
    def trouble(self) -> str:
        """Why webhooks are not told as they should be, though its thread is there; empty where they are."""
        if self._failure:
            return self._failure
        if count := self._delivery.unrecorded:
            return (
                f"the database takes no record of what {count} were told, and they are told nothing more until it does"
            )
        if self._thread.is_alive() and time.monotonic() - self._looked_at > _STUCK_S:
            return "nobody has looked for some minutes what they are to be told"
        return ""

    def ring(self) -> None:
        """Have it look who is owed something."""
        with self._bell:
            self._is_rung = True
            self._bell.notify_all()

    def _work(self) -> None:
        wait_s = 0.0
        while not self._stopping.is_set():
            with self._bell:
                if not self._is_rung:
                    self._bell.wait(wait_s)
                self._is_rung = False
            self._looked_at = time.monotonic()
            try:
                if not self._has_begun:
                    self.suspect()
                    self._has_begun = True
                self.look_around()
                wait_s = self.send_out()
            except Exception as error:
                self._failure = f"they could not be looked up: {error}"
                if isinstance(error, _OF_DATABASE):
                    log.warning("postman_put_off", reason=str(error))
                else:
                    log.exception("postman_failed")
                wait_s = _LOOK_ANYWAY_S
            else:
                self._failure = ""

    def suspect(self) -> None:
        """Take it that a webhook for which as much waits as may has lost something: the last run counted in memory."""
        outbox = self._ports.outbox
        with self._ports.database.read() as tx:
            ids = [webhook.id for webhook in webhooks.all(tx, is_on=True)]
            counts = waiting(tx, ids) if ids else {}
        outbox.lose({webhook: 1 for webhook, count in counts.items() if count >= outbox.most_waiting})

    def look_around(self) -> None:
        """Write down what there was no room for; and, now and then, clear up."""
        lost = self._ports.outbox.take_lost()
        gone: list[str] = []
        if time.monotonic() > self._look_again_at:
            self._look_again_at = time.monotonic() + _LOOK_ANYWAY_S
            # What was counted in memory differs by some from what waits, after a while.
            self._ports.outbox.look_again()
            with self._ports.database.read() as tx:
                gone = forgotten(tx)
                self._delivery.keep({webhook.id for webhook in webhooks.all(tx)})

        def work(tx: Transaction) -> None:
            for webhook, count in lost.items():
                webhooks.update(tx, {"missed": webhooks.c.missed + count}, id=webhook)
            for webhook in gone:
                parcels.delete(tx, webhook=webhook)

        if lost or gone:
            try:
                self._ports.database.write(work, gives_back=True)
            except BaseException:
                self._ports.outbox.lose(lost)
                raise

    def send_out(self) -> float:
        """Have everybody told who may be tried now; returns the seconds until the next may be."""
        if self._ports.may_call.is_off or self._ports.database.damage is not None:
            return _LOOK_ANYWAY_S
        now, wait_s = self._ports.clock(), _LOOK_ANYWAY_S
        with self._ports.database.read() as tx:
            found = [(webhook.id, self._delivery.next_at(tx, webhook) - now) for webhook in owed(tx)]
        for webhook, left in found:
            if left > 0:
                wait_s = min(wait_s, left)
                continue
            with self._bell:
                if webhook in self._busy or len(self._busy) >= self._delivery.patience.at_once:
                    continue
                self._busy.add(webhook)
            # A name that nobody resolves may hold it for longer than a stop can wait.
            threading.Thread(target=self._visit, args=(webhook,), name=webhook, daemon=True).start()
        return wait_s

    def _visit(self, webhook: str) -> None:
        try:
            while not self._stopping.is_set() and self._delivery.tell(webhook):
                pass
        except Exception as error:
            if not self._stopping.is_set():
                if isinstance(error, _OF_DATABASE):
                    log.warning("webhook_left_alone", webhook=webhook, reason=str(error))
                else:
                    log.exception("webhook_crashed", webhook=webhook)
                self._stopping.wait(self._delivery.patience.pauses_s[0])
        finally:
            with self._bell:
                self._busy.discard(webhook)
            self.ring()
