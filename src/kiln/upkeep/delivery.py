"""Telling one webhook what it is owed, and recording what came of it: what a visit of the postman's does.

Each event is signed anew at each try, as Standard Webhooks has it. What failed is tried again, ever less often.
Events of the same resource wait for it, so that they come in their order, and those of others are told meanwhile:
before what was refused once, so that no number of events that a receiver never takes holds up what it would take.
Where it does not answer, or refuses one event after the other, all wait for a while.

An event is told at least once. It comes twice, with the same ID, where a kill cut off its try or came before the record
of it, and so 16 at most. Where the database takes no record, as on a full disk, nothing more is sent until it does.
Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md.
"""

from __future__ import annotations

import base64
import hmac
import random
import threading
from collections.abc import Collection, Sequence
from dataclasses import field
from typing import Any

from kiln.calls.call import Ports
from kiln.calls.posting import Outcome, post
from kiln.declare.cloud_events import MEDIA_TYPE, cloud_event, own_event, written
from kiln.declare.metrics import WEBHOOK_TRIES
from kiln.ground.journal import Journal
from kiln.ground.killpoints import reach
from kiln.ground.units import DAY_S
from kiln.ground.values import dataclass
from kiln.store.database import Transaction
from kiln.store.webhooks import FARING, OWN, SECRET_PREFIX, Parcel, Webhook, next_parcels, parcels, webhooks
from kiln.upkeep.held import Held

TEST, MISSED = "kiln:Webhook:Test", "kiln:Webhook:Missed"

_GONE = 410
_TOGETHER = 16  #: Events that are sent before it is recorded that they were.
_MOST_REFUSED = 3  #: Events, one after the other; who refuses so many is left alone for a while.
_OF_ANSWERING = 3  #: Pauses: who answers is left alone for the third of them at most, and so for a minute.
_TELLING = ""  #: Held in place of a resource: the event that tells how many were missed.

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

    @property
    def longest_pause_s(self) -> float:
        """No pause is longer, whatever was added to it by chance."""
        return 2 * max(self.pauses_s)

    def pause_s(self, failures: int) -> float:
        """How long is waited after so many. Not all wait equally long, where many have failed at one moment."""
        pause_s = self.pauses_s[min(failures, len(self.pauses_s)) - 1]
        return pause_s * random.uniform(0.9, 1.1)  # noqa: S311 - no secret.


@dataclass
class _Round:
    """What came of sending some events to one webhook."""

    taken: list[int] = field(default_factory=list)  #: The numbers of those that are done with.
    delivered: int = 0
    given_up: int = 0
    told_missed: int = 0
    failed: list[Parcel] = field(default_factory=list)
    outcome: Outcome | None = None  #: Of the last try.
    of_test: Outcome | None = None  #: Of the test among them.
    in_a_row: int = 0  #: Failures since the last success.

    def note(self, outcome: Outcome, *, is_test: bool = False) -> bool:
        """Take in what came of a try; whether it was a success."""
        self.outcome = outcome
        if is_test:
            self.of_test = outcome
        self.in_a_row = self.in_a_row + 1 if outcome.error else 0
        return not outcome.error

    @property
    def is_broken_off(self) -> bool:
        """Whether no more is to be sent for now, to whoever is not there or takes nothing."""
        if not self.in_a_row or self.outcome is None:
            return False
        return self.outcome.status in (0, _GONE) or self.in_a_row >= _MOST_REFUSED

    @property
    def has_succeeded(self) -> bool:
        """Whether anything was taken."""
        return self.delivered > 0 or self.told_missed > 0


