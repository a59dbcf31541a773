"""News between processes: what one commits another hears; what was lost is said; a stranger's message is no harm."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from sqlalchemy import text

from kiln.declare.facts import NoFacts
from kiln.declare.metrics import DATABASE_RETRIES
from kiln.store import tasks
from kiln.store.changes import Change
from kiln.store.conninfo import Server, connect
from kiln.store.database import Database, open_postgresql
from kiln.store.herald import CHANGES, TOUCHED, Heard, Herald, messages, understood
from kiln.store.tokens import Token, tokens
from tests.waiting import wait_for

A_CHANGE = Change("disk", "d-1", "Creating", "Available", "1000", True, "cn-hangzhou", "a name")


@contextmanager
def process(address: str, name: str) -> Iterator[tuple[Database, Herald]]:
    """A database as one process has it, with its herald at work."""
    database = open_postgresql(address)
    herald = Herald(Server(address=address), database, name)
    herald.start()
    try:
        yield database, herald
    finally:
        herald.stop()
        database.close()


@pytest.fixture
def two(postgresql_tables):
    with process(postgresql_tables, "one") as one, process(postgresql_tables, "two") as other:
        wait_for(lambda: listening(one[0]) == 2)
        yield one, other


def listening(database):
    statement = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"
    with database.engine.connect() as connection:
        return connection.execute(text(statement)).scalar()


def send(database, payload):
    with database.engine.begin() as connection:
        connection.execute(text("SELECT pg_notify('kiln', :payload)"), {"payload": payload})


def taken(listener, count):
    """The first so many changes that a listener hears."""
    told = []
    wait_for(lambda: told.extend(listener.take(5.0).changes) or len(told) >= count)
    return [(change.id, change.old, change.new) for change in told]


def a_task():
    return tasks.new_task("CreateImage", "m-1", NoFacts(), 0.0, account="1000")


@pytest.mark.postgresql
def test_what_one_commits_all_others_hear_and_it_hears_once_itself(two):
    (one, _), (other, _) = two
    heard, own = other.hub.listen(("task",)), one.hub.listen(("task",))
    task = a_task()

    one.write(lambda tx: tasks.tasks.insert(tx, task))
    one.write(lambda tx: tasks.finish(tx, task, 1.0))

    steps = [(task.id, None, "Processing"), (task.id, "Processing", "Finished")]
    assert taken(heard, 2) == steps
    # What the other says now comes after whatever the first might hear of itself.
    answer = a_task()
    other.write(lambda tx: tasks.tasks.insert(tx, answer))
    assert taken(own, 3) == [*steps, (answer.id, None, "Processing")]


@pytest.mark.postgresql
def test_of_what_is_rolled_back_nobody_hears(two):
    (one, _), (other, _) = two
    heard = other.hub.listen(("task",))

    def fail(tx):
        tasks.tasks.insert(tx, a_task())
        raise RuntimeError

    with pytest.raises(RuntimeError):
        one.write(fail)
    kept = a_task()
    one.write(lambda tx: tasks.tasks.insert(tx, kept))

    assert taken(heard, 1) == [(kept.id, None, "Processing")]


@pytest.mark.postgresql
def test_one_that_ends_wakes_its_own_thread_that_listens_by_what_says_nothing_to_others(postgresql_tables):
    with closing(connect(Server(address=postgresql_tables))) as listener:
        listener.autocommit = True
        listener.execute("LISTEN kiln")
        with process(postgresql_tables, "one"):
            pass
        (told,) = listener.notifies(timeout=300, stop_after=1)

    assert understood(told.payload) == Heard(sender="one")


@pytest.mark.postgresql
def test_others_hear_what_is_to_be_recorded_and_told_to_webhooks(two):
    (one, _), (_, there) = two
    heard: list[object] = []
    there.on_touched, there.on_parcels = heard.extend, lambda: heard.append("parcels")
    there.on_webhooks = lambda: heard.append("webhooks")
    here = two[0][1]
    task = a_task()

    one.write(lambda tx: tasks.tasks.insert(tx, task))
    here.parcels()
    wait_for(lambda: {("task", task.id), "parcels"} <= set(heard))
    here.webhooks()
    wait_for(lambda: "webhooks" in heard)


@pytest.mark.postgresql
def test_a_connection_that_breaks_is_made_again_and_all_is_looked_at(two):
    (one, _), (other, _) = two
    heard = other.hub.listen(("task",))
    with one.engine.begin() as connection:
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
        connection.execute(text(ended + " AND datname = current_database()"))

    wait_for(lambda: heard.take(5.0).has_missed)
    wait_for(lambda: listening(one) == 2)
    task = a_task()
    one.write(lambda tx: tasks.tasks.insert(tx, task))
    assert taken(heard, 1) == [(task.id, None, "Processing")]


@pytest.mark.postgresql
@pytest.mark.parametrize("payload", ["", "{", "[]", "{}", "[" * 5000, '{"from": 7}', '{"from": "x", "changes": [[1]]}'])
def test_what_cannot_be_understood_is_news_that_was_missed(two, payload):
    (one, _), (other, _) = two
    heard = other.hub.listen(("task",))

    send(one, payload)

    wait_for(lambda: heard.take(5.0).has_missed)
    assert not two[1][1].dead()


def test_messages_are_as_short_as_the_server_takes_and_lose_nothing():
    changes = [Change("image", f"m-{n}", None, "Available", "1000", True, "cn-hangzhou", "名" * 128) for n in range(99)]
    news = [(CHANGES, one) for one in changes] + [(TOUCHED, ("image", f"m-{n}")) for n in range(999)] * 2

    made = list(messages("one", news))

    assert all(len(message.encode()) < 8000 for message in made)
    heard = [understood(message) for message in made]
    assert [change for one in heard for change in one.changes] == changes
    assert [name for one in heard for _, name in one.touched] == [f"m-{n}" for n in range(999)]


def test_a_message_is_read_as_it_was_meant():
    (made,) = messages("one", [(CHANGES, A_CHANGE), ("parcels", True)])

    assert understood(made) == Heard(sender="one", changes=(A_CHANGE,), has_parcels=True)


@pytest.mark.postgresql
def test_counts_what_was_run_again_for_a_rival(two):
    (one, _), (other, _) = two
    before = DATABASE_RETRIES.series().get(("unique",), 0.0)
    row = Token(account="1", action="CreateImage", token="t", digest="", answer="{}", created_at=0.0)
    runs = []

    def work(tx):
        runs.append(tokens.count(tx))
        if len(runs) == 1:
            other.write(lambda there: tokens.insert(there, row))
        if not tokens.count(tx):
            tokens.insert(tx, row)

    one.write(work)

    assert runs == [0, 1]
    assert DATABASE_RETRIES.series()[("unique",)] == before + 1
