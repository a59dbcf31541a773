"""The postman: takes to each webhook what it is to be told, in order, until it was taken or is given up.

    outbox.write -> ring -> the postman's thread    looks who is owed something, and may be tried
                            a thread for each       sends one event after the other, and records what came of it

Each event is signed anew at each try, as Standard Webhooks has it. What failed is
tried again, ever less often; the events behind it wait, so that those of one
resource come in their order. A try that was cut off by a kill is made again:
the event has the same ID then. Whoever is slow keeps a thread of their own, and
nobody else waits for it.
Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md.
"""

from __future__ import annotations

import base64
import hmac
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import field
from typing import Any, Self

from kiln.calls.call import Ports
from kiln.calls.posting import Outcome, post
from kiln.declare.cloud_events import MEDIA_TYPE, cloud_event, own_event, written
from kiln.declare.metrics import WEBHOOK_TRIES
from kiln.ground.journal import Journal
from kiln.ground.killpoints import reach
from kiln.ground.units import DAY_S
from kiln.ground.values import dataclass
from kiln.store.database import Transaction
from kiln.store.webhooks import (
    OWN,
    SECRET_PREFIX,
    Parcel,
    Webhook,
    first_parcels,
    forgotten,
    owed,
    parcels,
    waiting,
    webhooks,
)

TEST, MISSED = "kiln:Webhook:Test", "kiln:Webhook:Missed"

_GONE = 410
_TOGETHER = 16  #: Events that are sent before it is recorded that they were.
_LOOK_ANYWAY_S = 60.0
_FAREWELL_S = 1.0