class Delivery:
    """See the module. Safe to use from any thread, but for one webhook from one at a time."""

    def __init__(self, ports: Ports, patience: Patience | None = None) -> None:
        self._ports = ports
        self.patience = patience or Patience()
        self.stopping = threading.Event()  #: Once it is set no more is sent.
        self.held = Held(self.patience.longest_pause_s)
        self._unrecorded: dict[str, _Round] = {}

    @property
    def unrecorded(self) -> int:
        """How many webhooks were told something that the database has not taken the record of."""
        return len(self._unrecorded)

    def next_at(self, tx: Transaction, webhook: Webhook) -> float:
        """When a webhook that is owed something may be told some of it; 0 where that is now."""
        now = self._now
        # A clock that was set back makes nobody wait for more than was meant.
        if 0 < webhook.not_before - now <= self.patience.longest_pause_s:
            return webhook.not_before
        held = self._held(tx, webhook.id)
        if not held or (webhook.missed and _TELLING not in held) or next_parcels(tx, webhook.id, 1, held):
            return 0.0
        return min(held.values())

    def keep(self, ids: Collection[str]) -> None:
        """Forget what is known of all webhooks but these."""
        self.held.keep(ids)
        for id_ in set(self._unrecorded).difference(ids):
            self._unrecorded.pop(id_, None)

    def tell(self, id_: str) -> bool:
        """Tell a webhook some of what it is owed; whether there may be more to be told at once.

        Raises what the database does where that takes no record of it; the next time begins with the record.
        """
        if (before := self._unrecorded.get(id_)) is not None:
            self._put_down(id_, before)
        with self._ports.database.read() as tx:
            webhook = webhooks.find(tx, id=id_)
            due = next_parcels(tx, id_, _TOGETHER, self._held(tx, id_))
        is_told = webhook is not None and (webhook.is_on or webhook.pending_test)
        if webhook is None or not is_told or not (due or webhook.missed):
            return False
        try:
            key = base64.b64decode(self._ports.unseal(webhook.sealed_secret).removeprefix(SECRET_PREFIX))
        except Exception as error:  # noqa: BLE001 - whatever keeps secrets says why it cannot open this one.
            lost = f"its secret is lost: {error}"
            self._ports.database.write(lambda tx: self._switch_off(tx, webhook, lost))
            return False
        went = self._send_some(webhook, key, due)
        if went.outcome is None and not went.taken:
            return False
        self._put_down(id_, went)
        return not went.is_broken_off

    def _held(self, tx: Transaction, webhook: str) -> dict[str, float]:
        """What waits, and until when: nothing once a test was asked for, with which all that waits is tried."""
        held = self.held.now(webhook, self._now)
        if held and (test := parcels.find(tx, webhook=webhook, noun=OWN)) is not None and not test.attempts:
            self.held.release(webhook)
            return {}
        return held

    def _send_some(self, webhook: Webhook, key: bytes, due: Sequence[Parcel]) -> _Round:
        went = _Round()
        held = self.held.now(webhook.id, self._now)
        if webhook.missed and _TELLING not in held:
            event_id = f"{webhook.id}-{webhook.missed_before + webhook.missed}"
            if went.note(self._send(webhook, key, event_id, _missed(webhook, self._now))):
                went.told_missed = webhook.missed
                self.held.release(webhook.id, _TELLING)
            else:
                self._hold(webhook.id, _TELLING, self.held.tries(webhook.id, _TELLING) + 1)
        for parcel in due:
            if self.stopping.is_set() or went.is_broken_off:
                break
            if any(one.id == parcel.id for one in went.failed):
                continue
            if self._now - parcel.at > self.patience.oldest_s or parcel.attempts >= self.patience.attempts:
                went.taken.append(parcel.seq)
                went.given_up += 1
                self.held.release(webhook.id, parcel.id)
            elif went.note(self._send(webhook, key, parcel.event, _event_of(parcel)), is_test=parcel.noun == OWN):
                went.taken.append(parcel.seq)
                went.delivered += 1
                self.held.release(webhook.id, parcel.id)
            else:
                went.failed.append(parcel)
                self._hold(webhook.id, parcel.id, parcel.attempts + 1)
        return went

    def _hold(self, webhook: str, resource: str, failures: int) -> None:
        self.held.hold(webhook, resource, self._now + self.patience.pause_s(failures))

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
        outcome = post(webhook.url, headers, body, self._ports.may_call, self.patience.within_s)
        reach("postman.sent")
        WEBHOOK_TRIES.add("failed" if outcome.error else "taken")
        log.info("webhook_told", webhook=webhook.id, told=event_id, status=outcome.status, reason=outcome.error)
        return outcome

    def _put_down(self, id_: str, went: _Round) -> None:
        """Record it, or keep it in mind until that succeeds."""
        try:
            self._ports.database.write(lambda tx: self._record(tx, id_, went), gives_back=True)
        except BaseException:
            self._unrecorded[id_] = went
            raise
        self._unrecorded.pop(id_, None)
        reach("postman.recorded")

    def _record(self, tx: Transaction, id_: str, went: _Round) -> None:
        """Write down what came of it; nothing where the webhook was deleted meanwhile."""
        webhook = webhooks.find(tx, id=id_)
        if webhook is None:
            return
        for seq in went.taken:
            parcels.delete(tx, seq=seq)
        tx.after_commit(lambda: self._ports.outbox.took(id_, len(went.taken)))
        changes: dict[str, Any] = {
            "missed": max(0, webhook.missed - went.told_missed) + went.given_up,
            "missed_before": webhook.missed_before + went.told_missed,
            "delivered": webhook.delivered + went.delivered,
        }
        # Whoever asked for a test is told of that one.
        if (told := went.of_test or went.outcome) is not None:
            changes |= {"tried_at": self._now, "last_status": told.status, "last_error": told.error}
        if went.has_succeeded:
            changes |= self._succeeded(tx, webhook)
        # What the pool has a record of is written where it has changed: each time would be a record.
        changes = {name: one for name, one in changes.items() if name in FARING or one != getattr(webhook, name)}
        webhooks.update(tx, changes, id=id_)
        for parcel in went.failed:
            parcels.update(tx, {"attempts": parcel.attempts + 1}, seq=parcel.seq)
        if went.outcome is not None and (went.is_broken_off or (went.in_a_row and not went.has_succeeded)):
            self._failed(tx, webhook, went, went.outcome)

    def _succeeded(self, tx: Transaction, webhook: Webhook) -> dict[str, Any]:
        if not webhook.is_on:
            tx.after_commit(self._ports.outbox.changed)
        on = {"is_on": True, "why_off": "", "pending_test": False}
        return on | {"failures": 0, "failing_since": 0.0, "not_before": 0.0}

    def _failed(self, tx: Transaction, webhook: Webhook, went: _Round, outcome: Outcome) -> None:
        if not webhook.is_on and not went.has_succeeded:
            # It was tried for the sake of a test, which did not succeed.
            parcels.delete(tx, webhook=webhook.id)
            webhooks.update(tx, {"pending_test": False}, id=webhook.id)
            tx.after_commit(lambda: self.held.release(webhook.id))
            return
        now, failures, since = self._now, webhook.failures + 1, webhook.failing_since or self._now
        if went.has_succeeded:
            failures, since = 1, now
        changes: dict[str, Any] = {"failures": failures, "failing_since": since}
        if went.is_broken_off:
            counted = min(failures, _OF_ANSWERING) if outcome.status else failures
            changes["not_before"] = now + self.patience.pause_s(counted)
        webhooks.update(tx, changes, id=webhook.id)
        has_had_its_time = now - since > self.patience.off_after_s and failures >= self.patience.attempts
        if outcome.status == _GONE or has_had_its_time:
            why = "it answered 410 Gone" if outcome.status == _GONE else f"it failed for too long: {outcome.error}"
            self._switch_off(tx, webhook, why)

    def _switch_off(self, tx: Transaction, webhook: Webhook, why: str) -> None:
        """Tell it nothing more; what waits is counted as missed, so that it is told of once it is on again."""
        lost = parcels.delete(tx, webhook=webhook.id)
        changes = {"is_on": False, "why_off": why, "pending_test": False, "missed": webhooks.c.missed + lost}
        webhooks.update(tx, changes, id=webhook.id)
        tx.after_commit(self._ports.outbox.changed)
        tx.after_commit(lambda: self.held.release(webhook.id))
        tx.after_commit(lambda: log.warning("webhook_off", webhook=webhook.id, reason=why, lost=lost))


def _event_of(parcel: Parcel) -> dict[str, Any]:
    if parcel.noun == OWN:
        about = {"account": parcel.account, "subject": f"webhook/{parcel.id}"}
        return own_event(TEST, parcel.event, parcel.at, **about, data={"webhookId": parcel.id})
    return cloud_event(parcel, parcel.event, parcel.at)


def _missed(webhook: Webhook, now: float) -> dict[str, Any]:
    data = {"webhookId": webhook.id, "missed": webhook.missed}
    return own_event(MISSED, "", now, account=webhook.account, subject=f"webhook/{webhook.id}", data=data)
