"""What webhooks are to be told: in the transaction that it tells of, and nothing else of it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

import pytest

from kiln.declare.ids import new_id
from kiln.declare.states import ImageStatus
from kiln.store import tasks
from kiln.store.images import images
from kiln.store.outbox import Outbox
from kiln.store.webhooks import Webhook, parcels, webhooks

ACCOUNT = "1000000000000001"


def add_webhook(outbox, database, **more) -> Webhook:
    given = {"account": ACCOUNT, "url": "https://a/", "types": "", "sealed_secret": "", "created_at": 0.0, **more}
    row = Webhook(id=new_id("webhook"), **given)

    def work(tx):
        webhooks.insert(tx, row)
        tx.after_commit(outbox.changed)

    database.write(work)
    return row


def an_image(**more):
    row = images.of_values({"id": new_id("image"), "account": ACCOUNT, "status": "Creating", "region": "r", **more})
    return replace(row, name=row.id)


def waiting(database) -> list[tuple]:
    with database.read() as tx:
        return [(row.noun, row.id, row.old, row.new) for row in parcels.all(tx)]


@pytest.fixture
def outbox(database):
    made = Outbox()
    made.attach(database)
    return made


def test_writes_each_step_in_its_order(database, outbox):
    add_webhook(outbox, database)
    row = an_image()

    def work(tx):
        images.insert(tx, row)
        images.move(tx, ImageStatus.CREATING, ImageStatus.AVAILABLE, {}, id=row.id)

    database.write(work)
    database.write(lambda tx: images.delete(tx, id=row.id))

    steps = [(None, "Creating"), ("Creating", "Available"), ("Available", None)]
    assert waiting(database) == [("image", row.id, old, new) for old, new in steps]
    with database.read() as tx:
        assert {(one.account, one.region, one.name) for one in parcels.all(tx)} == {(ACCOUNT, "r", row.id)}


def test_writes_nothing_of_what_is_rolled_back(database, outbox):
    add_webhook(outbox, database)

    def work(tx):
        images.insert(tx, an_image())
        raise KeyError

    with pytest.raises(KeyError):
        database.write(work)
    assert waiting(database) == []


def test_writes_nothing_of_others_of_progress_and_of_kilns_own_business(database, outbox):
    add_webhook(outbox, database)
    row = an_image(account="1000000000000002")
    own = an_image()
    task = tasks.tasks.of_values({"id": new_id("task"), "account": ACCOUNT, "status": "Processing", "listed": False})
    database.write(lambda tx: images.insert(tx, row, own))
    database.write(lambda tx: images.update(tx, {"progress": 7}, id=own.id))
    database.write(lambda tx: tasks.tasks.insert(tx, task))

    assert waiting(database) == [("image", own.id, None, "Creating")]


def test_writes_the_types_that_are_asked_for(database, outbox):
    add_webhook(outbox, database, types="ecs:Instance:StateChange,kiln:Disk:StateChange")

    database.write(lambda tx: images.insert(tx, an_image()))

    assert waiting(database) == []


def test_counts_what_there_is_no_room_for(database):
    outbox = Outbox(most_waiting=2)
    outbox.attach(database)
    hook = add_webhook(outbox, database)
    rows = [an_image() for _ in range(5)]

    database.write(lambda tx: images.insert(tx, *rows[:3]))
    database.write(lambda tx: images.insert(tx, *rows[3:]))

    assert [row[1] for row in waiting(database)] == [row.id for row in rows[:2]]
    assert outbox.take_lost() == {hook.id: 3}
    assert outbox.take_lost() == {}
    outbox.took(hook.id, 1)
    database.write(lambda tx: images.insert(tx, an_image()))
    assert outbox.take_lost() == {}


def test_does_no_statement_for_who_has_no_webhook(sqlite):
    outbox = Outbox()
    outbox.attach(sqlite)
    sqlite.write(lambda tx: images.insert(tx, an_image()))

    def add(tx):
        images.insert(tx, an_image())
        # Whoever would ask it anything has to do so by one of these.
        tx.execute = tx.driver = None

    sqlite.write(add)
    assert waiting(sqlite) == []


def test_a_webhook_that_is_made_while_somebody_looks_is_told_of_all_that_follows(database, outbox):
    """Who looked before its commit must not go on to believe that there is none."""

    class Late:
        @contextmanager
        def read(self):
            with database.read() as tx:
                yield tx
            add_webhook(outbox, database)

    outbox.attach(Late())
    assert outbox._look() == {}
    outbox.attach(database)
    row = an_image()
    database.write(lambda tx: images.insert(tx, row))

    assert [one[1] for one in waiting(database)] == [row.id]