log = Journal("kiln.upkeep")


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long and how often it is tried."""

    within_s: float = 15.0  #: One try.
    pauses_s: tuple[float, ...] = (5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0)  #: After each failure; then the last.
    attempts: int = 12  #: Of one event; some seven hours.
    oldest_s: float = DAY_S  #: What is older is news no more.
    off_after_s: float = 3 * DAY_S  #: A webhook that has failed for so long, and that often, is switched off.
    at_once: int = 256  #: Webhooks that are told at a time.


@dataclass
class _Round:
    """What came of sending some events to one webhook."""

    taken: list[int] = field(default_factory=list)  #: The numbers of those that are done with.
    delivered: int = 0
    given_up: int = 0
    told_missed: int = 0
    failed: Parcel | None = None
    outcome: Outcome | None = None


class Postman:
    """See the module's docstring. It is at work within its context, once."""

    def __init__(self, ports: Ports, patience: Patience | None = None) -> None:
        self._ports = ports
        self._patience = patience or Patience()
        self._busy: set[str] = set()
        self._bell = threading.Condition()
        self._is_rung = False
        self._look_again_at = 0.0
        self._has_begun = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="postman", daemon=True)

    def __enter__(self) -> Self:
        self._ports.outbox.ring = self.ring
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End, and wait for nobody outside for long: what is under way then is tried again by the next start."""
        self._stopping.set()
        self.ring()
        self._thread.join()
        with self._bell:
            self._bell.wait_for(lambda: not self._busy, _FAREWELL_S)

    def dead(self) -> list[str]:
        """The name of its thread, if that has ended although nobody stopped it."""
        has_ended = self._thread.ident is not None and not self._thread.is_alive() and not self._stopping.is_set()
        return [self._thread.name] if has_ended else []

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
            try:
                if not self._has_begun:
                    self._suspect()
                    self._has_begun = True
                self._look_around()
                wait_s = self._send_out()
            except Exception:
                log.exception("postman_failed")
                wait_s = _LOOK_ANYWAY_S

    def _suspect(self) -> None:
        """Take it that a webhook for which as much waits as may has lost something: the last run counted in memory."""
        outbox = self._ports.outbox
        with self._ports.database.read() as tx:
            ids = [webhook.id for webhook in webhooks.all(tx, is_on=True)]
            counts = waiting(tx, ids) if ids else {}
        outbox.lose({webhook: 1 for webhook, count in counts.items() if count >= outbox.most_waiting})

    def _look_around(self) -> None:
        """Write down what there was no room for; and, now and then, clear up."""
        lost = self._ports.outbox.take_lost()
        gone: list[str] = []
        if time.monotonic() > self._look_again_at:
            self._look_again_at = time.monotonic() + _LOOK_ANYWAY_S
            # What was counted in memory differs by some from what waits, after a while.
            self._ports.outbox.look_again()
            with self._ports.database.read() as tx:
                gone = forgotten(tx)

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

    def _send_out(self) -> float:
        """Have everybody told who may be tried now; returns the seconds until the next may be."""
        if self._ports.may_call.is_off or self._ports.database.damage is not None:
            return _LOOK_ANYWAY_S
        with self._ports.database.read() as tx:
            found = owed(tx)
        now, wait_s = self._ports.clock(), _LOOK_ANYWAY_S
        for webhook in found:
            left = webhook.not_before - now
            # A clock that was set back makes nobody wait for more than was meant.
            if 0 < left <= self._longest_pause_s:
                wait_s = min(wait_s, left)
                continue
            with self._bell:
                if webhook.id in self._busy or len(self._busy) >= self._patience.at_once:
                    continue
                self._busy.add(webhook.id)
            # A name that nobody resolves may hold it for longer than a stop can wait.
            threading.Thread(target=self._visit, args=(webhook.id,), name=webhook.id, daemon=True).start()
        return wait_s

    @property
    def _longest_pause_s(self) -> float:
        return 2 * max(self._patience.pauses_s)

    def _visit(self, webhook: str) -> None:
        try:
            while not self._stopping.is_set() and self._go_round(webhook):
                pass
        except Exception:
            if not self._stopping.is_set():
                log.exception("webhook_crashed", webhook=webhook)
                self._stopping.wait(self._patience.pauses_s[0])
        finally:
            with self._bell:
                self._busy.discard(webhook)
            self.ring()

    def _go_round(self, id_: str) -> bool:
        """Tell a webhook some of what it is owed; whether there may be more to be told at once."""
        with self._ports.database.read() as tx:
            webhook = webhooks.find(tx, id=id_)
            due = first_parcels(tx, id_, _TOGETHER)
        if webhook is None or not (webhook.is_on or webhook.pending_test) or not (due or webhook.missed):
            return False
        try:
            key = base64.b64decode(self._ports.unseal(webhook.sealed_secret).removeprefix(SECRET_PREFIX))
        except Exception as error:  # noqa: BLE001 - whatever keeps secrets says why it cannot open this one.
            lost = f"its secret is lost: {error}"
            self._ports.database.write(lambda tx: self._switch_off(tx, webhook, lost))
            return False
        went = self._tell(webhook, key, due)
        self._ports.database.write(lambda tx: self._record(tx, id_, went), gives_back=True)
        reach("postman.recorded")
        return went.outcome is None or not went.outcome.error

    def _tell(self, webhook: Webhook, key: bytes, due: Sequence[Parcel]) -> _Round:
        went = _Round()
        if webhook.missed:
            event_id = f"{webhook.id}-{webhook.missed_before + webhook.missed}"
            went.outcome = self._send(webhook, key, event_id, _missed(webhook, self._now))
            if went.outcome.error:
                return went
            went.told_missed = webhook.missed
        for parcel in due:
            if self._stopping.is_set():
                break
            if self._now - parcel.at > self._patience.oldest_s or parcel.attempts >= self._patience.attempts:
                went.taken.append(parcel.seq)
                went.given_up += 1
                continue
            went.outcome = self._send(webhook, key, parcel.event, _event_of(parcel))
            if went.outcome.error:
                went.failed = parcel
                break
            went.taken.append(parcel.seq)
            went.delivered += 1
        return went

    @property
    def _now(self) -> float:
        return self._ports.clock()

    def _send(self, webhook: Webhook, key: bytes, event_id: str, event: dict[str, Any]) -> Outcome:
        body = written({**event, "id": event_id})
        stamp = str(int(self._now))
        signature = hmac.digest(key, f"{event_id}.{stamp}.".encode() + body, "sha256")
        headers = {
            "Content-Type": f"{MEDIA_TYPE}; charset=utf-8",
            "User-Agent": "Kiln",
            "webhook-id": event_id,
            "webhook-timestamp": stamp,
            "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
        }
        reach("postman.before_send")
        outcome = post(webhook.url, headers, body, self._ports.may_call, self._patience.within_s)
        reach("postman.sent")
        WEBHOOK_TRIES.add("failed" if outcome.error else "taken")
        log.info("webhook_told", webhook=webhook.id, told=event_id, status=outcome.status, reason=outcome.error)
        return outcome

    def _record(self, tx: Transaction, id_: str, went: _Round) -> None:
        """Write down what came of it; nothing where the webhook was deleted meanwhile."""
        webhook = webhooks.find(tx, id=id_)
        if webhook is None:
            return
        for seq in went.taken:
            parcels.delete(tx, seq=seq)
        tx.after_commit(lambda: self._ports.outbox.took(id_, len(went.taken)))
        changes: dict[str, Any] = {
            "missed": webhook.missed - went.told_missed + went.given_up,
            "missed_before": webhook.missed_before + went.told_missed,
            "delivered": webhook.delivered + went.delivered,
        }
        if went.outcome is not None:
            changes |= {"tried_at": self._now, "last_status": went.outcome.status, "last_error": went.outcome.error}
            if not went.outcome.error:
                changes |= self._succeeded(tx, webhook)
        webhooks.update(tx, changes, id=id_)
        if went.outcome is not None and went.outcome.error:
            self._failed(tx, webhook, went.failed, went.outcome)

    def _succeeded(self, tx: Transaction, webhook: Webhook) -> dict[str, Any]:
        if not webhook.is_on:
            tx.after_commit(self._ports.outbox.changed)
        on = {"is_on": True, "why_off": "", "pending_test": False}
        return on | {"failures": 0, "failing_since": 0.0, "not_before": 0.0}

    def _failed(self, tx: Transaction, webhook: Webhook, parcel: Parcel | None, outcome: Outcome) -> None:
        if not webhook.is_on:
            # It was tried for the sake of a test, which did not succeed.
            parcels.delete(tx, webhook=webhook.id)
            webhooks.update(tx, {"pending_test": False}, id=webhook.id)
            return
        now, failures = self._now, webhook.failures + 1
        since = webhook.failing_since or now
        if parcel is not None:
            parcels.update(tx, {"attempts": parcel.attempts + 1}, seq=parcel.seq)
        pauses_s = self._patience.pauses_s
        # Not all at the same moment, where many have failed at one.
        pause_s = pauses_s[min(failures, len(pauses_s)) - 1] * random.uniform(0.9, 1.1)  # noqa: S311 - no secret.
        changes = {"failures": failures, "failing_since": since, "not_before": now + pause_s}
        webhooks.update(tx, changes, id=webhook.id)
        has_had_its_time = now - since > self._patience.off_after_s and failures >= self._patience.attempts
        if outcome.status == _GONE or has_had_its_time:
            why = "it answered 410 Gone" if outcome.status == _GONE else f"it failed for too long: {outcome.error}"
            self._switch_off(tx, webhook, why)

    def _switch_off(self, tx: Transaction, webhook: Webhook, why: str) -> None:
        """Tell it nothing more; what waits is counted as missed, so that it is told of once it is on again."""
        lost = parcels.delete(tx, webhook=webhook.id)
        changes = {"is_on": False, "why_off": why, "pending_test": False, "missed": webhooks.c.missed + lost}
        webhooks.update(tx, changes, id=webhook.id)
        tx.after_commit(self._ports.outbox.changed)
        tx.after_commit(lambda: log.warning("webhook_off", webhook=webhook.id, reason=why, lost=lost))


def _event_of(parcel: Parcel) -> dict[str, Any]:
    if parcel.noun == OWN:
        about = {"account": parcel.account, "subject": f"webhook/{parcel.id}"}
        return own_event(TEST, parcel.event, parcel.at, **about, data={"webhookId": parcel.id})
    return cloud_event(parcel, parcel.event, parcel.at)


def _missed(webhook: Webhook, now: float) -> dict[str, Any]:
    data = {"webhookId": webhook.id, "missed": webhook.missed}
    return own_event(MISSED, "", now, account=webhook.account, subject=f"webhook/{webhook.id}", data=data)
