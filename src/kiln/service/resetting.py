"""``kiln account reset-keys``: new secrets under a new master key, for when the old one is lost or was seen.

Images, disks and everything else need no master key, so what is lost is what was
sealed with it: the secrets of keys, which become new ones under the same IDs, and
the passwords that were given for instances, which are forgotten where they cannot
be opened any more.
"""

from __future__ import annotations

import json
from dataclasses import field
from pathlib import Path

from kiln.declare.facts import UnreadableFacts, parse
from kiln.declare.states import TaskStatus
from kiln.ground.killpoints import reach
from kiln.ground.values import dataclass
from kiln.operations.instances.replace_system_disk import replace_system_disk
from kiln.service.assemble import Assembly, assemble
from kiln.service.claim import hold_data_folder
from kiln.service.databases import hold_database
from kiln.service.errors import SecretBroken
from kiln.service.keys import KINDS, Pair, insert_new, new_secret
from kiln.service.pools import hold_pool
from kiln.service.secrets import Sealer
from kiln.service.settings import Settings
from kiln.store import accounts, console_sessions
from kiln.store.database import Transaction
from kiln.store.instances import instances
from kiln.store.tasks import tasks
from kiln.store.webhooks import webhooks


@dataclass
class Reset:
    """What was made, and what is lost."""

    pairs: list[Pair] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)  #: Instances whose password could not be opened.
    kept: Path | None = None  #: Where the master key of before is, if there was one.


def reset_keys_of(settings: Settings) -> Reset:
    """As ``reset_keys``, of a Kiln that is stopped. Raises as ``hold_data_folder`` and ``assemble`` do."""
    with (
        hold_data_folder(settings.data),
        hold_database(settings),
        hold_pool(settings),
        assemble(settings, say=None) as it,
    ):
        return reset_keys(it, it.ports.clock())


def reset_keys(it: Assembly, now: float) -> Reset:
    """Give every key a new secret, under a new master key; the caller holds the data folder and the database.

    May be killed at any line: until the database has the new secrets all is as it
    was, and from then on until the new master key is in its place no start accepts
    the old one. Then this is to be run again, which makes other secrets.
    """
    it.sealer.sweep()
    draft = it.sealer.draft()
    fresh = Sealer(draft)
    kept = it.sealer.set_aside()
    reset = it.database.write(lambda tx: _seal_anew(tx, it.sealer, fresh, now))
    reach("resetting.committed")
    it.sealer.replace(draft)
    reset.kept = kept
    return reset


def _seal_anew(tx: Transaction, before: Sealer, fresh: Sealer, now: float) -> Reset:
    reset = Reset()
    for account in accounts.accounts.all(tx):
        for kind in KINDS:
            rows = accounts.credentials.all(tx, account=account.id, kind=kind)
            if not rows:
                reset.pairs.append(insert_new(tx, fresh, account.id, kind, now))
            for row in rows:
                secret = new_secret()
                accounts.credentials.update(tx, {"sealed_secret": fresh.seal(secret)}, id=row.id)
                reset.pairs.append(Pair(account=account.id, kind=kind, id=row.id, secret=secret, active=row.active))
    for instance in instances.all(tx):
        if instance.password:
            password = _anew(instance.password, before, fresh)
            due = instance.password_due and bool(password)
            instances.update(tx, {"password": password, "password_due": due}, id=instance.id)
            if not password:
                reset.forgotten.append(instance.id)
    reset.forgotten.extend(_seal_tasks(tx, before, fresh))
    for webhook in webhooks.all(tx):
        # Of one that is lost the postman says so, and switches the webhook off.
        sealed = _anew(webhook.sealed_secret, before, fresh) or webhook.sealed_secret
        webhooks.update(tx, {"sealed_secret": sealed}, id=webhook.id)
    console_sessions.end_all(tx)
    return reset


def _seal_tasks(tx: Transaction, before: Sealer, fresh: Sealer) -> list[str]:
    """The passwords that ReplaceSystemDisk still has to give to instances; returns whose cannot be opened."""
    forgotten = []
    for task in tasks.all(tx, action=replace_system_disk.name, status=TaskStatus.PROCESSING):
        try:
            facts = parse(task.payload)
        except UnreadableFacts:
            continue  # Whoever is to carry it out says so.
        kept = facts.get("secrets")
        if isinstance(kept, dict) and isinstance(kept.get("password"), str) and kept["password"]:
            kept["password"] = _anew(kept["password"], before, fresh)
            tasks.update(tx, {"payload": json.dumps(facts)}, id=task.id)
            if not kept["password"]:
                forgotten.append(task.resource)
    return forgotten


def _anew(sealed: str, before: Sealer, fresh: Sealer) -> str:
    """The same secret under the new key; empty when the old one does not open it."""
    try:
        return fresh.seal(before.open(sealed))
    except SecretBroken:
        return ""
